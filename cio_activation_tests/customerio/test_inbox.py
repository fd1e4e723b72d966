"""The inbox: every event once, found until it is landed, known as long as it can come again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.customerio.inbox import DAY_S, REMEMBERED_S, REPLAY_WINDOW_S, SKEW_S, Event, Inbox, Source
from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import inbox as table
from cio_activation_tests.drivers.postgres import PostgresServer


def event(number: int, **more: object) -> Event:
    made = Event(Source.REPORTING, f"01E{number:023}", "email_clicked", b'{"n": %d}' % number, 1_795_348_800.0)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def inbox(journal_url: str) -> Iterator[Inbox]:
    journal = Journal(journal_url)
    yield Inbox(journal)
    journal.close()


def ids(inbox: Inbox) -> list[str]:
    return [w.event.event_id for w in inbox.new()]


def test_what_went_in_comes_out_byte_for_byte(inbox: Inbox) -> None:
    given_ = [
        event(1, body=b'{"a": "\xc3\xa9"}', signed_at=1_795_348_799.0, delivery_id="d1"),
        event(2, body=b"\x00\xff no JSON", kind="unreadable"),
        event(3, source=Source.JOURNEY, signature="ab" * 32),
    ]
    assert inbox.add(given_) == 3
    assert sorted((w.event for w in inbox.new()), key=lambda e: e.event_id) == given_


def test_an_event_is_stored_once_within_a_call_and_across_calls(inbox: Inbox) -> None:
    assert inbox.add([event(1), event(2), event(1, body=b"later")]) == 2
    assert inbox.add([event(2), event(3)]) == 1
    assert ids(inbox) == [event(n).event_id for n in (1, 2, 3)]


def test_the_same_id_of_another_source_is_another_event(inbox: Inbox) -> None:
    assert inbox.add([event(1), event(1, source=Source.JOURNEY)]) == 2


def test_the_same_signed_bytes_under_another_id_are_the_same_event(inbox: Inbox) -> None:
    first = event(1, source=Source.JOURNEY, signature="ab" * 32)
    assert inbox.add([first]) == 1
    assert inbox.add([replace(first, event_id="made-up")]) == 0
    assert inbox.add([replace(first, event_id="other", signature="cd" * 32)]) == 1


def test_a_landed_event_is_not_new_and_still_known_and_its_body_is_gone(inbox: Inbox) -> None:
    inbox.add([event(1), event(2)])
    first, second = inbox.new()
    inbox.landed([first.number])
    assert [w.number for w in inbox.new()] == [second.number]
    assert inbox.add([event(1)]) == 0
    with inbox._journal.engine.connect() as con:
        assert con.execute(sa.select(table.c.body).where(table.c.id == first.number)).scalar_one() is None


def test_news_say_how_much_waits_since_when_and_change_with_every_arrival(inbox: Inbox) -> None:
    assert (inbox.news().events, inbox.news().oldest_at) == (0, None)
    inbox.add([event(1, received_at=20.0), event(2, received_at=10.0)])
    before = inbox.news()
    assert (before.events, before.oldest_at) == (2, 10.0)
    inbox.add([event(3)])
    after = inbox.news()
    assert after.events == 3
    assert after.mark != before.mark
    inbox.landed([w.number for w in inbox.new()])
    assert inbox.news().events == 0


def test_pruning_takes_only_landed_events_that_cannot_come_again(inbox: Inbox) -> None:
    long_ago = time.time() - REMEMBERED_S - DAY_S
    inbox.add([event(1, received_at=long_ago), event(2, received_at=long_ago), event(3, received_at=time.time())])
    one, _, three = inbox.new()
    inbox.landed([one.number, three.number])
    assert inbox.prune(time.time() - REMEMBERED_S) == 1
    assert ids(inbox) == [event(2).event_id]  # old, but nobody has seen it yet
    assert inbox.add([event(3)]) == 0
    assert inbox.add([event(1)]) == 1


def test_a_key_is_never_forgotten_while_a_repetition_can_still_be_let_in(inbox: Inbox) -> None:
    assert REPLAY_WINDOW_S + SKEW_S < REMEMBERED_S
    assert REPLAY_WINDOW_S >= 8 * DAY_S
    with pytest.raises(ValueError, match="kept for 17 days"):
        inbox.prune(time.time() - REPLAY_WINDOW_S)


def test_receivers_at_once_store_each_event_once(journal_url: str) -> None:
    events = [event(n, signature=f"{n:064}") for n in range(60)]
    together = threading.Barrier(4, timeout=60)

    def work(number: int) -> int:
        journal = Journal(journal_url)
        together.wait()
        # Each in another order, in small commits, all with the same events.
        mine = events[number * 15 :] + events[: number * 15]
        stored = sum(Inbox(journal).add(mine[start : start + 7]) for start in range(0, len(mine), 7))
        journal.close()
        return stored

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 60
    journal = Journal(journal_url)
    assert len(Inbox(journal).new()) == 60
    journal.close()


def test_a_row_that_becomes_visible_late_is_not_stepped_over(postgres: PostgresServer) -> None:
    journal = Journal(postgres.new_database())
    inbox = Inbox(journal)
    with journal.transaction() as slow:
        slow.execute(sa.insert(table), [event(1).__dict__])  # takes the smaller id, not committed yet
        inbox.add([event(2)])
        (later,) = inbox.new()
        inbox.landed([later.number])
    (first,) = inbox.new()
    assert first.event == event(1)
    assert first.number < later.number
    assert inbox.news().events == 1
    journal.close()


def test_a_probe_finds_out_that_nothing_can_be_written_and_changes_nothing(journal_url: str) -> None:
    journal = Journal(journal_url, wait_s=0.2)
    inbox = Inbox(journal)
    inbox.probe()
    other = Journal(journal_url)
    with other.transaction() as con:
        con.execute(sa.text("UPDATE journal_version SET version = version"))
        with pytest.raises(sa.exc.OperationalError):
            inbox.probe()
    inbox.probe()
    other.close()
    journal.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "land"]), st.lists(st.integers(0, 12), max_size=8)), max_size=8)
)
def test_any_order_of_arrivals_and_landings_hands_out_each_event_exactly_once(
    journal_url: str, steps: list[tuple[str, list[int]]]
) -> None:
    journal = Journal(journal_url)
    inbox = Inbox(journal)
    with journal.transaction() as con:
        con.execute(sa.delete(table))
    seen: set[int] = set()
    handed: list[str] = []
    for action, numbers in steps:
        if action == "add":
            assert inbox.add([event(n) for n in numbers]) == len(set(numbers) - seen)
            seen |= set(numbers)
        else:
            waiting = inbox.new(limit=max(1, len(numbers)))
            inbox.landed([w.number for w in waiting])
            handed += [w.event.event_id for w in waiting]
    handed += ids(inbox)
    assert sorted(handed) == sorted(event(n).event_id for n in seen)
    journal.close()
