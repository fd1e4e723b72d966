"""From a decision to somebody who acts and back, in a whole town: asked once, heard, taken back, left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.resync import leave_account
from cio_activation.delivery.run import run_step
from cio_activation.destinations import DESTINATIONS
from cio_activation.outcome.actions import take_back
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.tables import noting
from cio_activation_tests.drivers.town import Town, town

DAY = timedelta(days=1)
CX = "cx@example.com"
ACTION = "{subject: 'Cart of {cart_value}', body: Offer help by phone., owner: audience_owner}"
CARTS = 6


def activation(vendor: str) -> str:
    """Return the small activation with an action in one CRM for whoever left a hot cart."""
    hubspot, pipedrive = {
        "pipedrive": ("{list: true}", f"{{flag: true, activity: {ACTION}}}"),
        "hubspot": (f"{{list: true, task: {ACTION}}}", "{flag: true}"),
    }[vendor]
    before, cart, after = lanes.ACTIVATION.partition("hot_cart: {")
    first = "{hubspot: {list: true}, pipedrive: {flag: true}}"
    asked = after.replace(first, f"{{hubspot: {hubspot}, pipedrive: {pipedrive}}}", 1)
    asked = asked.replace("expires_after: 48h", "expires_after: 5h", 1)
    return f"{before}{cart}launch: {{baseline: include}}, gate: cart_value > 0, {asked}"


class Pipedrive:
    """What the tests do and see in Pipedrive's stand-in."""

    name, word = "pipedrive", "activity"
    change = ("PATCH", "/api/v2/activities/*")

    def __init__(self, here: Town) -> None:
        self.here = here
        self.owner = int(here.by_hand(self.name, "add_user", name="Cleo", email=CX, timezone="America/New_York")["id"])

    def ours(self) -> dict[int, dict[str, Any]]:
        there = self.here.there[self.name]["activities"]
        return {int(a["id"]): a for a in there if "[activity:" in (a.get("note") or "")}

    def open(self) -> list[int]:
        return [i for i, a in self.ours().items() if not a["done"] and not a.get("is_deleted")]

    def complete(self, action: int) -> None:
        self.here.by_hand(self.name, "complete_activity", activity=action)

    def put_off(self, action: int, day: str) -> None:
        self.here.by_hand(self.name, "set_activity", activity=action, due_date=day)

    def subject(self, action: int) -> str:
        return str(self.ours()[action]["subject"])


class HubSpot:
    """What the tests do and see in HubSpot's stand-in."""

    name, word = "hubspot", "task"
    change = ("POST", "*/tasks/batch/update")

    def __init__(self, here: Town) -> None:
        self.here = here
        here.by_hand(self.name, "add_owner", email=CX, first_name="Cleo")

    def ours(self) -> dict[str, dict[str, Any]]:
        there = self.here.there[self.name]["tasks"]
        return {str(t["id"]): t for t in there if "[task:" in (t["properties"].get("hs_task_body") or "")}

    def open(self) -> list[str]:
        return [i for i, t in self.ours().items() if t["properties"]["hs_task_status"] != "COMPLETED"]

    def complete(self, action: str) -> None:
        self.here.by_hand(self.name, "complete_task", id=action)

    def put_off(self, action: str, day: str) -> None:
        due = {"hs_timestamp": f"{day}T09:00:00Z"}
        self.here.by_hand(self.name, "set_task", id=action, properties=due)

    def subject(self, action: str) -> str:
        return str(self.ours()[action]["properties"]["hs_task_subject"])


CRM = {destination.name: destination for destination in DESTINATIONS}
CRMS = {crm.name: crm for crm in (HubSpot, Pipedrive)}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path / "home", people=60) as made:
        yield made


def asking(here: Town, vendor: str, limits: str = "") -> Any:
    """Have some people leave their carts, and run both lanes until somebody is asked to call them."""
    there = CRMS[vendor](here)
    here.activation = lanes.small_activation(here.home, activation(vendor) + limits)
    here.runtime = lanes.build_runtime(here.home, here.sandbox.environment(), here.activation)
    for who in here.people()[:CARTS]:
        here.act("fill_cart", cio_id=who, value=150.0)
    here.wait(timedelta(hours=3))
    here.settle()
    return there


def exits(here: Town) -> dict[str, int]:
    ended = "SELECT exit_reason, count(*) FROM audience.memberships WHERE audience = 'hot_cart' GROUP BY 1"
    return dict(here.query(ended))


