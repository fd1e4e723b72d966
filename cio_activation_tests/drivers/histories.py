"""Random histories of a small town, for property-based tests: people act, colleagues edit, vendors fail, lanes run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.errors import CioActivationError
from cio_activation_tests.drivers.town import Town

Event = tuple[Any, ...]

WHO = st.integers(0, 39)
ACTIONS: st.SearchStrategy[Event] = st.one_of(
    st.tuples(st.just("order"), WHO, st.sampled_from([15.0, 80.5, -12.0])),
    st.tuples(st.just("cart"), WHO, st.sampled_from([20.0, 90.0, 250.0])),
    st.tuples(st.just("clear_cart"), WHO),
    st.tuples(st.just("ask"), WHO),
    st.tuples(st.just("delete"), WHO),
    st.tuples(st.just("add"), st.integers(0, 9)),
    st.tuples(st.just("email"), WHO, st.integers(0, 9)),
)
WAITS: st.SearchStrategy[Event] = st.tuples(st.just("wait"), st.sampled_from([5, 20, 24 * 60, 9 * 24 * 60]))
RUNS: st.SearchStrategy[Event] = st.tuples(st.just("run"), st.sampled_from([Lane.DAILY, Lane.REALTIME]))
_WRITES = ["*/contacts/batch/*", "*/memberships/*", "/api/v2/persons", "/api/v2/persons/*"]
FAULTS: st.SearchStrategy[Event] = st.one_of(
    st.tuples(
        st.just("fault"),
        st.sampled_from(
            [
                {"kind": "status", "status": 429, "headers": {"retry-after": "0"}},
                {"kind": "status", "status": 423},
                {"kind": "status", "status": 500},
                {"kind": "status", "status": 503},
                {"kind": "status", "status": 502, "when": "after"},
                {"kind": "status", "status": 400, "body": {"category": "VALIDATION_ERROR"}},
                {"kind": "status", "status": 409, "body": {"category": "CONFLICT"}},
                {"kind": "reset"},
                {"kind": "reset", "when": "after"},
                {"kind": "close", "when": "after"},
                {"kind": "truncate"},
                {"kind": "html"},
            ]
        ),
        st.sampled_from(_WRITES),
        st.integers(1, 6),
        st.integers(0, 2),
    )
)


def histories(*kinds: st.SearchStrategy[Event], size: int = 10) -> st.SearchStrategy[list[Event]]:
    """Return lists of events, most of them people's own."""
    return st.lists(st.one_of(ACTIONS, ACTIONS, *kinds), min_size=3, max_size=size)


def play(town: Town, events: list[Event]) -> list[CioActivationError]:
    """Let ``events`` happen; return the errors that runs ended with."""
    errors: list[CioActivationError] = []
    for kind, *details in events:
        if kind == "run":
            try:
                town.run(details[0])
            except CioActivationError as error:
                errors.append(error)
        elif kind == "wait":
            town.wait(timedelta(minutes=details[0]))
        elif kind == "fault":
            fault, path, times, skip = details
            town.fault(**fault, path=path, times=times, skip=skip)
        else:
            _act(town, kind, details)
    return errors


def _act(town: Town, kind: str, details: list[Any]) -> None:
    if kind == "add":
        town.act("add_person", id=f"X{details[0]}", email=f"newcomer{details[0]}@example.com")
        return
    people = town.people()
    who = people[details[0] % len(people)]
    if kind == "order":
        town.act("place_order", cio_id=who, value=details[1], category="Tea")
    elif kind == "cart":
        town.act("fill_cart", cio_id=who, value=details[1])
    elif kind == "clear_cart":
        town.act("clear_cart", cio_id=who)
    elif kind == "ask":
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
    elif kind == "delete":
        town.act("delete_person", cio_id=who)
    elif kind == "email":
        town.act("set_attribute", cio_id=who, name="email", value=f"newcomer{details[1]}@example.com")
    else:
        raise AssertionError(kind)
