"""The journal under several processes, on SQLite and on PostgreSQL: attempts, claims, leases, fencing, secrecy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cio_activation.errors import ContractError
from cio_activation.journal.attempts import Journal, Provenance
from cio_activation.journal.leases import Lease, lease
from cio_activation.journal.open_plans import PlanClosed, close_plans, open_plan
from cio_activation.journal.operations import End, Kind, Operation, Result, by_name

WHERE = Provenance("run", "plan", "toy", "people", "daily", "2026-11-01", 1.0)


UPDATE = Kind(name="update", writes_fields=True)
CREATE = Kind(name="create", creates=True, writes_fields=True)
KINDS = by_name([UPDATE, CREATE])


def operation(number: int, kind: Kind = UPDATE) -> Operation:
    claim = f"person:{number}" if kind.creates else None
    return Operation(f"{number:032x}", "people", kind, f"person-{number}", None, None, {"size": "low"}, claim=claim)


@pytest.fixture
def url(journal_url: str) -> str:
    open_plan(Journal(journal_url), WHERE.plan_id, WHERE.destination, WHERE.step)
    return journal_url


def test_once_another_run_closed_the_plan_nothing_more_is_begun_and_what_was_can_end(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1)], WHERE)
    close_plans(Journal(url), WHERE.destination, WHERE.step)
    with pytest.raises(PlanClosed):
        journal.intend([operation(2)], WHERE)
    journal.record([Result(operation(1).operation_id, End.DELIVERED)], WHERE)
    assert journal.open_attempts("toy", "people", KINDS) == []
    assert journal.ended("toy", "people")["cio_id"] == ("person-1",)


def test_closing_the_plans_of_a_step_leaves_those_of_others(url: str) -> None:
    journal = Journal(url)
    close_plans(journal, WHERE.destination, "lists")
    assert journal.intend([operation(1)], WHERE) == ([operation(1)], [])


def test_an_attempt_of_a_kind_the_step_does_not_know_is_told(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1)], WHERE)
    with pytest.raises(ContractError, match="has an operation of the kind 'update', but declares create"):
        journal.open_attempts("toy", "people", by_name([CREATE]))


def test_an_intent_survives_without_a_result_and_ends_once_recorded(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1), operation(2)], WHERE)
    assert [a.operation.cio_id for a in Journal(url).open_attempts("toy", "people", KINDS)] == ["person-1", "person-2"]
    journal.record([Result(operation(1).operation_id, End.DELIVERED)], WHERE)
    assert [a.operation.cio_id for a in journal.open_attempts("toy", "people", KINDS)] == ["person-2"]
    ended = journal.ended("toy", "people")
    assert (ended["cio_id"], ended["end"]) == (("person-1",), ("delivered",))
    journal.prune(ended["id"])
    assert journal.ended("toy", "people") == {}


def test_a_creation_is_claimed_once_and_the_claim_outlives_its_delivery(url: str) -> None:
    one, other = Journal(url), Journal(url)
    free, taken = one.intend([operation(1, CREATE)], WHERE)
    assert (len(free), len(taken)) == (1, 0)
    assert other.intend([operation(1, CREATE)], WHERE)[1] == [operation(1, CREATE)]
    one.record([Result(operation(1).operation_id, End.DELIVERED, record_id="77")], WHERE)
    assert other.intend([operation(1, CREATE)], WHERE)[0] == []


@pytest.mark.parametrize("end", [End.REJECTED, End.RETRY])
def test_a_creation_that_surely_did_not_happen_frees_its_claim(url: str, end: End) -> None:
    journal = Journal(url)
    journal.intend([operation(1, CREATE)], WHERE)
    journal.record([Result(operation(1).operation_id, end, "refused")], WHERE)
    assert journal.intend([operation(1, CREATE)], WHERE)[0] == [operation(1, CREATE)]


def test_a_creation_in_doubt_keeps_its_claim(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1, CREATE)], WHERE)
    journal.record([Result(operation(1).operation_id, End.UNKNOWN, "timeout")], WHERE)
    assert journal.intend([operation(1, CREATE)], WHERE)[0] == []


def test_a_lease_is_held_by_one_and_passes_on_when_released(url: str) -> None:
    one, other = Journal(url), Journal(url)
    with lease(one, "hubspot/people"):  # noqa: SIM117
        with pytest.raises(TimeoutError, match="still being worked on"), lease(other, "hubspot/people", wait_s=0.2):
            pytest.fail("two holders at once")
    with lease(other, "hubspot/people", wait_s=0.2):
        pass


@pytest.mark.slow
def test_the_lease_of_a_killed_process_passes_on_at_once(url: str) -> None:
    program = (
        "import sys, time\nfrom cio_activation.journal.attempts import Journal\n"
        "from cio_activation.journal.leases import lease\n"
        "with lease(Journal(sys.argv[1]), 'x', ttl_s=600):\n print('held', flush=True)\n time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    started = time.monotonic()
    with lease(Journal(url), "x", wait_s=5):
        assert time.monotonic() - started < 5


@pytest.mark.slow
def test_many_processes_claim_each_creation_once(url: str) -> None:
    program = (
        "import sys\nfrom cio_activation.journal.attempts import Journal\n"
        "from cio_activation_tests.journal.test_attempts import CREATE, WHERE, operation\n"
        "journal = Journal(sys.argv[1])\n"
        "print(sum(len(journal.intend([operation(i, CREATE)], WHERE)[0]) for i in range(100)))\n"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sum(int(w.communicate()[0]) for w in workers) == 100


def test_batches_claimed_crosswise_at_once_end_without_a_double_or_a_deadlock(url: str) -> None:
    """Each round two workers claim the same creations, one from the front and one from the back."""
    journals = [Journal(url), Journal(url)]
    together = threading.Barrier(2, timeout=60)

    def work(number: int) -> int:
        won = 0
        for start in range(0, 12_000, 3_000):
            batch = [operation(i, CREATE) for i in range(start, start + 3_000)]
            together.wait()
            won += len(journals[number].intend(batch[:: 1 - 2 * number], WHERE)[0])
        return won

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, range(2))) == 12_000


def test_one_of_many_gets_a_lease_nobody_had_before(url: str) -> None:
    journals = [Journal(url) for _ in range(4)]
    together = threading.Barrier(4, timeout=60)

    def work(number: int) -> list[bool]:
        got = []
        for turn in range(10):
            together.wait()
            got.append(Lease(journals[number], f"step {turn}", 30.0).take())
        return got

    with ThreadPoolExecutor(4) as pool:
        turns = list(zip(*pool.map(work, range(4)), strict=True))
    assert [sum(turn) for turn in turns] == [1] * 10


def test_a_renewed_lease_outlives_work_that_lasts_longer_than_it(url: str) -> None:
    one, other = Journal(url), Journal(url)
    with lease(one, "hubspot/people", ttl_s=1.5) as mine, mine.renewed():
        time.sleep(4)  # blocks its thread, as a long statement of the warehouse does
        assert not Lease(other, "hubspot/people", 30.0).take()
    assert Lease(other, "hubspot/people", 30.0).take()


def test_the_same_creation_twice_in_a_batch_is_sent_once(url: str) -> None:
    twice = [operation(1, CREATE), operation(1, CREATE)]
    free, taken = Journal(url).intend(twice, WHERE)
    assert (len(free), len(taken)) == (1, 1)


def test_what_a_vendor_says_is_stored_however_long_or_odd(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1)], WHERE)
    odd = "no\0 \ud83d" + "x" * 5_000
    journal.record([Result(operation(1).operation_id, End.REJECTED, odd, request_id="r" * 300)], WHERE)
    ended = journal.ended("toy", "people")
    assert ended["reason"] == ("no ?" + "x" * 5_000,)
    assert ended["request_id"] == ("r" * 300,)


def test_more_attempts_than_one_statement_can_name_are_pruned(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(i) for i in range(1_200)], WHERE)
    journal.record([Result(operation(i).operation_id, End.DELIVERED) for i in range(1_100)], WHERE)
    journal.prune(journal.ended("toy", "people")["id"])
    assert journal.ended("toy", "people") == {}
    assert len(journal.open_attempts("toy", "people", KINDS)) == 100


def test_an_error_of_the_journal_shows_no_payload(url: str) -> None:
    journal = Journal(url)
    with journal.engine.begin() as con:
        con.execute(sa.text("DROP TABLE attempts"))
    secret = Operation("0" * 32, "people", UPDATE, "c", None, None, {"email": "ada@example.com"})
    with pytest.raises(sa.exc.DBAPIError) as caught:
        journal.intend([secret], WHERE)
    assert "ada@example.com" not in str(caught.value)
