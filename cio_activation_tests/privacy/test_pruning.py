"""Old decisions, deliveries, findings and refusals go, and whoever decides or sends after that misses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from cio_activation.activation.models import Workspace
from cio_activation.audience.desks import rotations_given
from cio_activation.privacy.pruning import prune_rows
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers import builders

DAY = timedelta(days=1)
NOW = datetime(2027, 11, 1)
OLD, YOUNG = NOW - 500 * DAY, NOW - 10 * DAY


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return builders.runtime(tmp_path_factory.mktemp("pruning"), builders.activation(workspace=Workspace()))


@pytest.fixture(autouse=True)
def _empty(home: Runtime) -> Iterator[None]:
    yield
    with home.warehouse.write() as con:
        for table in (
            "audience.decisions", "audience.eligibility", "audience.counts", "audience.memberships", "audience.handovers",
            "audience.assignments", "delivery.actions", "delivery.ledger", "delivery.plans", "delivery.rejected",
            "delivery.audits", "delivery.audit_findings", "quarantine.rows", "outcome.entries", "delivery.scopes",
            "audience.rotations",
        ):  # fmt: skip
            con.execute(f"DELETE FROM {table}")


def given(home: Runtime, table: str, *rows: dict[str, Any]) -> None:
    with home.warehouse.write() as con:
        for row in rows:
            names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
            con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def left(home: Runtime, table: str, column: str) -> list[Any]:
    with home.warehouse.read() as con:
        return [value for (value,) in con.execute(f"SELECT {column} FROM {table} ORDER BY ALL").fetchall()]


def test_decisions_go_but_those_of_spells_that_go_on(home: Runtime) -> None:
    same = {"audience": "vip", "decision": "withheld", "code": "cooldown"}
    rows = [("gone", OLD, 1), ("again", OLD, 2), ("on", OLD, 3), ("young", YOUNG, 4)]
    for cio_id, at, number in rows:
        given(home, "audience.decisions", {**same, "cio_id": cio_id, "as_of": at, "sequence": number})
    given(home, "audience.eligibility", {"audience": "vip", "cio_id": "again", "since": OLD + DAY})
    given(home, "audience.eligibility", {"audience": "vip", "cio_id": "on", "since": OLD})
    for at in (OLD, OLD + DAY):
        given(home, "audience.counts", {"audience": "vip", "as_of": at, "people": 1})
    assert prune_rows(home, NOW) == {"audience.decisions": 2, "audience.counts": 1}
    assert left(home, "audience.decisions", "cio_id") == ["on", "young"]
    assert left(home, "audience.counts", "as_of") == [OLD + DAY]
    assert prune_rows(home, NOW) == {}


def test_who_was_to_act_goes_with_the_entry_and_turns_are_still_counted(home: Runtime) -> None:
    ended = {"over": OLD, "taken_up": OLD, "young": YOUNG, "on": None}
    for entry, exited in ended.items():
        given(home, "audience.memberships", {"audience": "vip", "entry_id": entry, "exited_at": exited})
        rotated = {"audience": "vip", "entry_id": entry, "destination": "hubspot", "owner_from": "rotation"}
        given(home, "audience.assignments", rotated)
        given(home, "audience.handovers", {"entry_id": entry})
    given(home, "delivery.actions", {"entry_id": "taken_up"}, {"entry_id": "over", "ended_at": OLD}, {"entry_id": None})
    assert prune_rows(home, NOW, piece=1) == {"audience.handovers": 1, "audience.assignments": 1}
    assert left(home, "audience.assignments", "entry_id") == ["on", "taken_up", "young"]
    with home.warehouse.read() as con:
        assert con.execute(f"SELECT {rotations_given('vip', 'hubspot')}").fetchall() == [(4,)]


def test_the_ledger_goes_but_what_is_still_read(home: Runtime) -> None:
    same = {"destination": "hubspot", "step": "s", "end": "delivered", "payload": "{}", "plan_id": "p1"}
    flag = '{"audiences": "{\\"in\\": [\\"vip\\"]}"}'
    given(
        home,
        "delivery.ledger",
        {**same, "cio_id": "old", "window_end": OLD, "intent_at": OLD},
        {**same, "cio_id": "young", "window_end": YOUNG, "intent_at": YOUNG},
        {**same, "cio_id": "newest plan", "window_end": OLD, "intent_at": OLD, "plan_id": "p2"},
        {**same, "cio_id": "in doubt", "window_end": OLD, "intent_at": OLD, "end": "retry"},
        {**same, "cio_id": "answered", "window_end": OLD, "intent_at": OLD, "end": "retry"},
        {**same, "cio_id": "answered", "window_end": OLD, "intent_at": OLD + DAY},
        {**same, "cio_id": "member", "window_end": OLD, "intent_at": OLD, "payload": flag},
        {**same, "cio_id": "left", "window_end": OLD, "intent_at": OLD, "payload": flag},
    )
    given(home, "delivery.plans", {"destination": "hubspot", "step": "s", "plan_id": "p1", "made_at": OLD})
    given(home, "delivery.plans", {"destination": "hubspot", "step": "s", "plan_id": "p2", "made_at": OLD + DAY})
    given(home, "audience.memberships", {"audience": "vip", "cio_id": "member", "entered_at": OLD})
    given(home, "audience.memberships", {"cio_id": "left", "entered_at": OLD, "exited_at": OLD + DAY})
    given(home, "outcome.entries", {"audience": "vip", "entered_at": OLD})
    assert prune_rows(home, NOW) == {}, "a measured entry of then is not over"
    with home.warehouse.write() as con:
        con.execute("DELETE FROM outcome.entries")
    # The answered one goes with the answer: in pieces it may take another pruning.
    assert sum(prune_rows(home, NOW).values()) + sum(prune_rows(home, NOW).values()) >= 4
    assert left(home, "delivery.ledger", "cio_id") == ["in doubt", "member", "newest plan", "young"]


def test_what_was_rejected_found_and_refused_goes_but_the_newest(home: Runtime) -> None:
    given(home, "delivery.rejected", {"cio_id": "forgotten", "refused_at": OLD}, {"cio_id": "on", "refused_at": YOUNG})
    for audit, at in (("a1", OLD), ("a2", OLD + DAY)):
        given(home, "delivery.audits", {"audit_id": audit, "destination": "hubspot", "ended_at": at})
        given(home, "delivery.audit_findings", {"audit_id": audit, "found_at": at})
    key = {"layer": "raw", "lane": "daily"}
    for window in ("2026-01-01", "2026-01-02", "2027-10-30"):
        given(home, "quarantine.rows", {**key, "window_key": window})
    given(home, "quarantine.rows", {**key, "layer": "moments", "window_key": "2026-01-01"})
    given(home, "quarantine.rows", {**key, "layer": "payload", "window_key": "2026-01-01"})
    assert prune_rows(home, NOW) == {
        "delivery.rejected": 1, "delivery.audit_findings": 1, "delivery.audits": 1, "quarantine.rows": 2,
    }  # fmt: skip
    assert left(home, "delivery.audits", "audit_id") == ["a2"]
    assert left(home, "quarantine.rows", "layer") == ["moments", "payload", "raw"]
