"""A small town in which carts are left and somebody acts, asked about through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town

CX = "cx@example.com"
ASKED = """hot_cart: {gate: cart_value > 100 AND orders_count >= 1, launch: {baseline: include},"""
ACTION = "{subject: 'Cart of {cart_value}', body: Offer help., owner: audience_owner}"
ACTIVATION = (
    lanes.ACTIVATION.replace("hot_cart: {", ASKED)
    .replace(
        "deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}\ndestinations",
        f"deliver: {{hubspot: {{list: true}}, pipedrive: {{flag: true, activity: {ACTION}}}}}}}\ndestinations",
    )
    .replace(
        "destinations:",
        """  lapsed: {label: RET - Lapsed, owner: cx@example.com, segment: 9, lane: daily,
           gate: "lapse_bucket IN ('31-90', '91+') AND (orders_count >= 5 OR total_spent > 500) AND last_refund_at IS NULL",
           deliver: {hubspot: {list: true}}}
destinations:""",
    )
)


@contextmanager
def asked_town(home: Path, people: int = 30) -> Iterator[Town]:
    """Yield a town after two days: carts were left, a human did what was asked, one CRM value was not taken."""
    file = home.parent / "activation.yaml"
    file.write_text(ACTIVATION)
    with (
        pytest.MonkeyPatch.context() as environment,
        town(home, people=people, activation=lanes.small_activation(home.parent, ACTIVATION)) as here,
    ):
        environment.setenv("ACTIVATION_HOME", str(home))
        environment.setenv("ACTIVATION_FILE", str(file))
        here.by_hand("pipedrive", "add_user", name="Cleo", email=CX, timezone="America/New_York")
        here.settle()
        for person in here.people()[:6]:
            here.act("fill_cart", cio_id=person, value=250.0)
        here.wait(timedelta(hours=2))
        here.run(Lane.REALTIME)
        activities = here.there["pipedrive"]["activities"]
        here.by_hand("pipedrive", "complete_activity", activity=min(int(one["id"]) for one in activities))
        here.wait(timedelta(minutes=15))
        here.run(Lane.REALTIME)
        here.wait(timedelta(days=1))
        here.run(Lane.DAILY)
        yield here


def asked(*arguments: str, code: int = 0) -> dict[str, Any]:
    """Ask by the command line; return its object."""
    result = CliRunner().invoke(app, ["why", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found
