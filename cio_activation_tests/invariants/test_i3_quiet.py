"""I3: a second run with nothing changed makes no write call, and no read at a destination that grows with people."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from cio_activation.activation.models import Lane
from cio_activation_tests.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.town import Town

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


def again(town: Town) -> Counter[str]:
    """Run both lanes with nothing changed; fail on any write; return the reads at the destinations."""
    mark = town.mark()
    for lane in Lane:
        run = town.run(lane)
        assert run.planned == 0
    assert [f"{e.method} {e.path}" for e in town.writes(mark)] == []
    return Counter(f"{e.vendor} {e.method} {e.template}" for e in town.calls(mark))


@settings(TOWNS, max_examples=6)
@given(events=histories(RUNS, WAITS, FAULTS, size=8))
def test_a_second_run_is_quiet_after_any_history(make_town: MakeTown, events: list[Event]) -> None:
    town = make_town()
    play(town, events)
    town.clear_faults()
    town.settle()
    again(town)


def test_reads_do_not_grow_with_people(make_town: MakeTown) -> None:
    reads = []
    for people in (10, 120):
        town = make_town(people=people)
        town.settle()
        reads.append(again(town))
    assert reads[0] == reads[1]
