"""I3: a second run with nothing changed makes no write call, and no read at a destination that grows with people."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


def again(town: Town) -> Counter[str]:
    """Run both lanes with nothing changed; fail on any write; return the reads at the destinations, calls and persons."""
    mark = town.mark()
    for lane in Lane:
        run = town.run(lane)
        assert run.planned == 0
    assert [f"{e.method} {e.path}" for e in town.writes(mark)] == []
    calls = town.calls(mark)
    listed = sum(len((e.response or {}).get("data") or ()) for e in calls if e.path == "/api/v2/persons")
    return Counter(f"{e.vendor} {e.method} {e.template}" for e in calls) + Counter(persons=listed)


@settings(TOWNS, max_examples=HISTORIES)
@given(events=histories(RUNS, WAITS, FAULTS, size=8))
def test_a_second_run_is_quiet_after_any_history(make_town: MakeTown, events: list[Event]) -> None:
    town = make_town()
    play(town, events)
    town.clear_faults()
    town.settle()
    again(town)


def test_reads_do_not_grow_with_people(make_town: MakeTown) -> None:
    """Pipedrive shows our own writes as changes, once: the first quiet run reads them, the next has nothing to read."""
    reads = []
    for people in (40, 160):
        town = make_town(people=people)
        town.settle()
        for settled in (False, True):
            town.sandbox.shared.clock.advance(120)  # seconds; longer than the mirror looks back before its watermark
            read = again(town)
            assert settled or read["persons"] > 0
        reads.append(read)
    assert reads[0] == reads[1]
