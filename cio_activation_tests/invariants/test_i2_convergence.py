"""I2: after a run without faults, every managed field, flag and list at the destinations equals the desired state."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings

from cio_activation_tests.drivers.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.drivers.oracles.expected import doubles
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


@settings(TOWNS, max_examples=HISTORIES)
@given(events=histories(RUNS, WAITS))
def test_any_history_ends_where_it_should(make_town: MakeTown, events: list[Event]) -> None:
    town = make_town()
    assert play(town, events) == []
    town.settle()
    assert town.differences() == []
    assert doubles(town.there) == []


@settings(TOWNS, max_examples=HISTORIES)
@given(events=histories(RUNS, WAITS, FAULTS, FAULTS, size=14))
def test_any_history_of_faults_ends_where_it_should(make_town: MakeTown, events: list[Event]) -> None:
    town = make_town()
    play(town, events)
    town.clear_faults()
    # What a vendor refused is tried again after a delay, counted in windows.
    for _ in range(2):
        town.wait(timedelta(days=20))
        town.settle()
    assert town.differences() == []
    assert doubles(town.there) == []
