"""A cart beside the first contact of everybody: what is deferred waits, is taken up by place, and is never forgotten.

Each narrowed plan is compared with a whole one: see ``drivers/scopes.py``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from cio_activation.activation.guards import Guards
from cio_activation.activation.models import Lane, Limits
from cio_activation.delivery import deferred, fold
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.destinations.hubspot import DESTINATION, lists
from cio_activation.transport import time_slice
from cio_activation.transport.time_slice import TimeSlice
from cio_activation.warehouse import change_log
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, person

Build = Callable[..., HubSpotBench]
PEOPLE, TAKEN_UP, BATCH = 360, 120, 100
LINKS, PROPERTIES, LIST = "contact_links_realtime", "properties_realtime", "list/hot_cart"
SEEN = datetime(2026, 11, 1)


@pytest.fixture(autouse=True)
def taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run take up 120 of what is deferred; as many people folded at once were "everybody"."""
    monkeypatch.setattr(deferred, "TAKEN_UP", TAKEN_UP)
    monkeypatch.setattr(change_log, "MANY", BATCH)
    monkeypatch.setattr(fold, "AT_ONCE", BATCH)


def new_to_the_crm(build: Build, members: int = 0) -> HubSpotBench:
    """Return a world of people whom the portal has never heard of, all observed at one time."""
    world = build()
    world.schema()
    ids = [f"p{n:05d}" for n in range(PEOPLE)]
    world.persons([person(n) for n in range(PEOPLE)])
    for lane, values in ((Lane.REALTIME, {"cart_tier": "low"}), (Lane.DAILY, {"ltv": 1.0})):
        world.state(dict.fromkeys(ids, values), lane)
    with world.runtime.warehouse.write() as con:
        con.execute("CREATE OR REPLACE TABLE raw.people_current (cio_id VARCHAR, observed_at TIMESTAMP)")
        con.execute(f"INSERT INTO raw.people_current SELECT cio_id, TIMESTAMP '{SEEN}' FROM identity.persons")
    if members:
        world.members("hot_cart", ids[-members:])
        world.sql(f"UPDATE audience.memberships SET entered_at = TIMESTAMP '{SEEN}'")
    return world


def live(world: HubSpotBench, *, hurried: bool = True, most_s: float = 0.0) -> dict[str, StepReport]:
    """Run the real-time lane once in its one window; ``hurried``: each step sends one batch, for others wait.

    Or none waits, and each has ``most_s``.
    """
    reports = {}
    for step in DESTINATION.steps(world.activation):
        if step.lane is Lane.REALTIME:
            slice_ = TimeSlice(lambda: not most_s, least_s=0.0, most_s=most_s) if hurried else None
            at = window(2, Lane.REALTIME)
            reports[step.name] = run_step(world.runtime, DESTINATION, step, at, uuid.uuid4().hex, slice_)
    return reports


def cart(world: HubSpotBench, n: int) -> None:
    """Let somebody fill a cart, of whom Customer.io tells now."""
    at = SEEN + timedelta(minutes=n)
    with world.runtime.warehouse.write() as con:
        con.execute(f"UPDATE raw.people_current SET observed_at = TIMESTAMP '{at}' WHERE cio_id = 'p{n:05d}'")
    world.sql(
        f"UPDATE state.realtime_properties SET cart_tier = 'high', hash_hubspot = hash('high') "
        f"WHERE cio_id = 'p{n:05d}'"
    )


def tier(world: HubSpotBench, n: int) -> str | None:
    return world.contacts().get(f"p{n:05d}", {}).get("cio_cart_tier")


def test_a_cart_passes_those_who_are_deferred(build: Build) -> None:
    world = new_to_the_crm(build)
    first = live(world)
    assert (first[LINKS].planned, first[LINKS].delivered) == (PEOPLE, BATCH)
    for n in (PEOPLE - 1, PEOPLE - 2):
        cart(world, n)
        reports = live(world)
        assert all((r.people_in_scope or 0) <= TAKEN_UP + BATCH + 1 for r in reports.values()), reports
        assert reports[LINKS].planned <= TAKEN_UP + 1
        assert tier(world, n) == "high"
    assert reports[LINKS].deferred > 0


def test_a_run_that_brings_a_cart_gives_what_is_deferred_a_moment_only(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_slice, "BRIEF_S", 0.0)
    world = new_to_the_crm(build)
    live(world)
    assert live(world, most_s=60.0)[LINKS].delivered == TAKEN_UP
    cart(world, PEOPLE - 1)
    report = live(world, most_s=60.0)[LINKS]
    assert (report.planned, report.delivered, report.yielded) == (TAKEN_UP + 1, BATCH, True)
    assert tier(world, PEOPLE - 1) == "high"


