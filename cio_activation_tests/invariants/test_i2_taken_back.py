"""I2, its hardest corner: a change whose answer was lost is taken back before the next run.

What a destination last acknowledged is then not what it holds, so a comparison with that alone finds nothing to do.
"""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.forms import some
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
LOST: dict[str, dict[str, object]] = {
    "reset": {"kind": "reset", "when": "after", "times": 4},
    "502": {"kind": "status", "status": 502, "when": "after", "times": 4},
}
PATHS = ("*/memberships/*", "*/contacts/batch/update", "/api/v2/persons/*")


def shoppers(town: Town, count: int = 3) -> list[str]:
    """Let people in who are delivered, and return them."""
    made = [str(town.act("add_person", id=f"S{n}", email=f"shopper{n}@example.com")["cio_id"]) for n in range(count)]
    for who in made:
        for value in (40.0, 60.0):
            town.act("place_order", cio_id=who, value=value, category="Tea")
        for _ in range(2):
            town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(minutes=20))
    town.settle()
    assert town.differences() == []
    return made


@pytest.mark.parametrize(("path", "lost"), some(itertools.product(PATHS, LOST), 3))
def test_an_entry_taken_back(make_town: MakeTown, path: str, lost: str) -> None:
    town = make_town()
    made = shoppers(town)
    for who in made:
        town.act("fill_cart", cio_id=who, value=250.0)
    town.wait(timedelta(minutes=20))
    town.fault(**LOST[lost], path=path)
    town.run(Lane.REALTIME)
    town.clear_faults()
    for who in made:
        town.act("clear_cart", cio_id=who)
    town.wait(timedelta(minutes=20))
    town.run(Lane.REALTIME)
    assert town.differences([Lane.REALTIME]) == []


@pytest.mark.parametrize("path", some(PATHS))
def test_an_exit_taken_back(make_town: MakeTown, path: str) -> None:
    town = make_town()
    made = shoppers(town)
    for who in made:
        town.act("fill_cart", cio_id=who, value=250.0)
    town.wait(timedelta(minutes=20))
    town.run(Lane.REALTIME)
    for who in made:
        town.act("clear_cart", cio_id=who)
    town.wait(timedelta(minutes=20))
    town.fault(**LOST["reset"], path=path)
    town.run(Lane.REALTIME)
    town.clear_faults()
    for who in made:
        town.act("fill_cart", cio_id=who, value=250.0)
    town.wait(timedelta(minutes=20))
    town.run(Lane.REALTIME)
    assert town.differences([Lane.REALTIME]) == []


@pytest.mark.parametrize("path", ["/crm/objects/*/contacts/batch/create", "/api/v2/persons"])
def test_a_creation_whose_person_leaves(make_town: MakeTown, path: str) -> None:
    town = make_town()
    town.settle()
    who = str(town.act("add_person", id="S1", email="shopper@example.com")["cio_id"])
    town.act("place_order", cio_id=who, value=40.0, category="Tea")
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    town.wait(timedelta(minutes=20))
    town.fault(kind="reset", when="after", times=4, method="POST", path=path)
    town.run(Lane.DAILY)
    town.clear_faults()
    town.act("delete_person", cio_id=who)
    town.wait(timedelta(minutes=20))
    for _ in range(2):
        town.run(Lane.DAILY)
    assert town.differences([Lane.DAILY]) == []
