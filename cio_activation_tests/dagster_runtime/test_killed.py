"""The real-time lane as real processes: daemon and code server are killed at random moments while events come in."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from cio_activation.activation.settings import Settings
from cio_activation.warehouse.sessions import Warehouse
from cio_activation_tests.drivers.processes import Site, site

pytestmark = pytest.mark.slow

PEOPLE = 150
EVENTS = 8
VICTIMS = (("code",), ("daemon",), ("daemon", "code"), ("code",))
"""Who is killed after every second event; two at once are one outage."""
MONITORING = {"poll_interval_seconds": 2, "start_timeout_seconds": 60}
"""A run whose daemon died before it could launch it is given up and retried after these, not after two minutes and a half."""
LONGEST_PAUSE_S = 1.5
"""A run takes some seconds: within this a kill meets it in line, at its start or at work."""
LIVE = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"]
CART = 120
"""Tier ``mid`` of the default activation, and enough for the segment of audience ``high_intent_cart``."""


def test_no_event_is_lost_or_doubled_when_daemon_and_code_server_are_killed(tmp_path: Path) -> None:
    draw = random.Random(20)
    with site(tmp_path / "home", PEOPLE, monitoring=MONITORING) as place:
        place.start_dagster()
        place.start_receiver()
        place.wait(lambda: place.runs(statuses=["SUCCESS"]) and quiet(place), 240, "the first run does not end")
        who = outside(place)
        victims = iter(VICTIMS)
        for number, cio_id in enumerate(who):
            place.edit(action="fill_cart", cio_id=cio_id, value=CART)
            time.sleep(draw.uniform(0, LONGEST_PAUSE_S))
            if number % 2 == 0:
                killed = next(victims)
                for name in killed:
                    place.kill(name)
                time.sleep(draw.uniform(0, LONGEST_PAUSE_S))
                for name in killed:
                    place.start(name)
        place.wait(lambda: set(who) <= right(place), 300, "not everybody's state is right in HubSpot")
        place.wait(lambda: quiet(place), 300, "runs go on")
        with Warehouse(Settings().warehouse_path).read() as con:
            landed = con.execute("SELECT cio_id, count(*) FROM raw.moments GROUP BY cio_id").fetchall()
        assert sorted(landed) == sorted((cio_id, 1) for cio_id in who)
        owned = [c["cio_id"] for c in hubspot(place)["contacts"].values() if c.get("cio_id")]
        assert len(owned) == len(set(owned))


def quiet(place: Site) -> bool:
    return not place.runs(statuses=LIVE)


def outside(place: Site) -> list[str]:
    """Return people with an e-mail and two orders who are not in the segment of high intent carts."""
    with Warehouse(Settings().warehouse_path).read() as con:
        inside = {r[0] for r in con.execute("SELECT cio_id FROM raw.memberships").fetchall()}
    everybody = httpx.get(
        f"{place.vendors['customerio']}/v1/segments/10/membership",
        headers={"authorization": "Bearer sandbox-app-key"},
        timeout=30,
        verify=False,
    ).json()["identifiers"]
    regular = [p["cio_id"] for p in everybody if p.get("email") and "@" in p["email"] and p["cio_id"] not in inside]
    return sorted(regular)[:EVENTS]


def hubspot(place: Site) -> dict[str, Any]:
    found = httpx.get(
        f"{place.vendors['hubspot']}/_sandbox/state", params={"vendor": "hubspot"}, timeout=60, verify=False
    )
    return dict(found.json()["hubspot"])


def right(place: Site) -> set[str]:
    """Return who has the tier of the cart and is in the audience's list, in HubSpot."""
    state = hubspot(place)
    (listed,) = (set(found["members"]) for found in state["lists"] if "High Intent Cart" in found["name"])
    return {
        c["cio_id"]
        for number, c in state["contacts"].items()
        if c.get("cio_cart_value_tier") == "mid" and number in listed
    }
