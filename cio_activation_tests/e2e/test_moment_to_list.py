"""From a journey's webhook to a list in HubSpot, and off it again when the moment has had its time."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.customerio import receiver
from cio_activation.customerio.moments import pull_moments
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.lanes import LaneRun
from cio_activation_tests.drivers.receiver import encoded, receiving, signed
from cio_activation_tests.drivers.town import Town, town

pytestmark = pytest.mark.slow
LABEL = "CX - Wrong size - Offer an exchange"
AUDIENCE = f"""
audiences:
  wrong_size: {{label: {LABEL}, owner: cx@example.com, lane: realtime, expires_after: 2h,
               moment: {{name: requested_help, where: "reason = 'size' AND order.amount > 100"}},
               gate: "times('cart_updated', within 1h) < 3", deliver: {{hubspot: {{list: true}}}}}}
"""


def on_the_list(here: Town) -> set[str]:
    hubspot = here.there["hubspot"]
    people = {record: one.get("cio_id") for record, one in hubspot["contacts"].items()}
    [held] = [one["members"] for one in hubspot["lists"] if one["name"].startswith(LABEL) and not one["deleted"]]
    return {str(people[str(record)]) for record in held}


def run(here: Town) -> LaneRun:
    pull_moments(here.runtime, here.window(Lane.REALTIME))
    return here.run(Lane.REALTIME)


def test_a_webhook_puts_its_person_on_a_list_until_it_has_had_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activation = lanes.small_activation(tmp_path, lanes.ACTIVATION.replace("\naudiences:", AUDIENCE.rstrip("\n")))
    with town(tmp_path / "home", people=5, activation=activation, dirty_share=0.0) as here:
        here.run(Lane.DAILY)
        with receiving(f"sqlite:///{here.runtime.settings.activation_home / 'journal.sqlite'}") as received:
            monkeypatch.setattr(
                receiver, "time", SimpleNamespace(time=lambda: here.now.timestamp(), monotonic=time.monotonic)
            )

            def webhook(number: int, who: str, name: str = "requested_help", **body: Any) -> None:
                sent = encoded({"event": name, "cio_id": who, "timestamp": int(here.now.timestamp()), **body})
                headers = signed(sent, at=here.now.timestamp()) | {"x-cio-idempotency-key": f"k{number}"}
                assert received.post(sent, headers, "journey").status_code == 200

            first, second, third = here.people()[:3]
            big = {"order": {"amount": "250.00"}}
            webhook(1, first, reason="size", **big)
            webhook(1, first, reason="size", **big)  # Customer.io tries again
            webhook(2, second, reason="colour", **big)
            for number in range(3):
                webhook(10 + number, third, "cart_updated", items=number)
            webhook(3, third, reason="size", **big)
            found = run(here).decided["audiences"]["wrong_size"]
            assert (found.entered, on_the_list(here)) == (1, {first})
            assert run(here).planned == 0

            here.wait(timedelta(hours=1, minutes=15))
            found = run(here).decided["audiences"]["wrong_size"]
            assert (found.entered, on_the_list(here)) == (1, {first, third})  # the carts have run out of their hour

            webhook(4, first, reason="size", **big)
            run(here)
            here.wait(timedelta(minutes=45))
            found = run(here).decided["audiences"]["wrong_size"]
            assert (found.exited, on_the_list(here)) == ({"expired": 1}, {first})  # who asked again stays
            here.wait(timedelta(hours=1, minutes=15))
            assert run(here).decided["audiences"]["wrong_size"].exited == {"expired": 1}
            assert (on_the_list(here), here.differences(only=[Lane.REALTIME])) == (set(), [])
