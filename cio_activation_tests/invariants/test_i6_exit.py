"""I6: purchase, leaving the segment, expiry and deletion in Customer.io clear every flag and list in the next run.

Suppressing a person deletes the profile (Track API), so it is one with deletion here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.destinations.hubspot.config import list_name
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
QUARTER = timedelta(minutes=20)
"""Into the next window of the real-time lane."""
ASKED = {"list asked_where", "set RET - Asked where is my order"}
HOT = {"list hot_cart", "set RET - Hot cart"}
VALUES = {
    "hubspot lapse_bucket", "hubspot spent", "hubspot returning", "hubspot cart_tier",
    "pipedrive lapse_bucket", "pipedrive returning", "pipedrive cart_tier",
}  # fmt: skip


def shoppers(town: Town, count: int) -> list[str]:
    """Let people in who are in one audience of each lane, everywhere; return their ids, in the order of e-mails."""
    made = [str(town.act("add_person", id=f"S{n}", email=email(n))["cio_id"]) for n in range(count)]
    for who in made:
        for value in (40.0, 60.0):
            town.act("place_order", cio_id=who, value=value, category="Tea")
    town.wait(timedelta(minutes=5))  # an order empties the cart of its moment
    for who in made:
        town.act("fill_cart", cio_id=who, value=250.0)
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
    town.wait(QUARTER)
    town.settle()
    for number in range(count):
        assert placed(town, number) == ASKED | HOT
        assert held(town, number) == VALUES
    return made


def email(number: int) -> str:
    return f"shopper{number}@example.com"


def placed(town: Town, number: int) -> set[str]:
    """Return the lists and flags of a shopper as the CRMs show them, found by e-mail: our key may be gone too."""
    contact, _ = _contact(town, number)
    names = {list_name(a): name for name, a in town.activation.audiences.items()}
    found = {f"list {names[one['name']]}" for one in town.there["hubspot"]["lists"] if contact in one["members"]}
    return found | {f"set {label}" for label in _fields(town, number).get("cio_audiences") or ()}


def held(town: Town, number: int) -> set[str]:
    """Return our properties that hold a value for a shopper."""
    (_, contact), fields = _contact(town, number), _fields(town, number)
    names = town.activation.properties
    return {f"hubspot {n}" for n in names if contact.get(f"cio_{n}")} | {
        f"pipedrive {n}" for n in names if fields.get(f"cio_{n}")
    }


def _contact(town: Town, number: int) -> tuple[str, dict[str, object]]:
    contacts = town.there["hubspot"]["contacts"].items()
    return next((i, c) for i, c in contacts if c.get("email") == email(number))


def _fields(town: Town, number: int) -> dict[str, object]:
    persons = town.there["pipedrive"]["persons"].values()
    return next(p["custom_fields"] for p in persons if email(number) in p["emails"])


def test_a_purchase_or_an_emptied_cart_ends_the_cart_audience_in_the_next_run(make_town: MakeTown) -> None:
    town = make_town(people=20)
    buys, empties, buys_on, _ = shoppers(town, 4)
    town.act("place_order", cio_id=buys, value=250.0)
    town.act("clear_cart", cio_id=empties)
    town.act("place_order", cio_id=buys_on, value=250.0)
    town.wait(QUARTER)
    town.act("fill_cart", cio_id=buys_on, value=250.0)  # in the segment, with what came after the purchase
    town.run(Lane.REALTIME)
    assert [placed(town, n) for n in range(4)] == [ASKED, ASKED, ASKED, ASKED | HOT]


def test_expiry_ends_it_although_the_person_is_still_in_the_segment(make_town: MakeTown) -> None:
    town = make_town(people=20)
    (who,) = shoppers(town, 1)
    town.wait(timedelta(days=15))
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    town.run(Lane.DAILY)
    assert who in {c for (c,) in town.query("SELECT cio_id FROM raw.memberships WHERE segment_id = 9")}
    assert not ASKED & placed(town, 0)


@pytest.mark.parametrize("first", list(Lane))
def test_deletion_clears_everything_once_both_lanes_ran(make_town: MakeTown, first: Lane) -> None:
    town = make_town(people=20)
    gone, _ = shoppers(town, 2)
    town.act("delete_person", cio_id=gone)
    town.wait(QUARTER)
    town.run(first)
    assert not (HOT if first is Lane.REALTIME else ASKED) & placed(town, 0)
    town.run(next(lane for lane in Lane if lane is not first))
    assert placed(town, 0) == set()
    assert held(town, 0) == set()
    assert _fields(town, 0)["cio_id"] is None
    assert (placed(town, 1), held(town, 1)) == (ASKED | HOT, VALUES)


ENDINGS: dict[str, Callable[[Town, str], object]] = {
    "purchase": lambda town, who: town.act("place_order", cio_id=who, value=80.0),
    "empties cart": lambda town, who: town.act("clear_cart", cio_id=who),
    "deleted": lambda town, who: town.act("delete_person", cio_id=who),
}


@settings(TOWNS, max_examples=HISTORIES)
@given(endings=st.lists(st.sampled_from(sorted(ENDINGS)), min_size=3, max_size=12), refused=st.booleans())
def test_whoever_is_out_is_on_no_list_after_the_next_run(
    make_town: MakeTown, endings: list[str], refused: bool
) -> None:
    """A refused call costs nobody the exit: it is asked again within the run."""
    town = make_town(people=25)
    for who in town.people()[:18]:
        town.act("fill_cart", cio_id=who, value=120.0)
    town.wait(QUARTER)
    town.settle()
    open_ones = "SELECT cio_id FROM audience.memberships WHERE exited_at IS NULL AND audience = 'hot_cart'"
    inside = sorted(c for (c,) in town.query(open_ones))
    ended = list(zip(inside, endings, strict=False))
    assert len(ended) >= 3
    for who, ending in ended:
        ENDINGS[ending](town, who)
    town.wait(QUARTER)
    if refused:
        town.fault(kind="status", status=429, headers={"retry-after": "0"}, path="*/memberships/*", times=2)
    town.run(Lane.REALTIME)
    assert not {who for who, _ in ended} & {c for (c,) in town.query(open_ones)}
    assert town.differences([Lane.REALTIME]) == []
