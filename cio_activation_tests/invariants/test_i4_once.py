"""I4: a person is created at most once per destination, whatever answers are lost and whoever runs at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.delivery.run import run_schema, run_step
from cio_activation.destinations import DESTINATIONS
from cio_activation.errors import CioActivationError
from cio_activation_tests.expected import doubles
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.lanes import decide_lane
from cio_activation_tests.town import Town

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
CREATIONS = ("*/contacts/batch/upsert", "/api/v2/persons")


def newcomers(town: Town, count: int) -> None:
    """Let people in whom every destination has to create."""
    for n in range(count):
        who = town.act("add_person", id=f"S{n}", email=f"shopper{n}@example.com")["cio_id"]
        for value in (40.0, 60.0):
            town.act("place_order", cio_id=who, value=value, at=(town.now - timedelta(minutes=10)).timestamp())
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
        town.act("fill_cart", cio_id=who, value=250.0)


def created(town: Town) -> Counter[str]:
    """Return how many Pipedrive persons were ever made per e-mail, deleted ones included, by the request log."""
    posts = [e for e in town.calls(0) if e.method == "POST" and e.path == "/api/v2/persons"]
    return Counter(e.request["emails"][0]["value"] for e in posts if e.response and e.response.get("success"))


LOSSES = st.lists(
    st.tuples(
        st.sampled_from(CREATIONS),
        st.sampled_from(["reset", "close", "truncate", "502"]),
        st.sampled_from(["before", "after"]),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=4,
)


@settings(TOWNS, max_examples=6)
@given(losses=LOSSES, runs=st.lists(st.sampled_from(list(Lane)), min_size=1, max_size=4))
def test_lost_answers_make_no_doubles(
    make_town: MakeTown, losses: list[tuple[str, str, str, int]], runs: list[Lane]
) -> None:
    town = make_town(people=30)
    newcomers(town, 4)
    for path, kind, when, times in losses:
        fault = {"kind": "status", "status": 502} if kind == "502" else {"kind": kind}
        town.fault(**fault, when=when, times=times, method="POST", path=path)
    for lane in runs:
        town.run(lane)
    town.clear_faults()
    town.wait(timedelta(minutes=20))
    town.settle()
    assert doubles(town.there) == []
    assert town.differences() == []
    assert max(created(town).values()) == 1


def at_once(*works: object) -> None:
    """Run functions in threads at the same time; fail if one failed."""
    failed: list[BaseException] = []

    def guarded(work: object) -> None:
        try:
            work()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not failed, failed
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    "lanes", [(Lane.DAILY, Lane.DAILY), (Lane.REALTIME, Lane.REALTIME), (Lane.DAILY, Lane.REALTIME)], ids=str
)
def test_runs_at_the_same_time_make_no_doubles(make_town: MakeTown, lanes: tuple[Lane, Lane]) -> None:
    town = make_town(people=30, warm=False)
    newcomers(town, 8)
    town.fault(kind="delay", delay_s=0.05, times=200, method="POST", path="/api/v2/persons")
    at_once(*(lambda lane=lane: town.run(lane) for lane in lanes))
    town.clear_faults()
    town.settle()
    assert doubles(town.there) == []
    assert town.differences() == []
    assert max(created(town).values()) == 1


def test_a_creation_that_the_vendor_commits_late_is_not_made_again(make_town: MakeTown) -> None:
    """The connection is gone at once, the vendor goes on for half a second, and the next run comes right away."""
    town = make_town(people=30)
    newcomers(town, 1)
    settings = town.runtime.settings
    decide_lane(town.runtime, Lane.DAILY, town.window(Lane.DAILY))
    hasty = settings.model_copy(update={"vendor_timeout_s": 0.4})
    object.__setattr__(town.runtime, "settings", hasty)
    run_schema(town.runtime, DESTINATIONS[-1])
    town.fault(kind="delay", delay_s=3.0, when="before", times=1, method="POST", path="/api/v2/persons")
    destination = DESTINATIONS[-1]
    steps = [s for s in destination.steps(town.activation) if s.lane is Lane.DAILY]
    for step in steps:
        run_step(town.runtime, destination, step, town.window(Lane.DAILY), "hasty")
    assert created(town) == {}, "the vendor is still at it"
    object.__setattr__(town.runtime, "settings", settings.model_copy(update={"vendor_settle_s": 4.0}))
    for step in steps:
        run_step(town.runtime, destination, step, town.window(Lane.DAILY), "next")
    assert created(town) == {"shopper0@example.com": 1}
    assert doubles(town.there) == []


def test_a_failing_lane_fails_loudly(make_town: MakeTown) -> None:
    town = make_town(people=20)
    town.run(Lane.DAILY)
    town.fault(kind="status", status=401, times=50, vendor="pipedrive")
    with pytest.raises(CioActivationError):
        town.run(Lane.DAILY)
