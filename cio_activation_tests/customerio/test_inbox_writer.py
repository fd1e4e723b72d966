"""Group commit: who waits, for how long, and what one bad event or a dead thread does to the others."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from cio_activation.customerio import inbox_writer
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.customerio.inbox_writer import InboxWriter, NotStored
from cio_activation.journal.attempts import Journal


def event(number: int) -> Event:
    return Event(Source.REPORTING, f"e{number}", "email_clicked", b"{}", 1.0)


class Gate(Inbox):
    """An inbox whose commits wait until the test lets them go, and that refuses what the test names."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.open, self.entered = threading.Event(), threading.Event()
        self.calls: list[list[str]] = []
        self.poison = ""
        self.error: Exception | None = None

    def add(self, events: Sequence[Event]) -> int:
        self.calls.append([e.event_id for e in events])
        self.entered.set()
        assert self.open.wait(60)
        if self.error:
            raise self.error
        if self.poison in self.calls[-1]:
            raise sa.exc.DataError("INSERT", {}, ValueError("no"))
        return super().add(events)

    def ids(self) -> set[str]:
        return {w.event.event_id for w in self.new()}


@pytest.fixture
def inbox(tmp_path: Path) -> Gate:
    return Gate(Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}"))


@asynccontextmanager
async def writing(inbox: Gate) -> AsyncIterator[InboxWriter]:
    writer = InboxWriter(inbox)
    writer.start()
    try:
        yield writer
    finally:
        inbox.open.set()
        await writer.stop()


async def in_line(writer: InboxWriter, *numbers: int, time_slice: float = 60.0) -> list[asyncio.Task[None]]:
    """Put events in line and return what waits for them, once they are in it."""
    deadline = time.monotonic() + time_slice
    tasks = [asyncio.create_task(writer.store(event(n), deadline)) for n in numbers]
    before = writer.waiting
    while writer.waiting < before + len(numbers):
        await asyncio.sleep(0)
    return tasks


def test_events_that_come_during_a_commit_share_the_next_one(inbox: Gate) -> None:
    async def story() -> None:
        async with writing(inbox) as writer:
            tasks = await in_line(writer, 1)
            await asyncio.to_thread(inbox.entered.wait, 60)
            tasks += await in_line(writer, *range(2, 50))
            inbox.open.set()
            await asyncio.gather(*tasks)
            assert (writer.commits, writer.new, writer.waiting) == (2, 49, 0)

    asyncio.run(story())
    assert [len(c) for c in inbox.calls] == [1, 48]
    assert len(inbox.ids()) == 49


def test_nobody_is_told_before_the_commit(inbox: Gate) -> None:
    async def story() -> None:
        async with writing(inbox) as writer:
            (task,) = await in_line(writer, 1)
            await asyncio.to_thread(inbox.entered.wait, 60)
            assert not task.done()
            inbox.open.set()
            await task
            assert inbox.ids() == {"e1"}

    asyncio.run(story())


def test_a_full_line_and_a_line_that_does_not_move_turn_new_requests_away(
    inbox: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_writer, "MOST_WAITING", 3)

    async def story() -> None:
        async with writing(inbox) as writer:
            assert writer.refusal(time.monotonic()) is None
            tasks = await in_line(writer, 1, 2)
            now = time.monotonic()
            assert writer.refusal(now - 60) is None
            assert writer.refusal(now + inbox_writer.STALLED_S + 60) == "inbox_stalled"
            tasks += await in_line(writer, 3)
            assert writer.refusal(now - 60) == "queue_full"
            inbox.open.set()
            await asyncio.gather(*tasks)
            assert writer.refusal(time.monotonic()) is None

    asyncio.run(story())


def test_a_request_gives_up_at_its_deadline_and_what_it_brought_is_not_written_any_more(inbox: Gate) -> None:
    async def story() -> None:
        async with writing(inbox) as writer:
            tasks = await in_line(writer, 1)
            await asyncio.to_thread(inbox.entered.wait, 60)
            (late,) = await in_line(writer, 2, time_slice=0.01)
            with pytest.raises(NotStored, match="deadline"):
                await late
            inbox.open.set()
            await asyncio.gather(*tasks)

    asyncio.run(story())
    assert inbox.ids() == {"e1"}


def test_after_a_failed_commit_one_request_at_a_time_finds_out_whether_it_works_again(inbox: Gate) -> None:
    async def story() -> None:
        async with writing(inbox) as writer:
            inbox.error = sa.exc.OperationalError("INSERT", {}, ValueError("database is locked"))
            inbox.open.set()
            for task in await in_line(writer, 1, 2):
                with pytest.raises(NotStored, match="inbox_unavailable"):
                    await task
            assert writer.refusal(time.monotonic()) is None
            inbox.open.clear()
            tasks = await in_line(writer, 3)
            assert writer.refusal(time.monotonic()) == "inbox_unavailable"
            inbox.error = None
            inbox.open.set()
            await asyncio.gather(*tasks)
            tasks = await in_line(writer, 4)
            assert writer.refusal(time.monotonic()) is None
            await asyncio.gather(*tasks)

    asyncio.run(story())
    assert inbox.ids() == {"e3", "e4"}


def test_an_event_that_the_database_does_not_take_costs_only_itself(inbox: Gate) -> None:
    inbox.poison = "e2"

    async def story() -> list[BaseException | None]:
        async with writing(inbox) as writer:
            tasks = await in_line(writer, 0)
            await asyncio.to_thread(inbox.entered.wait, 60)
            tasks += await in_line(writer, 1, 2, 3)
            inbox.open.set()
            return await asyncio.gather(*tasks, return_exceptions=True)

    ends = asyncio.run(story())
    assert [isinstance(e, NotStored) for e in ends] == [False, False, True, False]
    assert inbox.ids() == {"e0", "e1", "e3"}


def test_stopping_writes_what_is_in_line(inbox: Gate) -> None:
    async def story() -> None:
        async with writing(inbox) as writer:
            tasks = await in_line(writer, *range(20))
            inbox.open.set()
            await writer.stop()
            await asyncio.gather(*tasks)

    asyncio.run(story())
    assert len(inbox.ids()) == 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_dies_everybody_is_refused_and_the_process_is_told(inbox: Gate) -> None:
    dead = threading.Event()

    async def story() -> None:
        writer = InboxWriter(inbox, dead.set)
        writer.start()
        inbox.error = RuntimeError("a defect")
        inbox.open.set()
        with pytest.raises(NotStored, match="deadline"):
            await writer.store(event(1), time.monotonic() + 0.5)
        assert await asyncio.to_thread(dead.wait, 60)
        while writer.refusal(time.monotonic()) != "writer_ended":
            await asyncio.sleep(0.01)

    asyncio.run(story())


def test_old_keys_are_pruned_on_the_way(inbox: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_writer, "_PRUNE_EVERY_S", 0.01)
    inbox.open.set()
    inbox.add([event(1), replace(event(2), received_at=time.time())])  # event 1 is from 1970
    inbox.landed([w.number for w in inbox.new()])
    known = sa.text("SELECT event_id FROM inbox")

    async def story() -> None:
        async with writing(inbox):
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with inbox._journal.engine.connect() as con:
                    if list(con.execute(known).scalars()) == ["e2"]:
                        return
                await asyncio.sleep(0.02)
            raise AssertionError("the old key is still there")

    asyncio.run(story())
