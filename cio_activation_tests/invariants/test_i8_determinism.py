"""I8: the same raw snapshot, activation and window give the same state, audiences and plan, byte for byte."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio.people import utc_now
from cio_activation.delivery import catalog
from cio_activation.delivery.destination import Context
from cio_activation.delivery.plan import make_plan
from cio_activation.destinations import DESTINATIONS
from cio_activation.runtime import Runtime
from cio_activation.warehouse import sessions
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.histories import WAITS, Event, histories, play
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
DECIDED = (
    "FROM identity.persons", "FROM identity.key_clashes", "FROM state.daily_properties", "FROM state.realtime_properties",
    "FROM audience.memberships", "FROM audience.eligibility", "FROM audience.counts",
    # In the order in which they were written; run and reading are who wrote, not what was decided.
    "SELECT * EXCLUDE (run_id, snapshot) FROM audience.decisions",
)  # fmt: skip


def decided(runtime: Runtime) -> dict[str, list[Any]]:
    with runtime.warehouse.read() as con:
        return {select: sorted(map(repr, con.execute(select).fetchall())) for select in DECIDED}


def plan_files(runtime: Runtime, lane: Lane, window: Window, folder: Path) -> dict[str, bytes]:
    """Return the plan file of every step of the lane, as bytes; no vendor is called and nothing is kept."""
    made: dict[str, bytes] = {}
    for destination in DESTINATIONS:
        known = catalog.load(runtime.warehouse, destination.name)
        context = Context(runtime.settings, runtime.activation, window, known)
        for step in destination.steps(runtime.activation):
            if step.lane is lane:
                path = folder / f"{destination.name}-{step.name.replace('/', '-')}.parquet"
                with runtime.warehouse.preview() as con:
                    make_plan(con, step, destination.name, context, window, "plan", path)
                made[path.name] = path.read_bytes() if path.exists() else b""  # nothing to do, no file
    return made


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let DuckDB work with ``count`` threads: another order of rows wherever none is asked for."""
    with mock.patch.dict(sessions._CONFIG, {"threads": count}):
        yield


@settings(TOWNS, max_examples=HISTORIES)
@given(events=histories(WAITS, size=12))
def test_two_homes_decide_and_plan_alike(make_town: MakeTown, tmp_path: Path, events: list[Event]) -> None:
    town = make_town(people=25, warm=False)
    town.run(Lane.DAILY)
    town.run(Lane.REALTIME)
    for who in town.people()[:6]:  # so that there is something to plan in both lanes
        town.act("place_order", cio_id=who, value=500.0, at=(town.now - timedelta(minutes=10)).timestamp())
        town.act("fill_cart", cio_id=who, value=250.0)
    town.wait(timedelta(days=1))
    play(town, events)
    twin = tmp_path / f"twin of {town.home.name}"
    shutil.copytree(town.home, twin)
    other = lanes.build_runtime(twin, town.sandbox.environment(), town.activation)
    asked_at = utc_now()  # a fact of a snapshot, as its rows are: real-time plans are ordered by it
    for lane in Lane:
        window = town.window(lane)
        found = []
        for runtime, count in ((town.runtime, 1), (other, 4)):
            with threads(count):
                lanes.decide_lane(runtime, lane, window, f"run with {count}", clock=lambda: asked_at)
                found.append((decided(runtime), plan_files(runtime, lane, window, runtime.settings.activation_home)))
        assert found[0] == found[1]
        assert any(found[0][1].values())


def test_a_window_landed_again_from_its_kept_files_gives_the_same(make_town: MakeTown) -> None:
    """Customer.io has moved on; the window's kept picture has not."""
    town = make_town()
    lanes.decide_lane(town.runtime, Lane.DAILY, town.window(Lane.DAILY))
    before = decided_daily(town.runtime)
    window = town.window(Lane.DAILY)
    for who in town.people()[:6]:
        town.act("place_order", cio_id=who, value=500.0)
        town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(hours=3))
    lanes.decide_lane(town.runtime, Lane.DAILY, window, refresh=False)
    assert decided_daily(town.runtime) == before
    lanes.decide_lane(town.runtime, Lane.DAILY, window, refresh=True)
    assert decided_daily(town.runtime) != before


def decided_daily(runtime: Runtime) -> list[list[Any]]:
    with runtime.warehouse.read() as con:
        return [
            sorted(map(repr, con.execute(f"FROM {name}").fetchall()))
            for name in ("identity.persons", "state.daily_properties", "audience.memberships")
        ]


def test_the_number_of_threads_is_taken(tmp_path: Path) -> None:
    """The first test would prove less if the setting were not taken."""
    with threads(3):
        warehouse = sessions.Warehouse(tmp_path / "w.duckdb")
        with warehouse.write() as con:
            assert con.execute("SELECT current_setting('threads')").fetchall() == [(3,)]
