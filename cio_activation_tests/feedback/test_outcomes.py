"""What humans write of an outreach on the record, in a whole town that lives at one time: read, followed, told on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery import unmatched
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.feedback.test_follow_through import ACTION, CX
from cio_activation_tests.life.clock import simulated

OUTCOME, ON, ACTIVE = "cio_outreach_outcome", "cio_outreach_outcome_on", "cio_cx_outreach_active"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEGIN = lanes.START + DAY
CARTS = 7


class Record:
    """A person's record in one of the CRMs, as a human sees and edits it there."""

    def __init__(self, here: Town, vendor: str) -> None:
        self.here, self.vendor = here, vendor
        if vendor == "hubspot":
            here.by_hand(vendor, "add_owner", email=CX, first_name="Cleo")
        else:
            here.by_hand(vendor, "add_user", name="Cleo", email=CX, timezone="America/New_York")

    def of(self, cio_id: str) -> tuple[str, dict[str, Any]]:
        there = self.here.there[self.vendor]
        if self.vendor == "hubspot":
            return next((i, c) for i, c in there["contacts"].items() if c.get("cio_id") == cio_id)
        found = next(p for p in there["persons"].values() if p["custom_fields"].get("cio_id") == cio_id)
        return str(found["id"]), found["custom_fields"]

    def write(self, cio_id: str, **values: str) -> None:
        record_id, _ = self.of(cio_id)
        if self.vendor == "hubspot":
            self.here.by_hand(self.vendor, "set", id=record_id, properties=values)
        else:
            for field, value in values.items():
                self.here.by_hand(self.vendor, "set_field", person=int(record_id), field=field, value=value)

    def codes(self) -> list[str]:
        """Return what the fields are called in requests."""
        found = self.here.query(f"SELECT catalog FROM delivery.catalog WHERE destination = '{self.vendor}'")
        return [str(json.loads(found[0][0])[f"field:{name.removeprefix('cio_')}"]) for name in (OUTCOME, ON, ACTIVE)]

    def actions(self, cio_id: str) -> list[tuple[str, bool]]:
        """Return id and whether it is done of our actions about a person, oldest first."""
        record_id, _ = self.of(cio_id)
        there = self.here.there[self.vendor]
        if self.vendor == "hubspot":
            found = [t for t in there["tasks"] if record_id in t["contacts"] and not t["archived"]]
            return [(t["id"], t["properties"]["hs_task_status"] == "COMPLETED") for t in found]
        activities = [a for a in there["activities"] if str(a["person_id"]) == record_id]
        return [(str(a["id"]), bool(a["done"])) for a in activities]

    def done(self, cio_id: str) -> None:
        action, _ = self.actions(cio_id)[-1]
        if self.vendor == "hubspot":
            self.here.by_hand(self.vendor, "complete_task", id=action)
        else:
            self.here.by_hand(self.vendor, "complete_activity", activity=int(action))


class LivingTown(Town):
    """A town in which the project lives at the stand-ins' time."""

    clock: Any = None

    def wait(self, duration: timedelta) -> None:
        if self.clock is not None:
            self.clock.set((self.now + duration).timestamp())
        super().wait(duration)

    def quarter(self, duration: timedelta = timedelta(minutes=15)) -> Any:
        """Let time pass, and run the real-time lane."""
        self.wait(duration)
        return self.run(Lane.REALTIME)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LivingTown]:
    with simulated(BEGIN.timestamp()) as clock:
        monkeypatch.setattr(LivingTown, "clock", clock)
        monkeypatch.setattr("cio_activation_tests.drivers.town.Town", LivingTown)
        with town(tmp_path / "home", people=40, dirty_share=0.0) as made:
            assert isinstance(made, LivingTown)
            yield made


