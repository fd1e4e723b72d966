"""Whose contact is whose: rivals, records that change hands, answers that leave somebody out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cio_activation.activation.models import Lane
from cio_activation.destinations.hubspot.contact_links import TAKEN, LinksStep
from cio_activation_tests.drivers.hubspot import LABEL, HubSpotBench, person

Build = Callable[..., HubSpotBench]


def simple(build: Build, people: int, seed: list[dict[str, object]]) -> HubSpotBench:
    world = build(seed)
    world.schema()
    world.persons([person(n) for n in range(1, people + 1)])
    world.state({f"p{n:05d}": {"second_order_due": True, "ltv": n} for n in range(1, people + 1)})
    return world


def test_two_people_who_match_one_record_alike_the_first_gets_it(build: Build) -> None:
    both = ["person1@example.com", "person2@example.com"]
    world = simple(build, 2, [{"email": "main@example.com", "additional_emails": both}])
    world.run()
    assert set(world.contacts()) == {"p00001"}
    assert world.rejected() == {"p00002": TAKEN}
    assert world.link("p00002") is None


def test_a_record_linked_in_an_earlier_run_stays_with_its_person(build: Build) -> None:
    world = simple(build, 2, [{"email": "person2@example.com"}])
    world.persons([person(2)])
    world.sql("DELETE FROM state.daily_properties WHERE cio_id = 'p00001'")
    world.run()
    world.edit("add_additional_email", email="person2@example.com", additional_email="person1@example.com")
    world.persons([person(1), person(2)])
    world.state({f"p0000{n}": {"second_order_due": True, "ltv": n} for n in (1, 2)})
    world.run()
    assert world.rejected() == {"p00001": TAKEN}
    assert world.contacts()["p00002"]["cio_ltv"] == "2"


def test_rivals_of_one_run_in_different_batches_are_settled_in_the_fold(build: Build) -> None:
    world = simple(build, 150, [{"email": "person150@example.com", "additional_emails": ["person1@example.com"]}])
    world.run()
    assert world.rejected() == {"p00001": TAKEN}
    ends = dict(
        world.sql(
            """SELECT cio_id, "end" FROM delivery.ledger WHERE kind = 'link' AND cio_id IN ('p00001', 'p00150')"""
        )
    )
    assert ends == {"p00001": "rejected", "p00150": "delivered"}
    assert len(world.contacts()) == 149


def test_a_record_with_a_living_persons_key_is_refused(build: Build) -> None:
    world = simple(build, 2, [{"email": "person1@example.com"}])
    world.edit("set", email="person1@example.com", properties={"cio_id": "p00002"})
    world.run(only="contact_links_daily")
    assert world.rejected() == {"p00001": TAKEN}


def test_a_record_of_a_profile_that_is_no_more_goes_to_its_successor(build: Build) -> None:
    world = simple(build, 1, [{"email": "person1@example.com"}])
    world.members("winback", ["p00001"])
    world.run()
    # The profile was deleted and made anew: another cio_id, the same e-mail, not in the audience.
    world.persons([person(9, email="person1@example.com")])
    world.state({"p00009": {"second_order_due": False}})
    world.members("winback", [])
    world.run()
    contacts = world.contacts()
    assert set(contacts) == {"p00009"}
    assert (contacts["p00009"]["cio_second_order_due"], contacts["p00009"].get("cio_ltv") or "") == ("false", "")
    assert world.on_list(f"{LABEL} [v1]") == set()
    assert world.link("p00001") is None
    assert world.rejected() == {}
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []


def test_somebody_the_answer_does_not_mention_is_unknown_and_never_made(build: Build) -> None:
    world = simple(build, 2, [{"email": "person1@example.com"}])
    row = {"id": world.id_of("person1@example.com"), "properties": {"email": "person1@example.com"}}
    world.fault(kind="status", path="*/batch/read", status=207, body={"results": [row], "errors": []})
    reports = world.run()
    assert reports["contact_links_daily"].held == 1
    assert set(world.contacts()) == {"p00001"}
    world.run()
    assert set(world.contacts()) == {"p00001", "p00002"}


def test_an_error_about_a_person_is_not_taken_for_not_found(build: Build) -> None:
    world = simple(build, 1, [{"email": "person1@example.com"}])
    error = {"status": "error", "category": "INTERNAL_ERROR", "context": {"ids": ["person1@example.com"]}}
    world.fault(kind="status", path="*/batch/read", status=207, body={"results": [], "errors": [error]})
    world.run()
    assert world.link("p00001") is None
    assert world.contacts() == {}


def test_an_unknown_email_is_looked_up_again_only_when_it_changes(build: Build) -> None:
    world = simple(build, 1, [{"email": "other@example.com"}])
    world.run(only="contact_links_daily")
    mark = world.mark()
    world.run(only="contact_links_daily")
    assert world.entries(mark) == []
    world.persons([person(1, email="other@example.com")])
    world.run()
    assert world.contacts()["p00001"]["email"] == "other@example.com"


@pytest.mark.parametrize("first", list(Lane))
def test_what_a_look_up_did_not_find_is_outdated_by_a_creation_of_the_other_lane(
    build: Build, monkeypatch: pytest.MonkeyPatch, first: Lane
) -> None:
    """The look-up was answered before the contact was made, and its answer is folded after it."""
    second = Lane.REALTIME if first is Lane.DAILY else Lane.DAILY
    world = build([])
    world.schema()
    world.persons([person(1)])
    world.state({"p00001": {"ltv": 1}})
    world.state({"p00001": {"cart_tier": "mid"}}, Lane.REALTIME)

    def killed(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(LinksStep, "fold", killed)
        with pytest.raises(InterruptedError):
            world.run(first, only=f"contact_links_{first.value}")
    world.run(second)
    made = world.link("p00001")
    assert made is not None
    assert made[0] == world.id_of("person1@example.com")
    reports = world.run(first)
    assert world.link("p00001") == made
    assert (reports[f"properties_{first.value}"].unneeded, reports[f"properties_{first.value}"].delivered) == (0, 1)
    contact = world.contacts()["p00001"]
    assert (contact["cio_ltv"], contact["cio_cart_tier"]) == ("1", "mid")


def test_a_contact_that_was_made_and_that_nobody_knows_any_more_is_found_again(build: Build) -> None:
    """As in a home of a release that let a late answer undo a link."""
    world = simple(build, 1, [])
    world.run()
    known = world.link("p00001")
    world.sql("UPDATE delivery.links SET record_id = NULL, matched_by = NULL, stamped = false")
    world.state({"p00001": {"second_order_due": True, "ltv": 7}})
    assert world.run()["properties_daily"].unneeded == 1
    assert world.run()["properties_daily"].delivered == 1
    assert known is not None
    assert (world.link("p00001") or ())[:2] == known[:2]
    assert world.contacts()["p00001"]["cio_ltv"] == "7"
    mark = world.mark()
    world.run()
    assert world.entries(mark) == []
