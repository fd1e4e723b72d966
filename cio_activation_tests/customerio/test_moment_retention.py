"""How long moments stay: by their own time, never newer than the window, never while a repetition could come."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane, Workspace
from cio_activation.activation.windows import Window
from cio_activation.customerio.inbox import DAY_S, REMEMBERED_S, Event, Inbox, Source
from cio_activation.customerio.moments import MomentsPull, land_moments, latest_sql
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sql import timestamp
from cio_activation_tests.drivers.builders import START, activation, runtime, window
from cio_activation_tests.drivers.tables import query

RT = Lane.REALTIME
NOON = START.timestamp() + DAY_S / 2
KEPT, BODIES = timedelta(days=60), timedelta(days=20)
REMEMBERED = int(REMEMBERED_S / DAY_S)


class Shelf:
    """A warehouse that keeps moments for 60 days and their bodies for 20; the first day is day 1."""

    def __init__(self, home: Path) -> None:
        model = activation(destinations={})
        kept = model.workspace.model_copy(update={"moment_retention": KEPT, "moment_body_retention": BODIES})
        self.run: Runtime = runtime(home, model.model_copy(update={"workspace": kept}))
        self.workspace: Workspace = kept
        self.inbox = Inbox(Journal(self.run.settings.journal))

    def arrive(self, key: str, day: int, came: int | None = None, text: bytes | None = None) -> None:
        """An event of ``day`` that came on the day ``came``."""
        at = NOON + (day - 1) * DAY_S
        body = json.dumps({"cio_id": "c1", "event": "cart_updated", "timestamp": at}).encode()
        received = at if came is None else NOON + (came - 1) * DAY_S
        self.inbox.add([Event(Source.JOURNEY, key, "cart_updated", text or body, received)])

    def land(self, day: int, lane: Lane = RT) -> MomentsPull:
        return land_moments(self.run, window(day, lane), self.inbox)

    def kept(self) -> list[tuple[str, bool]]:
        return query(self.run, "SELECT event_id, body IS NOT NULL FROM raw.moments ORDER BY 1")

    def latest(self, when: Window) -> list[Any]:
        sql = latest_sql(timestamp(when.as_of), self.workspace)
        return query(self.run, f"SELECT event_id, body IS NOT NULL, times FROM ({sql}) ORDER BY ALL")


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_the_body_goes_first_and_then_the_row_by_the_events_own_time(shelf: Shelf) -> None:
    shelf.arrive("a", 1)
    shelf.arrive("b", 10)
    shelf.land(10)
    assert shelf.land(20).dropped == 0
    assert shelf.kept() == [("a", True), ("b", True)]
    shelf.land(21)
    assert shelf.kept() == [("a", False), ("b", True)], "its day is more than 20 days before the window's end"
    assert shelf.land(60).dropped == 0
    assert shelf.land(61).dropped == 1
    assert shelf.kept() == [("b", False)]


def test_what_is_seen_at_an_as_of_does_not_depend_on_what_was_dropped(shelf: Shelf) -> None:
    for day in (1, 2, 30, 45):
        shelf.arrive(f"k{day:02}", day)
    shelf.land(45)
    windows = [window(day, RT) for day in range(45, 110)]
    before = [shelf.latest(when) for when in windows]
    for when, seen in zip(windows, before, strict=True):
        land_moments(shelf.run, when, shelf.inbox)
        assert shelf.latest(when) == seen
    assert (before[0], before[30], before[-1]) == ([("k45", True, 4)], [("k45", False, 2)], [])
    assert shelf.kept() == []


def test_an_old_window_drops_nothing_that_is_newer_than_it_keeps(shelf: Shelf) -> None:
    shelf.arrive("a", 40)
    shelf.arrive("b", 90)
    shelf.land(90)
    assert shelf.land(5).dropped == 0
    assert shelf.kept() == [("a", False), ("b", True)]


def test_an_event_of_long_ago_stays_while_it_can_be_repeated(shelf: Shelf) -> None:
    shelf.arrive("a", 1, came=100)
    assert (shelf.land(100).rows, shelf.kept()) == (1, [("a", False)])
    assert shelf.land(100 + REMEMBERED).dropped == 0
    shelf.arrive("a", 1, came=100 + REMEMBERED)
    assert shelf.latest(window(100, RT)) == []
    assert shelf.land(100 + REMEMBERED + 1).dropped == 1


def test_what_a_killed_run_landed_is_known_again_however_late_the_next_run_is(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.arrive("a", 1)
    with monkeypatch.context() as patch:
        patch.setattr(shelf.inbox, "landed", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shelf.land(1)
        patch.setattr("cio_activation.customerio.moments.EVENTS_PER_RUN", 0)
        assert shelf.land(200).dropped == 0, "the inbox still holds it"
    again = shelf.land(200)
    assert (again.rows, again.repeated, again.dropped) == (0, 1, 1)


def test_the_text_in_quarantine_goes_with_bodies_and_its_entry_with_rows(shelf: Shelf) -> None:
    shelf.arrive("bad", 1, text=b"{no json")
    future = json.dumps({"cio_id": "c1", "timestamp": NOON + 900 * DAY_S}).encode()
    shelf.arrive("future", 1, text=future)
    shelf.land(1)
    listed = "SELECT detail, row FROM quarantine.rows ORDER BY 1"
    assert query(shelf.run, listed) == [("journey bad", "{no json"), ("journey future", future.decode())]
    shelf.land(25)
    assert query(shelf.run, listed) == [("journey bad", None), ("journey future", None)]
    assert shelf.land(61).dropped == 2
    assert (query(shelf.run, listed), shelf.kept()) == ([], [])


def test_a_day_without_anything_to_drop_writes_nothing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.arrive("a", 1)
    shelf.land(1)
    shelf.land(30)
    monkeypatch.setattr(shelf.run.warehouse, "write", lambda: pytest.fail("a warehouse session for nothing"))
    assert shelf.land(30).dropped == 0


def test_by_default_rows_stay_400_days_and_bodies_30() -> None:
    kept = Workspace()
    assert (kept.moment_retention, kept.moment_body_retention) == (timedelta(days=400), timedelta(days=30))