def activation(vendor: str) -> str:
    """Return an activation that asks in one CRM about whoever left a cart, and reads what came of it."""
    asks = {"hubspot": f"list: true, task: {ACTION}", "pipedrive": f"flag: true, activity: {ACTION}"}[vendor]
    paces = {"hubspot": "{rate_share: 1.0, requests_per_10s: 1000}", "pipedrive": "{requests_per_2s: 4000}"}[vendor]
    return f"""
workspace: {{timezone: UTC, realtime_window: 15m, purchase_attribute: last_order_at}}
attributes: {{last_order_at: {{type: timestamp}}, cart_value: {{type: money}}, orders_count: {{type: integer}}}}
properties: {{orders: {{value: orders_count, lane: daily, owner: cx@example.com}}}}
audiences:
  hot_cart: {{label: RET - Hot cart, owner: cx@example.com, segment: 2, lane: realtime, gate: cart_value > 0,
             cooldown: 2h, launch: {{baseline: include}}, respect_handled: false, deliver: {{{vendor}: {{{asks}}}}},
             outcomes: {{no_answer: {{retry: {{after: 2h, max: 1}}}}, bad_timing: {{snooze: 6h}}}}}}
limits: {{human_touches_per_person: {{max: 9}}}}
outreach_outcomes:
destinations: {{{vendor}: {paces}, customerio: {{}}}}
"""


def entries(here: Town) -> dict[str, str]:
    found = """SELECT cio_id, string_agg(coalesce(exit_reason, 'in'), ',' ORDER BY number)
        FROM audience.memberships GROUP BY ALL"""
    return dict(here.query(found))


def told(here: Town, cio_id: str) -> tuple[str | None, str | None]:
    """Return what Customer.io shows of a person: active, outcome."""
    held = here.world.custom.get(cio_id, {})
    return held.get("cx_outreach_active") or None, held.get("cx_outreach_outcome") or None


def written(found: Any, names: set[str]) -> list[Any]:
    """Return the values of all keys ``names``, however deep."""
    if isinstance(found, list):
        return [value for one in found for value in written(one, names)]
    if not isinstance(found, dict):
        return []
    return [v for k, v in found.items() if k in names] + [x for v in found.values() for x in written(v, names)]


