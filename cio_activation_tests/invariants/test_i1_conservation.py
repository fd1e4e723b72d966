"""I1: every planned operation ends as delivered, rejected and queued, unneeded, or held; the counts add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import given, settings

from cio_activation.activation.models import Lane
from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import attempts
from cio_activation_tests.drivers.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.forms import some
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
COLUMNS = "plan_id, step, status, planned, delivered, rejected, unneeded, held"


def plans(town: Town) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Yield every plan's row with the operation ids of its file."""
    files = {path.stem: path for path in (town.home / "plans").rglob("*.parquet")}
    for row in town.query(f"SELECT {COLUMNS} FROM delivery.plans WHERE planned > 0"):
        found = dict(zip(COLUMNS.split(", "), row, strict=True))
        yield found, set(_ids(files[found["plan_id"]]))


def _ids(path: Path) -> list[str]:
    return list(pq.read_table(path, columns=["operation_id"]).column(0).to_pylist())


def traces(town: Town) -> dict[tuple[str, str], str]:
    """Return (plan, operation) -> its last end, from the ledger and, if the outcome is still open, the journal."""
    found = {
        (p, o): e
        for p, o, e in town.query('SELECT plan_id, operation_id, "end" FROM delivery.ledger ORDER BY ended_at')
    }
    journal = Journal(town.runtime.settings.journal)
    with journal.engine.connect() as con:
        rows = con.execute(sa.select(attempts.c.plan_id, attempts.c.operation_id, attempts.c.end)).all()
    journal.close()
    return found | {(p, o): e for p, o, e in rows}


def check_conservation(town: Town) -> Counter[str]:
    """Fail unless every operation of every plan file is accounted for by name; return the ends."""
    ends = traces(town)
    seen: Counter[str] = Counter()
    for plan, operations in plans(town):
        assert plan["planned"] == len(operations)
        assert plan["status"] != "sending"
        told = {name: plan[name] for name in ("delivered", "rejected", "unneeded", "held")}
        assert sum(told.values()) == plan["planned"], plan
        really = Counter(ends.get((plan["plan_id"], o), "never sent") for o in operations)
        assert told["delivered"] == really["delivered"], (plan, really)
        assert told["rejected"] == really["rejected"], (plan, really)
        uncertain = really["retry"] + really["unknown"] + really["sending"]
        assert told["unneeded"] + told["held"] == uncertain + really["unneeded"] + really["never sent"], (
            plan,
            really,
        )
        seen.update(told)
    return seen


def check_queue(town: Town) -> None:
    """Fail unless every refusal that still stands is queued with a reason, and with a next try or as parked."""
    assert town.query("SELECT * FROM delivery.rejected WHERE reason IS NULL OR attempts < 1") == []
    last = 'SELECT operation_id, arg_max("end", ended_at) AS last FROM delivery.ledger GROUP BY operation_id'
    assert (
        town.query(
            f"FROM delivery.rejected JOIN ({last}) USING (operation_id) WHERE last = 'delivered' AND field IS NULL"
        )
        == []
    )


@settings(TOWNS, max_examples=HISTORIES)
@given(events=histories(RUNS, WAITS, FAULTS, FAULTS, size=14))
def test_nothing_planned_is_unaccounted_for(make_town: MakeTown, events: list[Event]) -> None:
    town = make_town()
    play(town, [*events, ("run", Lane.DAILY), ("run", Lane.REALTIME)])
    town.clear_faults()
    for lane in Lane:  # closes what a failed run left
        town.run(lane)
    assert check_conservation(town)["delivered"] > 0
    check_queue(town)


@pytest.mark.parametrize(
    ("path", "step", "refused"),
    some([
        # One refusal of a whole batch is split until the guilty stands alone; here all the halves go through.
        ("*/contacts/batch/update", "hubspot/properties_daily", 0),
        ("*/memberships/*", "hubspot/list/asked_where", 0),
        # And one of a single record is taken apart by its fields.
        ("/api/v2/persons/*", "pipedrive/fields_daily", 0),
    ]),
)  # fmt: skip
def test_what_is_refused_is_queued_and_all_else_goes_through(
    make_town: MakeTown, path: str, step: str, refused: int
) -> None:
    town = make_town()
    town.settle()
    linked = "SELECT cio_id FROM delivery.links WHERE destination = 'pipedrive' AND record_id IS NOT NULL"
    for (who,) in town.query(f"{linked} ORDER BY cio_id LIMIT 4"):
        town.act("place_order", cio_id=who, value=77.0)
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(days=1))
    town.fault(kind="status", status=400, body={"category": "VALIDATION_ERROR"}, times=1, path=path)
    report = town.run(Lane.DAILY).reports[step]
    assert (report.planned >= 2, report.rejected, report.held) == (True, refused, 0)
    check_conservation(town)
    check_queue(town)
    assert town.query("SELECT count(*) FROM delivery.rejected") == [(refused,)]
    town.clear_faults()
    town.wait(timedelta(days=2))
    town.settle()
    assert town.query("SELECT * FROM delivery.rejected") == []
    assert town.differences() == []


def test_an_outcome_learned_later_is_counted_where_it_was_planned(make_town: MakeTown) -> None:
    town = make_town()
    town.fault(kind="reset", when="after", times=1, method="POST", path="/api/v2/persons")
    (lost,) = (r for r in town.run(Lane.DAILY).reports.values() if r.held)
    told = f"SELECT planned, delivered, held FROM delivery.plans WHERE plan_id = '{lost.plan_id}'"
    assert town.query(told) == [(lost.planned, lost.planned - 1, 1)]
    town.clear_faults()
    town.run(Lane.DAILY)
    assert town.query(told) == [(lost.planned, lost.planned, 0)]
    check_conservation(town)
