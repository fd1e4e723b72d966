"""The order of a plan and where a budget cuts it, on plans drawn at random."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import DestinationLimits, Lane
from cio_activation.delivery.deferred import defer, forget_unwanted
from cio_activation.delivery.destination import EXIT, Context
from cio_activation.delivery.order import BUDGET, HELD_FOR, arrange
from cio_activation.journal.days import Allowance
from cio_activation.warehouse.scope import EVERYONE
from cio_activation_tests.drivers import builders

RANKED = builders.activation(
    builders.tier("size", "toy"), destinations={"toy": DestinationLimits(priority="size DESC, amount DESC")}
)
PLAIN = builders.activation(builders.tier("size", "toy"), destinations={"toy": DestinationLimits()})
SIZES = RANKED.properties["size"].labels
NEVER = datetime(2026, 11, 21, tzinfo=UTC)

operation = st.fixed_dictionaries(
    {
        "priority": st.sampled_from([0, 0, 0, 500, EXIT]),
        "group": st.sampled_from(["update", "create"]),
        "size": st.sampled_from([None, *SIZES]),
        "amount": st.integers(0, 3),
        "held": st.sampled_from([None, None, None, 1, 2]),
    }
)


def planned(run: Any, con: Any, rows: list[dict[str, Any]]) -> Context:
    """Fill a plan, people and who was left over on which day; return the context of the fifth day."""
    con.execute("CREATE OR REPLACE TEMP TABLE planned (operation_id VARCHAR, cio_id VARCHAR, target VARCHAR, "
                "priority INTEGER, batch_group VARCHAR)")  # fmt: skip
    con.execute("CREATE OR REPLACE TABLE state.daily_properties (cio_id VARCHAR, size VARCHAR)")
    con.execute("CREATE OR REPLACE TABLE raw.people (cio_id VARCHAR, amount DOUBLE)")
    for number, row in enumerate(rows):
        one = f"p{number:03d}"
        con.execute("INSERT INTO planned VALUES (?, ?, NULL, ?, ?)", [f"o{number}", one, row["priority"], row["group"]])
        con.execute("INSERT INTO state.daily_properties VALUES (?, ?)", [one, row["size"]])
        con.execute("INSERT INTO raw.people VALUES (?, ?)", [one, row["amount"]])
        if row["held"]:
            since = datetime(2026, 11, row["held"])
            con.execute(
                "INSERT INTO delivery.deferred (destination, step, cio_id, since) VALUES ('toy', 'people', ?, ?)",
                [one, since],
            )
    return Context(run.settings, run.activation, builders.window(5))


def step(size: int) -> Any:
    return SimpleNamespace(name="people", lane=Lane.DAILY, batch_size=size, tokens_per_call=5)


def rank(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what has to go earlier, as smaller."""
    size = SIZES.index(row["size"]) if row["size"] else -1
    return (row["priority"] < EXIT, row["held"] or 9, -row["priority"], -size, -row["amount"])


@given(st.lists(operation, min_size=1, max_size=40), st.integers(1, 7), st.integers(0, 100), st.integers(0, 60))
@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
def test_the_most_urgent_fill_the_budget(
    tmp_path: Path, rows: list[dict[str, Any]], size: int, exits: int, kept: int
) -> None:
    run = builders.runtime(tmp_path, RANKED)
    allowance = Allowance("tokens", float(exits), float(max(exits - kept, 0)), NEVER)
    with run.warehouse.preview() as con:
        context = planned(run, con, rows)
        made = arrange(con, step(size), "toy", context, "planned", allowance)
        found = con.execute(f"SELECT operation_id, {HELD_FOR} FROM ({made.select})").fetchall()
    order = [(rows[int(name[1:])], why) for name, why in found]
    assert Counter(name for name, _ in found) == Counter(f"o{n}" for n in range(len(rows)))
    going = [row for row, why in order if why is None]
    waiting = [row for row, why in order if why is not None]
    assert {why for _, why in order} <= {None, BUDGET}
    assert [why for _, why in order] == [None] * len(going) + [BUDGET] * len(waiting)
    assert made.over_budget == len(waiting)
    # Batches are as full as can be, and each costs one call of five tokens.
    groups = Counter(row["group"] for row in rows)
    batches = _batches([row for row, _ in order], size)
    assert len(batches) == sum(-(-n // size) for n in groups.values())
    assert made.units == 5 * len(batches)
    # Within a group nobody goes before somebody who is more urgent, and batches go by their most urgent one.
    for group in groups:
        ranks = [rank(row) for row, _ in order if row["group"] == group]
        assert ranks == sorted(ranks)
    best = [min(map(rank, batch)) for batch in batches]
    assert best == sorted(best)
    # What goes fits; what waits does not.
    sent = _batches(going, size)
    ordinary = [b for b in sent if all(row["priority"] < EXIT for row in b)]
    assert 5 * len(sent) <= (allowance.others if ordinary else max(allowance.exits, allowance.others))
    if waiting:
        first = _batches([row for row, _ in order], size)[len(sent)]
        room = allowance.exits if any(row["priority"] >= EXIT for row in first) else allowance.others
        assert 5 * (len(sent) + 1) > room


def _batches(rows: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Cut as ``plan.batches`` does."""
    found: list[list[dict[str, Any]]] = []
    for row in rows:
        if not found or len(found[-1]) >= size or found[-1][0]["group"] != row["group"]:
            found.append([])
        found[-1].append(row)
    return found


def test_without_a_budget_and_without_a_priority_the_order_is_the_plans_own(tmp_path: Path) -> None:
    run = builders.runtime(tmp_path, PLAIN)
    rows = [{"priority": p, "group": "a", "size": None, "amount": 0, "held": None} for p in (0, EXIT, 500, 0)]
    with run.warehouse.preview() as con:
        context = planned(run, con, rows)
        made = arrange(con, step(2), "toy", context, "planned", None)
        found = con.execute(f"SELECT operation_id, {HELD_FOR} FROM ({made.select})").fetchall()
    assert found == [("o1", None), ("o2", None), ("o0", None), ("o3", None)]
    assert (made.units, made.over_budget) == (10, 0)


def test_who_was_left_over_keeps_the_first_day_and_is_forgotten_when_no_longer_wanted(tmp_path: Path) -> None:
    run = builders.runtime(tmp_path, PLAIN)
    rows = [{"priority": 0, "group": "a", "size": None, "amount": 0, "held": day} for day in (None, 1, None)]
    with run.warehouse.preview() as con:
        context = planned(run, con, rows)
        left = "(SELECT *, 'update' AS kind, CAST(NULL AS TIMESTAMP) AS newest, rowid AS place FROM planned)"
        for _ in range(2):
            defer(con, "toy", "people", context, left)
        found = con.execute("SELECT cio_id, since FROM delivery.deferred ORDER BY cio_id").fetchall()
        today = context.window.as_of if context.window else None
        assert found == [("p000", today), ("p001", datetime(2026, 11, 1)), ("p002", today)]
        assert today == datetime(2026, 11, 1) + timedelta(days=5)
        con.execute("DELETE FROM planned WHERE cio_id = 'p001'")
        forget_unwanted(con, "toy", "people", "planned", EVERYONE)
        assert con.execute("SELECT cio_id FROM delivery.deferred ORDER BY cio_id").fetchall() == [("p000",), ("p002",)]
