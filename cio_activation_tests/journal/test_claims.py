"""Claiming the batches of an open plan, closing it, and who may help: without processes, on both back ends."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from cio_activation.delivery import sharing
from cio_activation.delivery.destination import End, Operation, Result
from cio_activation.delivery.helping import Helper
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.schema import leases
from cio_activation.transport.http import Unpaced
from cio_activation_tests import builders
from cio_activation_tests.toy import ToyDestination, ToyOptions

MINE = Provenance("run", "plan", "toy", "people", "daily", "2026-11-01", 2.0)
HELPS = replace(MINE, run_id="other", worker="host:1")
PLAN = sharing.OpenPlan(
    "plan", "toy", "people", "daily", "2026-11-01", 1.0, 2.0, Path("plan.parquet"), 2, "fingerprint", {"list:a": "7"}
)


def batch(*numbers: int) -> list[Operation]:
    return [Operation(f"{n:032x}", "people", "update", f"person-{n}", None, None, {}) for n in numbers]


def delivered(*numbers: int) -> list[Result]:
    return [Result(f"{n:032x}", End.DELIVERED) for n in numbers]


@pytest.fixture
def journal(journal_url: str) -> Journal:
    journal = Journal(journal_url)
    sharing.open_plan(journal, PLAN)
    return journal


def test_a_helper_finds_the_plan_as_it_was_opened(journal: Journal) -> None:
    assert sharing.find_plan(journal, "toy", "people") == PLAN
    assert sharing.find_plan(journal, "toy", "other") is None


def test_a_batch_has_one_sender(journal: Journal) -> None:
    sharing.join(journal, "plan", "host:1")
    assert sharing.claim(journal, 0, batch(1, 2), MINE) == (batch(1, 2), [])
    assert sharing.claim(journal, 0, batch(1, 2), HELPS) is None
    assert sharing.claim(journal, 1, batch(3, 4), HELPS) == (batch(3, 4), [])
    assert sharing.claim(journal, 1, batch(3, 4), MINE) is None
    assert sharing.claimed_numbers(journal, "plan") == {0, 1}
    assert len(journal.open_attempts("toy", "people")) == 4


def test_what_a_helper_did_is_counted_and_what_it_left_open_is_not(journal: Journal) -> None:
    sharing.join(journal, "plan", "host:1")
    sharing.claim(journal, 0, batch(1, 2), MINE)
    sharing.claim(journal, 1, batch(3, 4), HELPS)
    sharing.claim(journal, 2, batch(5, 6), HELPS)
    journal.record(delivered(1, 2), MINE)
    journal.record([*delivered(3), Result(f"{4:032x}", End.REJECTED, "400 BAD")], HELPS)
    journal.record(delivered(5), HELPS)
    done = asyncio.run(sharing.close_plan(journal, "plan"))
    assert (done.numbers, done.operations) == ({1, 2}, 4)
    assert (+done.ends, done.reasons) == ({"delivered": 2, "rejected": 1}, {"400 BAD": 1})


def test_a_closed_plan_takes_no_claim_and_no_helper(journal: Journal) -> None:
    asyncio.run(sharing.close_plan(journal, "plan"))
    for provenance in (MINE, HELPS):
        with pytest.raises(sharing.PlanClosed):
            sharing.claim(journal, 0, batch(1), provenance)
    with pytest.raises(sharing.PlanClosed):
        sharing.join(journal, "plan", "host:1")
    assert journal.open_attempts("toy", "people") == []


def test_a_run_that_takes_over_waits_for_the_call_a_helper_is_making(journal: Journal) -> None:
    """Else it would look the helper's creation up before it is there, and make it again."""
    finished: list[float] = []

    def close() -> None:
        asyncio.run(sharing.close_plans(journal, "toy", "people"))
        finished.append(time.monotonic())

    with journal.lease(sharing.helper_lease("plan", "host:1")):
        sharing.join(journal, "plan", "host:1")
        sharing.claim(journal, 0, batch(1), HELPS)
        closing = threading.Thread(target=close)
        closing.start()
        time.sleep(1.0)
        with pytest.raises(sharing.PlanClosed):
            sharing.claim(journal, 1, batch(2), HELPS)
        journal.record(delivered(1), HELPS)
        released = time.monotonic()
    closing.join()
    assert finished[0] > released
    assert journal.open_attempts("toy", "people") == []


@pytest.mark.parametrize("lapsed", [True, False])
def test_a_helper_on_another_host_is_waited_for_until_its_lease_runs_out(journal: Journal, lapsed: bool) -> None:
    with journal.transaction() as con:
        until = journal.now(con) + (-1 if lapsed else 600)
        name = sharing.helper_lease("plan", "elsewhere:1")
        con.execute(sa.insert(leases).values(name=name, owner="elsewhere:1:1", expires_at=until))
    if lapsed:
        asyncio.run(sharing.close_plan(journal, "plan"))
    else:
        with pytest.raises(TimeoutError, match="elsewhere:1:1 still helps to send plan plan"):
            asyncio.run(sharing.close_plan(journal, "plan", wait_s=0.2))


@pytest.mark.parametrize("differs", ["activation", "batch_size", "path", None])
def test_only_a_worker_that_reads_the_plan_alike_helps(tmp_path: Path, journal_url: str, differs: str | None) -> None:
    toy = ToyDestination()
    run = builders.runtime(
        tmp_path, builders.activation(builders.tier("size", "toy"), destinations={"toy": ToyOptions()})
    )
    step = toy.steps(run.activation)[0]
    journal = Journal(journal_url)
    file = tmp_path / "plan.parquet"
    write_plan(file, 10)
    plan = replace(
        PLAN,
        step=step.name,
        batch_size=step.batch_size,
        path=file,
        activation=run.activation.fingerprint(),
    )
    other = {"activation": "another", "batch_size": 99, "path": tmp_path / "absent"}
    sharing.open_plan(journal, replace(plan, **{differs: other[differs]}) if differs else plan)
    helper = Helper(run, journal, toy, step, "run", lambda _lane, _catalog: Unpaced())
    assert helper() is (differs is None)
    assert helper.helped == (0 if differs else 10)
    assert helper() is False  # once through is enough
    assert len(toy.vendor.people) == helper.helped


def write_plan(file: Path, people: int) -> None:
    from cio_activation.warehouse.sessions import scratch

    with scratch() as con:
        con.execute(
            f"""COPY (SELECT md5(CAST(i AS VARCHAR)) AS operation_id, 'update' AS kind, 'p' || i AS cio_id,
            'p' || i AS record_id, CAST(NULL AS VARCHAR) AS target, '{{"size": "low"}}' AS payload, '{{}}' AS keys,
            CAST(1 AS UBIGINT) AS row_hash, 0 AS priority, '' AS batch_group, '{{}}' AS before
            FROM range({people}) AS t(i))
            TO '{file}' (FORMAT parquet)"""
        )
