"""The state machine against a plain Python reference, over random lives of a few people."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.audience.members import update
from cio_activation_tests.audience.stage import HOUR, NOW, Stage, audience
from cio_activation_tests.drivers.state import window
from cio_activation_tests.forms import form

FOLK = ("a", "b", "c")


@dataclass
class Reference:
    """One audience, person by person."""

    grace: timedelta
    expires: timedelta | None
    purchase: bool
    spells: dict[str, dict[str, Any]] = field(default_factory=dict)
    stays: list[list[Any]] = field(default_factory=list)

    def step(self, as_of: datetime, people: Mapping[str, Mapping[str, Any]], members: set[str], version: int) -> None:
        for cio_id in FOLK:
            self._person(cio_id, as_of, people.get(cio_id), cio_id in members, version)

    def _person(self, cio_id: str, as_of: datetime, person: Any, member: bool, version: int) -> None:
        passes = person is not None and person["spent"] >= 100
        stay = next((s for s in self.stays if s[0] == cio_id and s[3] is None), None)
        spell = self.spells.get(cio_id)
        order = person["last_order_at"] if person is not None else None
        if spell is None and not (member and passes):
            return
        if spell is None:
            spell = self.spells[cio_id] = {"since": as_of, "stage": "waiting", "order": order}
        earliest = spell["since"] - timedelta(minutes=15)
        bought = (
            self.purchase
            and order is not None
            and (order >= earliest if spell["order"] is None else order > spell["order"])
        )
        if not (member and passes):
            del self.spells[cio_id]
            if stay is not None:
                reason = "left_segment" if not member else "gate"
                stay[3:] = [as_of, "deleted" if person is None else "purchase" if bought else reason]
            return
        if stay is not None and bought:
            stay[3:] = [as_of, "purchase"]
        elif stay is not None and stay[1] != version:
            stay[3:] = [as_of, "new_version"]
            spell["stage"] = "waiting"
        elif stay is not None and self.expires is not None and as_of >= stay[2] + self.expires:
            stay[3:] = [as_of, "expired"]
            spell["stage"] = "spent"
        if bought:
            spell["stage"] = "spent"
        if spell["stage"] == "waiting" and as_of >= spell["since"] + self.grace:
            spell["stage"] = "in"
            self.stays.append([cio_id, version, as_of, None, None])


person = st.fixed_dictionaries(
    {
        "spent": st.sampled_from([50.0, 100.0, 100.0, 100.0]),
        "last_order_at": st.one_of(st.none(), st.integers(-2, 12).map(lambda h: NOW + h * HOUR / 2)),
    }
)
event = st.tuples(
    st.sampled_from([timedelta(0), HOUR / 2, HOUR, 3 * HOUR]),
    st.dictionaries(st.sampled_from(FOLK), st.one_of(person, person, person, st.none()), max_size=3),
    st.sets(st.sampled_from(FOLK)),
    st.sampled_from([0, 0, 0, 0, 1]),
)


@settings(max_examples=form(10, 200), deadline=None)
@given(
    events=st.lists(event, min_size=1, max_size=7),
    grace=st.sampled_from([timedelta(0), HOUR]),
    expires=st.sampled_from([None, 2 * HOUR]),
    purchase=st.booleans(),
)
def test_agrees_with_the_reference(
    events: list[Any], grace: timedelta, expires: timedelta | None, purchase: bool
) -> None:
    reference = Reference(grace, expires, purchase)
    rules = {"grace": grace, "expires_after": expires, "exit_on": ("purchase",) if purchase else ()}
    people: dict[str, Any] = {who: {"spent": 100.0, "last_order_at": None} for who in FOLK}
    members, as_of, version = set(FOLK), NOW, 1
    with tempfile.TemporaryDirectory() as home:
        stage = Stage(Path(home), audience(**rules))
        for span, changed, flipped, bump in events:
            as_of, version, members = as_of + span, version + bump, members ^ flipped
            people = {k: v for k, v in (people | changed).items() if v is not None}
            stage.declare(audience(version=version, **rules))
            stage.world.people(people)
            stage.segments(members)
            before = len([s for s in reference.stays if s[3] is None])
            result = update(stage.world.runtime, window(as_of, Lane.REALTIME))["vip"]
            reference.step(as_of, people, members, version)

            now = [s for s in reference.stays if s[3] is None]
            assert stage.stages() == {k: v["stage"] for k, v in sorted(reference.spells.items())}
            assert sorted(map(str, stage.intervals())) == sorted(str(tuple(s)) for s in reference.stays)
            assert result.members == len(now) == before + result.entered - sum(result.exited.values())
            again = update(stage.world.runtime, window(as_of, Lane.REALTIME))["vip"]
            assert (again.entered, again.exited, again.members) == (0, {}, len(now))
