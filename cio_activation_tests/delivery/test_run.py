"""One step of a toy destination through the whole machinery: plan, journal, send, fold, recovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from cio_activation.delivery.plan import operations
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.open_plans import open_plan
from cio_activation.journal.operations import by_name
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy_bench import ToyBench, sized


@pytest.fixture
def bench(tmp_path: Path) -> ToyBench:
    return ToyBench(tmp_path)


def test_a_first_run_delivers_everyone_and_a_second_calls_nobody(bench: ToyBench) -> None:
    bench.state(**{f"p{i}": "low" for i in range(10)})
    first = bench.run()
    assert (first.planned, first.delivered, bench.toy.vendor.calls) == (10, 10, 3)
    assert bench.there == {f"p{i}": "low" for i in range(10)}
    second = bench.run()
    assert (second.planned, bench.toy.vendor.calls) == (0, 3)


def test_only_what_changed_is_sent_and_the_deleted_are_cleared(bench: ToyBench) -> None:
    bench.state(a="low", b="low", c="high")
    bench.run()
    bench.state(a="low", b="high")
    report = bench.run(2)
    assert dict(report.by_kind) == {"clear": 1, "update": 1}
    assert bench.there == {"a": "low", "b": "high", "c": None}


def test_a_shadow_whose_hash_is_of_the_values_alone_is_carried_over(bench: ToyBench) -> None:
    bench.state(a="low", b="high")
    bench.run()
    for statement in (  # each in a session of its own: DuckDB 1.5 lets no transaction alter a table and write to it
        "ALTER TABLE delivery.shadow_toy_daily ADD COLUMN row_hash UBIGINT",
        """UPDATE delivery.shadow_toy_daily AS s SET row_hash = d.hash_toy
        FROM state.daily_properties AS d WHERE d.cio_id = s.cio_id""",
        "CREATE TABLE before AS SELECT cio_id, whole_hash FROM delivery.shadow_toy_daily ORDER BY cio_id",
        "ALTER TABLE delivery.shadow_toy_daily DROP COLUMN whole_hash",
    ):
        with bench.runtime.warehouse.write() as con:
            con.execute(statement)
    assert [bench.run(2).planned, bench.run(3).planned] == [0, 0]
    with bench.runtime.warehouse.read() as con:
        assert "row_hash" not in [name for name, *_ in con.execute("DESCRIBE delivery.shadow_toy_daily").fetchall()]
        kept = con.execute("SELECT cio_id, whole_hash FROM delivery.shadow_toy_daily ORDER BY cio_id").fetchall()
        assert kept == con.execute("FROM before").fetchall()
    assert all(number is not None for _, number in kept)


def test_another_record_of_the_same_person_gets_every_field(bench: ToyBench) -> None:
    bench.state(a="low")
    bench.run()
    with bench.runtime.warehouse.write() as con:
        con.execute("UPDATE delivery.shadow_toy_daily SET record_id = 'old', whole_hash = hash('a', 'old', 1)")
    assert dict(bench.run(2).by_kind) == {"update": 1}


def test_a_value_that_becomes_unknown_is_sent_as_empty(bench: ToyBench) -> None:
    bench.state(a="low")
    bench.run()
    bench.state(a=None)
    bench.run(2)
    assert bench.there == {"a": None}


def test_a_refused_batch_is_split_to_the_guilty_person_who_waits_in_the_queue(bench: ToyBench) -> None:
    bench.state(a="low", b="bad", c="low", d="low")
    report = bench.run()
    assert (report.delivered, report.rejected) == (3, 1)
    assert dict(report.reasons) == {"400 BAD_VALUE (size)": 1}
    calls = bench.toy.vendor.calls
    again = bench.run()
    assert (again.planned, again.waiting, bench.toy.vendor.calls) == (0, 1, calls)
    bench.state(a="low", b="high", c="low", d="low")
    mended = bench.run(2)
    assert (mended.delivered, bench.there["b"]) == (1, "high")
    with bench.runtime.warehouse.read() as con:
        assert con.execute("SELECT count(*) FROM delivery.rejected").fetchall() == [(0,)]


def test_an_answer_that_got_lost_is_held_and_the_next_run_converges(bench: ToyBench) -> None:
    bench.state(a="low", b="low")
    bench.toy.vendor.answers = ["lost"]
    report = bench.run()
    assert (report.planned, report.held, report.delivered) == (2, 2, 0)
    again = bench.run()
    assert (again.recovered, again.delivered) == (2, 2)
    assert bench.there == {"a": "low", "b": "low"}


def test_a_vendor_that_refuses_us_stops_the_run_and_nothing_is_lost(bench: ToyBench) -> None:
    bench.state(**{f"p{i}": "low" for i in range(40)})
    bench.toy.vendor.answers = [401]
    report = bench.run()
    assert report.stopped
    assert report.delivered + report.held == 40
    assert bench.run().delivered == report.held


def test_an_older_window_sends_nothing_over_a_newer_one(bench: ToyBench) -> None:
    bench.state(a="high")
    bench.run(5)
    bench.state(a="low")
    report = bench.run(3)
    assert report.planned == 0
    assert "superseded" in (report.note or "")
    assert bench.there == {"a": "high"}


def test_a_plan_larger_than_the_guard_is_held_whole(tmp_path: Path) -> None:
    bench = ToyBench(tmp_path, sized(max_operations=3))
    bench.state(a="low", b="low", c="low", d="low")
    report = bench.run()
    assert (report.planned, report.held, bench.toy.vendor.calls) == (4, 4, 0)
    assert "max_operations" in (report.note or "")


def test_the_same_state_gives_the_same_operations(tmp_path: Path) -> None:
    plans = []
    for name in ("one", "two"):
        bench = ToyBench(tmp_path / name)
        bench.state(b="high", a="low")
        bench.run()
        files = list((tmp_path / name / "plans").rglob("*.parquet"))
        plans.append(
            [
                (o.operation_id, o.cio_id, o.kind, dict(o.payload))
                for o in operations(files[0], bench.toy.steps(bench.runtime.activation)[0])
            ]
        )
    assert plans[0] == plans[1]


def test_a_kill_between_intent_and_answer_is_recovered(bench: ToyBench) -> None:
    """The journal holds an intent without an end, as after SIGKILL; the next run sends it again and folds it once."""
    bench.state(a="low")
    step = bench.toy.steps(bench.runtime.activation)[0]
    window = builders.window()
    with bench.runtime.warehouse.write() as con:
        from cio_activation.delivery.destination import Context
        from cio_activation.delivery.plan import make_plan

        path = bench.runtime.settings.activation_home / "killed.parquet"
        make_plan(
            con, step, "toy", Context(bench.runtime.settings, bench.runtime.activation, window), window, "x", path
        )
    journal = Journal(bench.runtime.settings.journal)
    where = Provenance("dead", "x", "toy", step.name, "daily", window.key, window.end.timestamp())
    open_plan(journal, where.plan_id, where.destination, where.step)
    journal.intend(list(operations(path, step)), where)
    report = bench.run()
    assert (report.recovered, report.delivered) == (1, 1)
    assert journal.open_attempts("toy", step.name, by_name(step.kinds)) == []
    assert bench.there == {"a": "low"}


def test_a_value_the_activation_does_not_know_goes_to_quarantine_and_is_not_sent(bench: ToyBench) -> None:
    bench.state(a="low", b="enormous")
    for _ in range(2):  # a second run quarantines it again, and counts it once
        report = bench.run()
        assert report.rejected == report.held == 0
        with bench.runtime.warehouse.read() as con:
            found = con.execute('SELECT layer, cio_id, "column", reason, detail FROM quarantine.rows').fetchall()
        assert found == [("payload", "b", "size", "not a value of size", "toy/people_daily")]
    assert bench.there == {"a": "low"}


def test_a_plan_tells_what_was_there_before(tmp_path: Path) -> None:
    bench = ToyBench(tmp_path)
    bench.state(a="low", b="low")
    bench.run()
    bench.state(a="high")
    report = bench.run(2)
    path = tmp_path / "plans" / "daily" / builders.window(2).key / f"{report.plan_id}.parquet"
    told = {
        o.cio_id: (dict(o.before), dict(o.payload))
        for o in operations(path, bench.toy.steps(bench.runtime.activation)[0])
    }
    assert told == {"a": ({"size": "low"}, {"size": "high"}), "b": ({"size": "low"}, {"size": None})}
