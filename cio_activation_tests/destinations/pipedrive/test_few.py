"""The real-time lane plans for whom something moved, the mirror's rows included; matching is for everybody or nobody.

Each such plan is compared with a whole one, and each matching that was left out is made: see ``drivers/scopes.py``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.destinations.pipedrive import matching
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench, model
from cio_activation_tests.drivers.stand_ins.pipedrive import begin
from cio_activation_tests.forms import form

PEOPLE = 6
FIELDS = "fields_realtime"


def start(bench: PipedriveBench) -> PipedriveBench:
    """Six people with a cart, two of them in its audience; three are in the account already."""
    bench.schema()
    for n in range(PEOPLE):
        bench.person(f"p{n}", f"person{n}@example.com", cart_tier="low")
    bench.inside["cart"] = {"p1", "p2"}
    return bench


def seed() -> list[dict[str, Any]]:
    return [
        {"email": f"person{n}@example.com", "first_name": f"P{n}", "last_name": None, "phone": None} for n in range(3)
    ]


def again(bench: PipedriveBench) -> Any:
    """Run the real-time lane once more in the same window."""
    bench.day -= 1
    return bench.lane(Lane.REALTIME)


def quiet(make: Make) -> PipedriveBench:
    """Return a world in which everything is delivered, read back, and nothing has moved since."""
    bench = start(make(seed()))
    bench.lane(Lane.REALTIME)
    for _ in range(3):
        report = again(bench)
    assert (report.planned, report.people_in_scope) == (0, 0)
    return bench


@pytest.fixture
def matched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect who matched everybody."""
    found: list[str] = []
    really = matching.LinksStep.match

    def match(self: matching.LinksStep, *rest: Any) -> None:
        found.append(self.name)
        really(self, *rest)

    monkeypatch.setattr(matching.LinksStep, "match", match)
    return found


def test_a_cart_makes_the_fields_look_at_one_and_nobody_be_matched(make: Make, matched: list[str]) -> None:
    bench = quiet(make)
    matched.clear()
    bench.person("p0", "person0@example.com", cart_tier="high")
    report = again(bench)
    assert (report.people_in_scope, report.by_kind) == (1, {"update": 1})
    assert bench.fields("person0@example.com")["cio_cart_tier"] is not None
    assert len(matched) == 1  # the comparison of the tests, not the step


def test_what_a_colleague_changes_is_seen(make: Make) -> None:
    bench = quiet(make)
    found = bench.there["person1@example.com"]
    bench.edit("set_field", person=found["id"], field="cio_audiences", value=[])
    report = again(bench)
    assert (report.people_in_scope, report.delivered) == (1, 1)
    assert bench.fields("person1@example.com")["cio_audiences"]


def test_who_comes_is_matched_and_made(make: Make) -> None:
    bench = quiet(make)
    bench.edit("create_person", name="By Hand", emails=["eve@example.com"])
    bench.person("p8", "eve@example.com", cart_tier="low")
    bench.person("p9", "new@example.com", cart_tier="low")
    bench.inside["cart"] |= {"p8", "p9"}
    again(bench)
    assert bench.fields("eve@example.com")["cio_id"] == "p8"
    assert bench.fields("new@example.com")["cio_id"] == "p9"


who = st.integers(0, PEOPLE - 1)
events = st.lists(
    st.one_of(
        st.tuples(st.just("tier"), who, st.sampled_from(["low", "high"])),
        st.tuples(st.just("members"), st.sets(who)),
        st.tuples(st.just("email"), who, st.one_of(st.none(), st.integers(0, PEOPLE))),
        st.tuples(st.just("gone"), who),
        st.tuples(st.just("delete"), who),
        st.tuples(st.just("make"), st.integers(0, PEOPLE)),
        st.tuples(st.just("fault"), st.sampled_from([400, 503]), st.sampled_from(["before", "after"])),
        st.tuples(st.just("daily")),
        st.tuples(st.just("later")),
    ),
    min_size=2,
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=form(5, 60), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(history=events)
def test_few_are_enough_whatever_happens(history: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VENDOR_BACKOFF_S", "0.01")
        patch.setenv("VENDOR_SETTLE_S", "0")
        bench = PipedriveBench(Path(home), begin(seed()), model())
        try:
            start(bench).lane(Lane.REALTIME)
            for what, *details in history:
                _happens(bench, what, details)
                again(bench)
        finally:
            bench.stop()


def _happens(bench: PipedriveBench, what: str, details: list[Any]) -> None:
    if what in ("tier", "email", "gone"):
        known = bench.people.get(f"p{details[0]}", {"email": f"person{details[0]}@example.com", "values": {}})
        if what == "gone":
            bench.people.pop(f"p{details[0]}", None)
        elif what == "tier":
            bench.person(f"p{details[0]}", known["email"], deliverable=known["email"] is not None, cart_tier=details[1])
        else:
            email = None if details[1] is None else f"person{details[1]}@example.com"
            taken = {one["email"] for cio_id, one in bench.people.items() if cio_id != f"p{details[0]}"}
            owns = email is not None and email not in taken
            bench.person(f"p{details[0]}", email, deliverable=owns, **known["values"])
    elif what == "members":
        bench.inside["cart"] = {f"p{n}" for n in details[0]}
    elif what == "delete":
        found = bench.there.get(f"person{details[0]}@example.com")
        if found is not None:
            bench.edit("delete_person", person=found["id"])
    elif what == "make":
        bench.edit("create_person", name="By Hand", emails=[f"person{details[0]}@example.com"])
    elif what == "fault":
        status, when = details
        for method in ("POST", "PATCH"):
            bench.fault(kind="status", status=status, when=when, method=method, path="/api/v2/persons*", times=2)
    elif what == "daily":
        bench.day -= 1
        bench.lane(Lane.DAILY)
    elif what == "later":
        bench.day += 1