@pytest.mark.parametrize("vendor", ["hubspot", "pipedrive"])
def test_each_outcome_leads_to_what_was_declared(here: LivingTown, vendor: str) -> None:
    there = Record(here, vendor)
    here.activation = lanes.small_activation(here.home, activation(vendor))
    here.runtime = lanes.build_runtime(here.home, here.sandbox.environment(), here.activation)
    people = here.people()[:CARTS]
    won, lost, later, wrong, missed, idle, waits = people
    for who in people:
        here.act("fill_cart", cio_id=who, value=150.0)
    here.wait(3 * HOUR)
    here.run(Lane.DAILY)
    here.run(Lane.REALTIME)
    assert all([done for _, done in there.actions(who)] == [False] for who in people)
    for who in (won, later, wrong, missed, idle):
        there.done(who)
    there.write(won, **{OUTCOME: "converted"})
    there.write(lost, **{OUTCOME: "not_interested", ON: f"{here.now:%Y-%m-%d}"})
    there.write(later, **{OUTCOME: "bad_timing", ON: f"{here.now + DAY:%Y-%m-%d}"})
    there.write(wrong, **{OUTCOME: "wrong_person"})
    there.write(missed, **{OUTCOME: "no_answer"})
    here.quarter()
    said = {won: "outcome", lost: "outcome", later: "outcome", wrong: "outcome", missed: "in", idle: "done"}
    assert {who: how for who, how in entries(here).items() if who in people} == {**said, waits: "in"}
    assert there.actions(lost)[0][1], "what nobody has to do any more is taken back"
    assert [told(here, who) for who in (won, lost, missed, idle, waits)] == [
        ("false", "converted"), ("false", "not_interested"), ("false", "no_answer"), ("false", None), ("true", None),
    ]  # fmt: skip
    with here.runtime.warehouse.read() as con:
        assert [(p["cio_id"], p["reason"]) for p in unmatched.people(con) if p["cio_id"] == wrong] == [
            (wrong, unmatched.WRONG_PERSON)
        ]
    linked = f"destination = '{vendor}' AND record_id IS NOT NULL"
    idle_ones = f"{linked} AND cio_id NOT IN (SELECT cio_id FROM delivery.actions)"
    (marked,) = here.query(f"SELECT min(cio_id) FROM delivery.links WHERE {idle_ones}")[0]
    there.write(marked, **{ACTIVE: "true"})
    mark = here.mark()
    here.quarter(HOUR)
    assert len(there.actions(missed)) == 1, "two hours after it, not one"
    assert told(here, marked) == ("true", None)
    there.write(marked, **{ACTIVE: "false"})
    here.quarter(HOUR)
    assert told(here, marked) == ("false", None)
    assert ([done for _, done in there.actions(missed)], entries(here)[missed]) == ([True, False], "in")
    assert told(here, missed) == ("true", None), "what came of this attempt nobody has said"
    there.done(missed)
    there.write(missed, **{ON: f"{here.now:%Y-%m-%d}"})  # once more nobody was reached
    here.quarter()
    assert entries(here)[missed] == "outcome", "there was one more attempt, and no other"
    here.quarter(9 * HOUR)
    assert entries(here)[later] == "outcome", "the day counts, and not the span"
    here.wait(BEGIN + DAY - here.now)
    here.quarter()
    assert entries(here) | {later: "outcome,in"} == entries(here)
    assert {who: entries(here)[who] for who in (won, lost, wrong, missed)} == dict.fromkeys(
        (won, lost, wrong, missed), "outcome"
    )
    assert there.of(later)[1].get(OUTCOME) in (None, "")
    assert [told(here, who) for who in (later, won)] == [("true", None), ("false", "converted")]
    names = {OUTCOME, ON, ACTIVE} | set(there.codes())
    assert set(written([e.request for e in here.writes(0)], names) or [""]) <= {"", None}
    assert len(here.query("SELECT 1 FROM delivery.ledger WHERE kind = 'clear_outcome'")) == 1
    assert here.mark() > mark


@pytest.mark.parametrize("vendor", ["hubspot", "pipedrive"])
def test_what_is_written_long_after_an_action_is_not_of_it(here: LivingTown, vendor: str) -> None:
    """Humans write there of work of their own, too; a better answer within days is one."""
    there = Record(here, vendor)
    here.activation = lanes.small_activation(here.home, activation(vendor))
    here.runtime = lanes.build_runtime(here.home, here.sandbox.environment(), here.activation)
    soon, late = here.people()[:2]
    for who in (soon, late):
        here.act("fill_cart", cio_id=who, value=150.0)
    here.wait(3 * HOUR)
    here.run(Lane.DAILY)
    here.run(Lane.REALTIME)
    for who in (soon, late):
        there.done(who)
        there.write(who, **{OUTCOME: "converted", ON: f"{here.now:%Y-%m-%d}"})
    here.quarter()
    here.wait(2 * DAY)
    there.write(soon, **{OUTCOME: "not_interested", ON: f"{here.now:%Y-%m-%d}"})
    here.quarter()
    here.wait(10 * DAY)
    there.write(late, **{OUTCOME: "no_answer", ON: f"{here.now:%Y-%m-%d}", ACTIVE: "true"})
    here.quarter()  # the box has it read
    there.write(late, **{ACTIVE: "false"})
    here.quarter()
    outcomes = here.query("SELECT cio_id, detail FROM feedback.acts WHERE act = 'outcome' ORDER BY happened_at, detail")
    assert sorted(d for who, d in outcomes if who == soon) == ["converted", "not_interested"]
    assert [d for who, d in outcomes if who == late] == ["converted"]
    assert here.query(f"SELECT outcome FROM feedback.outcome_fields WHERE record_id = '{there.of(late)[0]}'") == [
        ("no_answer",)
    ]