@pytest.mark.parametrize("vendor", sorted(CRMS))
def test_everybody_who_enters_is_asked_for_once_and_a_done_action_ends_it(here: Town, vendor: str) -> None:
    there = asking(here, vendor)
    assert len(there.open()) == CARTS + 1  # one of the town left a cart anyway
    assert there.subject(there.open()[0]) == "Cart of 150 USD"
    since = here.mark()
    again = here.run(Lane.REALTIME)
    assert (here.writes(since), again.decided[f"feedback/{vendor}"].calls) == ([], 0)
    done = there.open()[0]
    there.complete(done)
    here.wait(timedelta(minutes=20))
    here.run(Lane.REALTIME)
    assert (exits(here).get("done"), here.query("SELECT act FROM feedback.acts")) == (1, [("done",)])
    assert len(there.open()) == CARTS
    with here.runtime.warehouse.write() as con:
        counts = take_back(con, "hot_cart", here.now.replace(tzinfo=None), "too many at once", "a person")
    assert counts == {vendor: CARTS}
    step = next(s for s in CRM[vendor].steps(here.activation) if s.name == f"{there.word}/hot_cart")
    report = run_step(here.runtime, CRM[vendor], step, here.window(Lane.REALTIME), "plan first")
    assert report.by_kind == {f"withdraw_{there.word}": CARTS}, "planned before it is decided anew"
    here.run(Lane.REALTIME)
    assert (there.open(), exits(here)["withdrawn"]) == ([], CARTS)
    leave_account(here.runtime, CRM[vendor])
    for table in (
        "delivery.actions",
        "audience.assignments",
        "feedback.owners",
        "feedback.contexts",
        "feedback.readings",
    ):
        assert here.query(f"SELECT count(*) FROM {table} WHERE destination = '{vendor}'") == [(0,)], table


@pytest.mark.parametrize("vendor", sorted(CRMS))
def test_what_a_human_puts_off_stays_and_all_else_is_taken_back_when_its_time_is_over(here: Town, vendor: str) -> None:
    there = asking(here, vendor)
    put_off = there.open()[0]
    there.put_off(put_off, f"{(here.now + 5 * DAY):%Y-%m-%d}")
    here.wait(timedelta(minutes=20))
    here.run(Lane.REALTIME)
    here.wait(timedelta(hours=6))
    here.run(Lane.REALTIME)
    assert put_off in there.open()
    assert exits(here).get("expired", 0) >= CARTS - 1
    assert here.query("SELECT act FROM feedback.acts") == [("snoozed",)], "what we took back ourselves is no act"


@pytest.mark.parametrize("vendor", sorted(CRMS))
def test_what_we_wrote_and_got_no_answer_to_is_no_humans_work(here: Town, vendor: str) -> None:
    """The next reading comes before anybody finds out what became of the write."""
    there = asking(here, vendor)
    method, path = there.change
    here.fault(vendor=vendor, kind="reset", when="after", method=method, path=path, times=200)
    for who in here.people()[:CARTS]:
        here.act("fill_cart", cio_id=who, value=180.0)
    here.wait(timedelta(minutes=20))
    here.run(Lane.REALTIME)
    assert {there.subject(action) for action in there.open()} >= {"Cart of 180 USD"}, "it had arrived"
    here.clear_faults()
    here.wait(timedelta(minutes=20))
    here.settle()
    assert here.query("SELECT act FROM feedback.acts") == []
    assert here.query("SELECT DISTINCT status FROM delivery.actions") == [("open",)]
    here.wait(timedelta(hours=6))
    here.settle()
    assert there.open() == [], "and it is taken back when its time is over"


@pytest.mark.parametrize("vendor", sorted(CRMS))
def test_who_waits_is_asked_about_once_a_while_and_enters_when_somebody_is_free(here: Town, vendor: str) -> None:
    there = asking(here, vendor, "limits: {capacity: {open_per_owner: 2}}\n")
    assert len(there.open()) == 2
    again = here.run(Lane.REALTIME).decided[f"feedback/{vendor}"]
    assert (again.calls, again.entrants) == (0, CARTS - 1), "a moment ago is soon enough"
    with here.runtime.warehouse.write() as con, noting(con, "feedback.contexts"):
        con.execute("UPDATE feedback.contexts SET read_at = read_at - INTERVAL 1 HOUR")
    calls = here.run(Lane.REALTIME).decided[f"feedback/{vendor}"].calls
    assert (calls > 0) is (vendor == "hubspot"), "in Pipedrive whoever waits has no record yet"
    there.complete(there.open()[0])
    here.wait(timedelta(minutes=20))
    here.run(Lane.REALTIME)
    assert (len(there.open()), len(there.ours())) == (2, 3)
