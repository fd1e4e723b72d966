"""I4: a person is created at most once per destination, whatever answers are lost and whoever runs at the same time.

A run killed at any line has the crash suite (``cio_activation_tests.crash``).
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.pipedrive.destination import DESTINATION as PIPEDRIVE
from cio_activation_tests.drivers.lanes import decide_lane
from cio_activation_tests.drivers.oracles.expected import doubles
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


def newcomers(town: Town, count: int) -> list[str]:
    """Let people in whom both destinations have to create, whichever lane runs; return their e-mail addresses."""
    emails = [f"shopper{n}@example.com" for n in range(count)]
    for n, email in enumerate(emails):
        who = town.act("add_person", id=f"S{n}", email=email)["cio_id"]
        for value in (40.0, 60.0):
            town.act("place_order", cio_id=who, value=value, at=(town.now - timedelta(minutes=10)).timestamp())
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
        town.act("fill_cart", cio_id=who, value=250.0)
    return emails


def created(town: Town) -> Counter[str]:
    """Return how often Pipedrive made a person of each e-mail, by the creations it logged as done."""
    posts = [e for e in town.calls(0) if e.method == "POST" and e.path == "/api/v2/persons"]
    return Counter(e.request["emails"][0]["value"] for e in posts if e.response and e.response.get("success"))


def check_once(town: Town, emails: list[str]) -> None:
    """Fail unless all of ``emails`` have exactly one record in each CRM, and all is as decided."""
    assert doubles(town.there) == []
    assert town.differences() == []
    contacts = {c["email"] for c in town.there["hubspot"]["contacts"].values()}
    persons = {e for p in town.there["pipedrive"]["persons"].values() for e in p["emails"]}
    assert set(emails) <= contacts & persons
    assert max(created(town).values()) == 1


LOSSES = st.lists(
    st.tuples(
        st.sampled_from(["/crm/objects/*/contacts/batch/create", "/api/v2/persons"]),
        st.sampled_from(["reset", "close", "truncate", "502"]),
        st.sampled_from(["before", "after"]),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=4,
)


@settings(TOWNS, max_examples=HISTORIES)
@given(losses=LOSSES, runs=st.lists(st.sampled_from(list(Lane)), min_size=1, max_size=3))
@example(  # a creation that another run has made, unanswered, in a lane whose matching has nothing to do
    losses=[("/api/v2/persons", "502", "before", 5), *[("/api/v2/persons", "close", "after", n) for n in (2, 3, 3)]],
    runs=[Lane.DAILY, Lane.REALTIME, Lane.REALTIME],
)
def test_lost_answers_make_no_doubles(
    make_town: MakeTown, losses: list[tuple[str, str, str, int]], runs: list[Lane]
) -> None:
    town = make_town(people=20)
    emails = newcomers(town, 4)
    for path, kind, when, times in losses:
        fault = {"kind": "status", "status": 502} if kind == "502" else {"kind": kind}
        town.fault(**fault, when=when, times=times, method="POST", path=path)
    for lane in runs:
        town.run(lane)
    town.clear_faults()
    town.wait(timedelta(minutes=20))
    town.settle()
    check_once(town, emails)


@pytest.mark.parametrize(
    "lanes", [(Lane.DAILY, Lane.DAILY), (Lane.REALTIME, Lane.REALTIME), (Lane.DAILY, Lane.REALTIME)], ids=str
)
def test_runs_at_the_same_time_make_no_doubles(make_town: MakeTown, lanes: tuple[Lane, Lane]) -> None:
    town = make_town(people=20)
    emails = newcomers(town, 8)
    town.fault(kind="delay", delay_s=0.05, times=200, method="POST", path="/api/v2/persons")
    with ThreadPoolExecutor() as threads:
        for run in [threads.submit(town.run, lane) for lane in lanes]:
            run.result(120)
    town.clear_faults()
    town.settle()
    check_once(town, emails)


def test_a_creation_that_the_vendor_commits_late_is_not_made_again(make_town: MakeTown) -> None:
    """The connection is gone at once, the vendor goes on for seconds, and the next run comes right away."""
    town = make_town(people=20)
    newcomers(town, 1)
    window = town.window(Lane.DAILY)
    steps = [s for s in PIPEDRIVE.steps(town.activation) if s.lane is Lane.DAILY]
    decide_lane(town.runtime, Lane.DAILY, window)
    run_schema(town.runtime, PIPEDRIVE)
    town.fault(kind="delay", delay_s=3.0, when="before", times=1, method="POST", path="/api/v2/persons")
    for vendor_timeout_s in (0.7, 30.0):
        hasty = {"vendor_timeout_s": vendor_timeout_s, "vendor_settle_s": 5.0}
        runtime = replace(town.runtime, settings=town.runtime.settings.model_copy(update=hasty))
        reports = [run_step(runtime, PIPEDRIVE, step, window, f"time_slice {vendor_timeout_s}") for step in steps]
        assert sum(report.held for report in reports) == (vendor_timeout_s < 3.0)
    while not any(e.fault for e in town.calls(0)):
        time.sleep(0.05)  # the vendor is not done with the first creation yet
    assert created(town) == {"shopper0@example.com": 1}
    assert doubles(town.there) == []
