"""Audiences that take long are decided in several sessions: who is killed in between has lost and doubled nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.life_cycle import Exclusive, PersonCap
from cio_activation.activation.models import Limits
from cio_activation.audience import members, pauses
from cio_activation.audience.step import decide
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage
from cio_activation_tests.audience.test_touch import RICH, stage_of, touching
from cio_activation_tests.drivers.state import InMemory

CAPPED = Limits(human_touches_per_person=PersonCap(max=1, per=7 * DAY))
NAMES = ("first", "second", "third")
TABLES = ("memberships", "eligibility", "decisions", "counts", "launches")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def a_session_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody always waits, and what was found before the first audience counts for nothing."""
    monkeypatch.setattr(members, "AT_LEAST", 0.0)
    monkeypatch.setattr(InMemory, "awaited", lambda self: True)


def three(home: Path) -> Stage:
    """Return a stage with three audiences: two share a group, all of them the cap, and each wants people of the others."""
    calls = [Exclusive(group="calls", priority=priority) for priority in (2, 1)]
    declared = (
        touching(NAMES[0], exclusive=calls[0]),
        touching(NAMES[1], segment=13, exclusive=calls[1]),
        touching(NAMES[2], segment=14),
    )
    stage = stage_of(home, *declared, limits=CAPPED)
    stage.segments(["b", "c"], 13)
    stage.segments(["c", "d"], 14)
    return stage


def held(stage: Stage) -> dict[str, list[tuple[Any, ...]]]:
    return {table: stage.world.rows(f"SELECT * FROM audience.{table} ORDER BY ALL") for table in TABLES}


def live(stage: Stage) -> dict[str, list[tuple[Any, ...]]]:
    """Live two windows: in the second some are gone, and others have come."""
    stage.at(NOW, dict.fromkeys("abcd", RICH), ["a", "b"])
    stage.at(NOW + HOUR, members=["b", "d"])
    return held(stage)


@pytest.mark.parametrize("name", NAMES)
def test_whoever_is_killed_between_two_audiences_decides_them_the_same_in_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    expected = live(three(tmp_path / "in one go"))
    stage = three(tmp_path / "killed")
    stage.at(NOW, dict.fromkeys("abcd", RICH), ["a", "b"])

    def dying(con: Any, inputs: Any) -> Any:
        if inputs.audience.name == name:
            raise Killed
        return decide(con, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(members, "decide", dying)
        with pytest.raises(Killed):
            stage.at(NOW + HOUR, members=["b", "d"])
    decided = stage.world.rows(f"SELECT DISTINCT audience FROM audience.counts WHERE as_of = TIMESTAMP '{NOW + HOUR}'")
    assert {row[0] for row in decided} == set(NAMES[: NAMES.index(name)])
    stage.at(NOW + HOUR)
    assert held(stage) == expected


def sessions_of(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Decide the first window; return which audiences were decided in each session."""
    sessions: list[list[str]] = []
    write = InMemory.write

    def counting(con: Any, inputs: Any) -> Any:
        sessions[-1].append(inputs.audience.name)
        return decide(con, inputs)

    def opened(warehouse: Any, **options: Any) -> Any:
        sessions.append([])
        return write(warehouse, **options)

    with monkeypatch.context() as patch:
        patch.setattr(InMemory, "write", opened)
        patch.setattr(members, "decide", counting)
        stage.at(NOW, dict.fromkeys("abcd", RICH), ["a", "b"])
    return [names for names in sessions if names]


def test_others_get_in_between_two_audiences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sessions_of(three(tmp_path), monkeypatch) == [["first"], ["second"], ["third"]]


def test_while_nobody_waits_all_are_decided_in_one_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InMemory, "awaited", lambda self: False)
    assert sessions_of(three(tmp_path), monkeypatch) == [[*NAMES]]


def test_whom_an_audience_for_everybody_let_in_is_read_of_by_the_next_one_though_nothing_told_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What decisions read is gathered of those that the change log names; an audience switched on again goes beyond."""
    monkeypatch.setattr(InMemory, "awaited", lambda self: False)
    calls = [Exclusive(group="calls", priority=priority) for priority in (2, 1)]
    stage = stage_of(tmp_path, touching("high", exclusive=calls[0]), touching("low", segment=13, exclusive=calls[1]))
    with stage.world.runtime.warehouse.write() as con:
        pauses.pause(con, stage.world.runtime.activation, "high", NOW, "Ada", "too many calls")
    stage.segments(["a", "b"], 13)
    stage.at(NOW, dict.fromkeys("abc", RICH), ["a"])
    stage.at(NOW + HOUR)
    with stage.world.runtime.warehouse.write() as con:
        pauses.resume(con, "high", NOW + HOUR, "Ada")
    stage.segments(["a", "b", "c"], 13)
    with stage.world.runtime.warehouse.write() as con:
        con.execute("DELETE FROM meta.change_log WHERE cio_id <> 'c'")  # of the others nothing is told
    found = stage.at(NOW + 2 * HOUR)
    assert (found["high"].people_in_scope, found["high"].entered) == (None, 1)
    assert found["low"].people_in_scope is not None
    assert (found["low"].entered, found["low"].exited) == (1, {"exclusive": 1})