def test_a_daily_push_beside_it_is_no_news_of_everybody(build: Build) -> None:
    world = new_to_the_crm(build)
    live(world)
    world.run(Lane.DAILY)  # folds of a hundred: looked up, then made
    cart(world, PEOPLE - 1)
    reports = live(world)
    assert None not in {r.people_in_scope for r in reports.values()}
    assert (reports[LINKS].planned, tier(world, PEOPLE - 1)) == (0, "high")
    # Who was found is planned once, whole; from then on whose turn it is, and whom this lane's own folds name.
    cart(world, PEOPLE - 2)
    reports = live(world)
    assert (reports[LINKS].planned, reports[PROPERTIES].planned) == (0, TAKEN_UP + 1)
    assert tier(world, PEOPLE - 2) == "high"


@pytest.mark.parametrize("pushed", [False, True], ids=["alone", "after the daily push"])
def test_what_is_deferred_is_taken_up_until_nothing_is(build: Build, pushed: bool) -> None:
    world = new_to_the_crm(build, members=PEOPLE // 2)
    live(world)
    if pushed:
        world.run(Lane.DAILY)
    runs, reports = 1, live(world)
    while any(r.asks_for_next for r in reports.values()):
        runs, reports = runs + 1, live(world)
        assert runs < 3 * PEOPLE // BATCH
    assert (runs > 1, {r.deferred for r in reports.values()}) == (True, {0})
    assert world.query("SELECT count(*) FROM delivery.deferred") == [(0,)]
    assert {c.get("cio_cart_tier") for c in world.contacts().values()} == {"low"}
    assert len(world.contacts()) == PEOPLE
    assert len(world.on_list("RET - Hot Cart - Help Now [v1]")) == PEOPLE // 2
    made = (
        "SELECT count(*), count(DISTINCT cio_id) FROM delivery.ledger WHERE kind = 'create' AND \"end\" = 'delivered'"
    )
    assert world.query(made) == [(PEOPLE, PEOPLE)]


def test_whoever_fails_again_and_again_gives_way_to_the_others(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "TAKEN_UP", BATCH)
    monkeypatch.setenv("VENDOR_BACKOFF_S", "0.01")
    world = new_to_the_crm(build)
    live(world)
    world.fault(kind="status", status=503, path="*/contacts/batch/read", times=1000)
    for _ in range(deferred.TRIES + 1):  # how a write without an answer ended is known by the next run
        assert live(world)[LINKS].delivered == 0
    tried = "SELECT DISTINCT cio_id FROM delivery.ledger WHERE \"end\" = 'retry'"
    stuck = {cio_id for (cio_id,) in world.query(tried)}
    assert len(stuck) == BATCH
    world.shared.faults.clear()
    assert live(world)[LINKS].delivered == BATCH
    assert not stuck & set(world.contacts())
    while live(world)[LINKS].asks_for_next:
        pass
    assert len(world.contacts()) == PEOPLE


def test_a_guard_judges_all_that_is_new_and_nothing_twice(build: Build) -> None:
    world = new_to_the_crm(build, members=300)
    guards = Guards(max_exit_share=0.3, share_floor=10)
    world.use(world.activation.model_copy(update={"limits": Limits(guards=guards)}))
    live(world, hurried=False)
    assert live(world, hurried=False)[LIST].deferred == 0
    assert len(world.on_list("RET - Hot Cart - Help Now [v1]")) == 300
    # More leave than may, in one change: a run that took up some of them only would never see that.
    world.members("hot_cart", [f"p{n:05d}" for n in range(60, 260)])
    report = live(world)[LIST]
    assert (report.stopped, report.planned) == (True, 100)


def test_who_is_deferred_counts_as_on_the_way_into_an_audience(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "TAKEN_UP", 20)
    monkeypatch.setattr(lists, "BATCH", 20)
    world = new_to_the_crm(build)
    for _ in range(2):
        live(world, hurried=False)
    ids = [f"p{n:05d}" for n in range(130)]
    world.members("hot_cart", ids[:100])
    world.sql(f"UPDATE audience.memberships SET entered_at = TIMESTAMP '{SEEN}'")
    report = live(world)[LIST]
    assert (report.planned, report.delivered) == (100, 20)
    world.members("hot_cart", ids)
    now = window(2, Lane.REALTIME).end.replace(tzinfo=None)
    world.sql(f"UPDATE audience.memberships SET entered_at = TIMESTAMP '{now}' WHERE entered_at IS NULL")
    report = live(world)[
        LIST
    ]  # 30 who enter are more than all of the 20 that the list has, not of the 100 it was given
    assert (report.stopped, report.planned, report.deferred) == (False, 50, 60)
