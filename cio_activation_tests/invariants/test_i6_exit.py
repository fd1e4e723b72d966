"""I6: purchase, leaving the segment, expiry and deletion in Customer.io clear every flag and list in the next run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.hubspot.options import list_name
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.town import Town

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")


def shopper(town: Town) -> str:
    """Let somebody in who is in one audience of each lane, everywhere."""
    who = str(town.act("add_person", id="S1", email="shopper@example.com")["cio_id"])
    for value in (40.0, 60.0):
        town.act("place_order", cio_id=who, value=value, category="Tea")
    town.wait(timedelta(minutes=5))  # an order empties the cart of its moment
    town.act("fill_cart", cio_id=who, value=250.0)
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(minutes=20))
    town.settle()
    assert placed(town, who) == {
        "list asked_where",
        "list hot_cart",
        "set RET - Asked where is my order",
        "set RET - Hot cart",
    }
    assert held(town, who) == {
        "hubspot lapse_bucket", "hubspot spent", "hubspot returning", "hubspot cart_tier",
        "pipedrive lapse_bucket", "pipedrive returning", "pipedrive cart_tier",
    }  # fmt: skip
    return who


def placed(town: Town, email_or_id: str) -> set[str]:
    """Return the lists and flags the person is on, as the CRMs show them, by e-mail: our key may be gone too."""
    contact = next(
        (i for i, c in town.there["hubspot"]["contacts"].items() if c.get("email") == "shopper@example.com"), None
    )
    names = {list_name(a): name for name, a in town.activation.audiences.items()}
    found = {f"list {names[one['name']]}" for one in town.there["hubspot"]["lists"] if contact in one["members"]}
    return found | {f"set {label}" for label in _fields(town).get("cio_audiences") or ()}


def held(town: Town, who: str) -> set[str]:
    """Return our properties that hold a value for the person anywhere."""
    contact = next(c for c in town.there["hubspot"]["contacts"].values() if c.get("email") == "shopper@example.com")
    names = town.activation.properties
    found = {f"hubspot {n}" for n in names if contact.get(f"cio_{n}")}
    return found | {f"pipedrive {n}" for n in names if _fields(town).get(f"cio_{n}")}


def _fields(town: Town) -> dict[str, object]:
    persons = town.there["pipedrive"]["persons"].values()
    return next(p["custom_fields"] for p in persons if "shopper@example.com" in p["emails"])


def test_a_purchase_ends_the_cart_audience_in_the_next_run(make_town: MakeTown) -> None:
    town = make_town()
    who = shopper(town)
    town.act("place_order", cio_id=who, value=250.0)
    town.wait(timedelta(minutes=20))
    town.run(Lane.REALTIME)
    assert placed(town, who) == {"list asked_where", "set RET - Asked where is my order"}


def test_leaving_the_segment_ends_it(make_town: MakeTown) -> None:
    town = make_town()
    who = shopper(town)
    town.act("clear_cart", cio_id=who)
    town.wait(timedelta(minutes=20))
    town.run(Lane.REALTIME)
    assert placed(town, who) == {"list asked_where", "set RET - Asked where is my order"}


def test_expiry_ends_it_although_the_person_is_still_in_the_segment(make_town: MakeTown) -> None:
    town = make_town()
    who = shopper(town)
    town.wait(timedelta(days=15))
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    town.run(Lane.DAILY)
    assert who in {c for (c,) in town.query("SELECT cio_id FROM raw.memberships WHERE segment_id = 9")}
    assert not {"list asked_where", "set RET - Asked where is my order"} & placed(town, who)


@pytest.mark.parametrize("first", list(Lane))
def test_deletion_clears_everything_once_both_lanes_ran(make_town: MakeTown, first: Lane) -> None:
    town = make_town()
    who = shopper(town)
    town.act("delete_person", cio_id=who)
    town.wait(timedelta(minutes=20))
    town.run(first)
    town.run(next(lane for lane in Lane if lane is not first))
    town.run(first)
    assert placed(town, who) == set()
    assert held(town, who) == set()
    assert _fields(town)["cio_id"] is None


ENDINGS: dict[str, Callable[[Town, str], object]] = {
    "purchase": lambda town, who: town.act("place_order", cio_id=who, value=80.0),
    "empties cart": lambda town, who: town.act("clear_cart", cio_id=who),
    "deleted": lambda town, who: town.act("delete_person", cio_id=who),
}


@settings(TOWNS, max_examples=5)
@given(endings=st.lists(st.sampled_from(sorted(ENDINGS)), min_size=3, max_size=12), fault=st.booleans())
def test_whoever_is_out_is_on_no_list_after_the_next_run(make_town: MakeTown, endings: list[str], fault: bool) -> None:
    town = make_town()
    for who in town.people()[: len(endings) + 6]:
        town.act("fill_cart", cio_id=who, value=120.0)
    town.wait(timedelta(minutes=20))
    town.settle()
    inside = {
        c
        for (c,) in town.query(
            "SELECT cio_id FROM audience.memberships WHERE exited_at IS NULL AND audience = 'hot_cart'"
        )
    }
    assert len(inside) >= 4
    for who, ending in zip(sorted(inside), endings, strict=False):
        ENDINGS[ending](town, who)
    town.wait(timedelta(minutes=20))
    if fault:  # a refused call costs nobody the exit: it is asked again within the run
        town.fault(kind="status", status=429, headers={"retry-after": "0"}, path="*/memberships/*", times=2)
    town.run(Lane.REALTIME)
    assert town.differences([Lane.REALTIME]) == []
