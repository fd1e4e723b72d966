"""The journal under several processes, on SQLite and on PostgreSQL: attempts, claims, leases, secrecy."""

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

from cio_activation.delivery.destination import End, Operation, Result
from cio_activation.journal.attempts import Journal, Lease, Provenance

WHERE = Provenance("run", "plan", "toy", "people", "daily", "2026-11-01", 1.0)


def operation(number: int, kind: str = "update") -> Operation:
    return Operation(f"{number:032x}", "people", kind, f"person-{number}", None, None, {"size": "low"})


@pytest.fixture
def url(journal_url: str) -> str:
    return journal_url


def test_an_intent_survives_without_a_result_and_ends_once_recorded(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1), operation(2)], WHERE)
    assert [a.operation.cio_id for a in Journal(url).open_attempts("toy", "people")] == ["person-1", "person-2"]
    journal.record([Result(operation(1).operation_id, End.DELIVERED)], WHERE)
    assert [a.operation.cio_id for a in journal.open_attempts("toy", "people")] == ["person-2"]
    ended = journal.ended("toy", "people")
    assert [(e["cio_id"], e["end"]) for e in ended] == [("person-1", "delivered")]
    journal.prune([e["id"] for e in ended])
    assert journal.ended("toy", "people") == []


def test_a_creation_is_claimed_once_and_the_claim_outlives_its_delivery(url: str) -> None:
    one, other = Journal(url), Journal(url)
    free, taken = one.intend([operation(1, "create")], WHERE)
    assert (len(free), len(taken)) == (1, 0)
    assert other.intend([operation(1, "create")], WHERE)[1] == [operation(1, "create")]
    one.record([Result(operation(1).operation_id, End.DELIVERED, record_id="77")], WHERE)
    assert other.intend([operation(1, "create")], WHERE)[0] == []


@pytest.mark.parametrize("end", [End.REJECTED, End.RETRY])
def test_a_creation_that_surely_did_not_happen_frees_its_claim(url: str, end: End) -> None:
    journal = Journal(url)
    journal.intend([operation(1, "create")], WHERE)
    journal.record([Result(operation(1).operation_id, end, "refused")], WHERE)
    assert journal.intend([operation(1, "create")], WHERE)[0] == [operation(1, "create")]


def test_a_creation_in_doubt_keeps_its_claim(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1, "create")], WHERE)
    journal.record([Result(operation(1).operation_id, End.UNKNOWN, "timeout")], WHERE)
    assert journal.intend([operation(1, "create")], WHERE)[0] == []


def test_a_lease_is_held_by_one_and_passes_on_when_released(url: str) -> None:
    one, other = Journal(url), Journal(url)
    with one.lease("hubspot/people"):  # noqa: SIM117
        with pytest.raises(TimeoutError, match="still being worked on"), other.lease("hubspot/people", wait_s=0.2):
            pytest.fail("two holders at once")
    with other.lease("hubspot/people", wait_s=0.2):
        pass


@pytest.mark.slow
def test_the_lease_of_a_killed_process_passes_on_at_once(url: str) -> None:
    program = (
        "import sys, time\nfrom cio_activation.journal.attempts import Journal\n"
        "with Journal(sys.argv[1]).lease('x', ttl_s=600):\n print('held', flush=True)\n time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "held"
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    started = time.monotonic()
    with Journal(url).lease("x", wait_s=5):
        assert time.monotonic() - started < 5


@pytest.mark.slow
def test_many_processes_claim_each_creation_once(url: str) -> None:
    program = (
        "import sys\nfrom cio_activation.journal.attempts import Journal\n"
        "from cio_activation_tests.journal.test_attempts import WHERE, operation\n"
        "journal = Journal(sys.argv[1])\n"
        "print(sum(len(journal.intend([operation(i, 'create')], WHERE)[0]) for i in range(100)))\n"
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
            batch = [operation(i, "create") for i in range(start, start + 3_000)]
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


def test_a_kept_lease_outlives_work_that_lasts_longer_than_it(url: str) -> None:
    one, other = Journal(url), Journal(url)
    with one.lease("hubspot/people", ttl_s=1.5) as lease, lease.kept():
        time.sleep(4)  # blocks its thread, as a long statement of the warehouse does
        assert not Lease(other, "hubspot/people", 30.0).take()
    assert Lease(other, "hubspot/people", 30.0).take()


def test_the_same_creation_twice_in_a_batch_is_sent_once(url: str) -> None:
    twice = [operation(1, "create"), operation(1, "create")]
    free, taken = Journal(url).intend(twice, WHERE)
    assert (len(free), len(taken)) == (1, 1)


def test_what_a_vendor_says_is_stored_however_long_or_odd(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(1)], WHERE)
    odd = "no\0 \ud83d" + "x" * 5_000
    journal.record([Result(operation(1).operation_id, End.REJECTED, odd, request_id="r" * 300)], WHERE)
    (row,) = journal.ended("toy", "people")
    assert row["reason"] == "no ?" + "x" * 5_000
    assert row["request_id"] == "r" * 300


def test_more_attempts_than_one_statement_can_name_are_pruned(url: str) -> None:
    journal = Journal(url)
    journal.intend([operation(i) for i in range(1_200)], WHERE)
    journal.record([Result(operation(i).operation_id, End.DELIVERED) for i in range(1_100)], WHERE)
    journal.prune([row["id"] for row in journal.ended("toy", "people")])
    assert journal.ended("toy", "people") == []
    assert len(journal.open_attempts("toy", "people")) == 100


def test_an_error_of_the_journal_shows_no_payload(url: str) -> None:
    journal = Journal(url)
    with journal.engine.begin() as con:
        con.execute(sa.text("DROP TABLE attempts"))
    secret = Operation("0" * 32, "people", "update", "c", None, None, {"email": "ada@example.com"})
    with pytest.raises(sa.exc.DBAPIError) as caught:
        journal.intend([secret], WHERE)
    assert "ada@example.com" not in str(caught.value)
