"""``match.phone``: found by a number that one person and one record have, after id and e-mail; nobody is guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Match
from cio_activation.delivery.rejected import queue_anew
from cio_activation.delivery.unmatched import IS_GONE, OWNS_PRIMARY
from cio_activation.delivery.unmatched import people as people_without
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench, make_activation, person
from cio_activation_tests.drivers.pipedrive import Make, PipedriveBench
from cio_activation_tests.drivers.pipedrive import make as make

BY_PHONE = Match(phone=True)
NUMBER = "+12125550123"
OTHER = "+12125550199"


def seeded(*rows: tuple[str | None, str | None]) -> list[dict[str, Any]]:
    """Return records of a CRM: e-mail, phone as typed."""
    return [
        {"email": email, "first_name": f"R{n}", "last_name": None, "phone": phone}
        for n, (email, phone) in enumerate(rows, 1)
    ]


def links(bench: PipedriveBench) -> dict[str, tuple[str | None, str | None]]:
    rows = bench.query("SELECT cio_id, record_id, matched_by FROM delivery.links")
    return {cio_id: (record, how) for cio_id, record, how in rows}


def listed(bench: PipedriveBench | HubSpotBench) -> list[tuple[str, str]]:
    with bench.runtime.warehouse.read() as con:
        return [(p["cio_id"], p["reason"]) for p in people_without(con)]


def clashes(bench: PipedriveBench | HubSpotBench) -> list[tuple[str, str, str]]:
    return bench.query("SELECT cio_id, owner_cio_id, reason FROM delivery.key_clashes ORDER BY cio_id")


def pipedrive(make: Make, *rows: tuple[str | None, str | None], match: Match = BY_PHONE) -> PipedriveBench:
    bench = make(seeded(*rows), match=match)
    bench.schema()
    return bench


def test_pipedrive_finds_by_a_number_in_any_spelling_and_only_then_writes(make: Make) -> None:
    bench = pipedrive(make, ("old@example.com", " (212) 555-0123 "), ("else@example.com", "212.555.0199"))
    bench.person("c1", "new@example.com", phone=NUMBER, bucket="low")
    bench.person("c2", None, phone=OTHER, deliverable=False, bucket="high")  # nobody is made of a phone, only found
    bench.inside["vip"] = {"c1", "c2"}
    assert dict(bench.lane().by_kind) == {"stamp": 2}
    assert links(bench) == {"c1": ("1", "phone"), "c2": ("2", "phone")}
    assert bench.fields("old@example.com")["cio_id"] == "c1"
    assert bench.there["old@example.com"]["phones"] == [" (212) 555-0123 "]
    assert bench.lane().planned == 0


def test_pipedrive_prefers_id_and_email_and_guesses_nobody(make: Make) -> None:
    bench = pipedrive(
        make,
        ("ann@example.com", None), ("b@example.com", NUMBER),  # Ann by her e-mail, though another has her number
        (None, OTHER), (None, "212 555 0199"),  # two have Bob's number
        ("dan@example.com", "+12125550150"),  # Dan's own, whose number Cara has, too
    )  # fmt: skip
    bench.person("ann", "ann@example.com", phone=NUMBER, bucket="low")
    bench.person("bob", "bob@example.com", phone=OTHER, bucket="low")
    bench.person("cara", "cara@example.com", phone="+12125550150", bucket="low")
    bench.person("dan", "dan@example.com", deliverable=False, bucket="low")
    bench.inside["vip"] = {"ann", "bob", "cara"}
    assert dict(bench.lane().by_kind) == {"stamp": 1, "create": 2}
    found = links(bench)
    assert found["ann"] == ("1", "email")
    assert (found["bob"][1], found["cara"][1]) == ("created", "created")
    told = "SELECT cio_id, reason, row FROM quarantine.rows WHERE \"column\" = 'phone'"
    assert bench.query(told) == [("bob", "several Pipedrive persons share this phone", '{"persons":["3","4"]}')]


def test_pipedrive_looks_at_no_phone_unless_told_and_reads_all_again_when_it_is(make: Make) -> None:
    bench = pipedrive(make, ("old@example.com", NUMBER), match=Match())
    bench.person("c1", "new@example.com", phone=NUMBER, deliverable=False, bucket="low")
    bench.lane()
    assert links(bench) == {}
    assert bench.query("SELECT phones FROM delivery.pipedrive_persons") == [(None,)]
    bench.use(bench.activation.model_copy(update={"match": BY_PHONE}))
    bench.lane()
    assert links(bench) == {"c1": ("1", "phone")}


def test_pipedrive_a_phone_gives_way_to_an_address_and_leads_around_nothing(make: Make) -> None:
    bench = pipedrive(make, ("old@example.com", NUMBER), ("x@example.com", OTHER))
    bench.person("c1", "new@example.com", phone=NUMBER, bucket="low")
    bench.inside["vip"] = {"c1", "c2", "c3"}
    bench.lane()
    bench.person("c2", "old@example.com", bucket="high")  # the owner of its address comes
    bench.lane()
    assert {c: how for c, (_, how) in links(bench).items()} == {"c1": "created", "c2": "email"}
    assert (bench.fields("old@example.com")["cio_id"], bench.fields("old@example.com")["cio_bucket"]) == ("c2", "high")
    assert bench.fields("new@example.com")["cio_bucket"] == "low"
    # Whose address is on a person of somebody else: no phone leads around that.
    bench.edit("set_person", person=1, emails=["old@example.com", "more@example.com"])
    bench.person("c3", "more@example.com", phone=OTHER, bucket="low")
    assert bench.lane().planned == 0
    assert clashes(bench) == [("c3", "c2", OWNS_PRIMARY)]
    assert links(bench)["c3"] == (None, "email_taken")


def test_pipedrive_whose_person_found_by_phone_was_deleted_gets_no_other(make: Make) -> None:
    bench = pipedrive(make, ("old@example.com", NUMBER), ("x@example.com", OTHER))
    bench.person("c1", "new@example.com", phone=NUMBER, bucket="low")
    bench.person("c2", None, phone=OTHER, deliverable=False, bucket="low")
    bench.inside["vip"] = {"c1", "c2"}
    bench.lane()
    for email in ("old@example.com", "x@example.com"):
        bench.edit("delete_person", person=email)
    for person_ in bench.people.values():
        person_["values"]["bucket"] = "high"
    bench.lane()
    assert bench.lane().planned == 0
    assert bench.there == {}
    assert listed(bench) == [("c1", IS_GONE), ("c2", IS_GONE)]
    bench.edit("create_person", name="Anew", emails=["anew@example.com"], phones=[NUMBER])  # by a colleague
    bench.lane()
    assert bench.fields("anew@example.com")["cio_bucket"] == "high"
    assert listed(bench) == [("c2", IS_GONE)]


Portal = Callable[..., HubSpotBench]


@pytest.fixture
def hubspot(tmp_path: Path) -> Iterator[Portal]:
    made: list[HubSpotBench] = []

    def one(*rows: tuple[str | None, str | None], match: Match = BY_PHONE) -> HubSpotBench:
        activation = make_activation().model_copy(update={"match": match})
        made.append(hubspot_bench(tmp_path / f"home{len(made)}", seeded(*rows), activation, search_lag_s=0.0))
        made[-1].schema()
        return made[-1]

    yield one
    for bench in made:
        bench.stop()


def decided(bench: HubSpotBench, *people: dict[str, Any]) -> None:
    bench.persons([{"phone_owner": True, **p} for p in people])
    bench.state({p["cio_id"]: {"ltv": 1.0} for p in people})


def carried(bench: HubSpotBench) -> dict[str, str | None]:
    """Return the first name of every contact -> whose key it carries."""
    contacts = bench.portal.account.records["contacts"].live.values()
    return {c.values.get("firstname", ""): c.values.get("cio_id") for c in contacts}


def test_hubspot_finds_by_a_number_in_any_spelling_and_only_then_writes(hubspot: Portal) -> None:
    bench = hubspot(
        ("old@example.com", " (212) 555-0123 "), (None, "212.555.0199"), ("x@example.com", "+44 20 7946 0018")
    )
    people = [
        person(1, "new@example.com", phone=NUMBER),
        person(2, None, phone=OTHER, deliverable=False),  # nobody is made of a phone, only found
        person(3, None, phone="+12079460018", deliverable=False),  # the same local number, in another country
    ]
    decided(bench, *people)
    since = bench.mark()
    bench.run()
    assert bench.link("p00001") == (bench.id_of("old@example.com"), True, "phone")
    assert carried(bench) == {"R1": "p00001", "R2": "p00002", "R3": None}
    assert bench.contact(bench.id_of("old@example.com"))["phone"] == " (212) 555-0123 "
    assert bench.calls(since)["/contacts/search"] == 1
    since = bench.mark()
    bench.run()
    assert (bench.writes(since), bench.calls(since)["/contacts/search"]) == ([], 0)
    decided(
        bench, *people[:2], person(3, None, phone="+442079460018", deliverable=False)
    )  # corrected: looked for again
    bench.run()
    assert carried(bench)["R3"] == "p00003"


def test_hubspot_prefers_id_and_email_and_guesses_nobody(hubspot: Portal) -> None:
    bench = hubspot(
        ("ann@example.com", None), ("b@example.com", NUMBER),  # Ann by her e-mail, though another has her number
        ("c@example.com", OTHER), ("d@example.com", "212 555 0199"),  # two have Bob's number
        ("dan@example.com", "+12125550150"),  # Dan's own, whose number Cara has, too
    )  # fmt: skip
    decided(
        bench,
        person(1, "ann@example.com", phone=NUMBER), person(2, "bob@example.com", phone=OTHER),
        person(3, "cara@example.com", phone="+12125550150"),
        person(4, "dan@example.com", deliverable=False, phone_owner=False),
    )  # fmt: skip
    bench.run()
    assert {c: how for c, _, how in bench.sql("SELECT cio_id, record_id, matched_by FROM delivery.links")} == {
        "p00001": "email", "p00002": "created", "p00003": "created",
    }  # fmt: skip
    assert [carried(bench)[f"R{n}"] for n in range(1, 6)] == ["p00001", None, None, None, None]
    told = bench.sql("SELECT cio_id, reason FROM quarantine.rows WHERE \"column\" = 'phone'")
    assert told == [("p00002", "several HubSpot contacts share this phone")]


def test_hubspot_asks_for_no_phone_unless_told(hubspot: Portal) -> None:
    bench = hubspot(("old@example.com", NUMBER), match=Match())
    decided(bench, person(1, "new@example.com", phone=NUMBER))
    since = bench.mark()
    bench.run()
    assert bench.calls(since)["/contacts/search"] == 0
    assert carried(bench)["R1"] is None


def test_hubspot_a_phone_gives_way_to_an_address_and_no_address_of_another_leads_anywhere(hubspot: Portal) -> None:
    bench = hubspot(("old@example.com", NUMBER), ("x@example.com", OTHER))
    one = person(1, "new@example.com", phone=NUMBER)
    decided(bench, one)
    bench.run()
    assert carried(bench)["R1"] == "p00001"
    # The owner of its address comes, and somebody who has that address too, but does not own it.
    two = person(2, "old@example.com", phone_owner=False)
    other = person(0, "old@example.com", phone=OTHER, deliverable=False, email_owner=False)
    decided(bench, one, two, other)
    bench.run()
    bench.run()
    assert (carried(bench)["R1"], carried(bench)["R2"]) == ("p00002", "p00000")
    assert set(bench.contacts()) == {"p00000", "p00001", "p00002"}
    assert bench.contacts()["p00001"]["email"] == "new@example.com"
    assert listed(bench) == []


def test_hubspot_whose_contact_found_by_phone_was_deleted_gets_no_other(hubspot: Portal) -> None:
    bench = hubspot(("old@example.com", NUMBER), (None, OTHER))
    people = [person(1, "new@example.com", phone=NUMBER), person(2, None, phone=OTHER, deliverable=False)]
    decided(bench, *people)
    bench.run()
    ids = [bench.link(c)[0] for c in ("p00001", "p00002")]
    for record_id in ids:
        bench.edit("delete", id=record_id)
    bench.state({"p00001": {"ltv": 2.0}, "p00002": {"ltv": 2.0}})
    bench.run()
    since = bench.mark()
    bench.run()
    assert bench.entries(since) == []
    assert bench.contacts() == {}
    assert listed(bench) == [("p00001", IS_GONE), ("p00002", IS_GONE)]
    bench.edit("restore", id=ids[1])
    with bench.runtime.warehouse.write() as con:
        queue_anew(con)
    bench.run()
    assert bench.contacts()["p00002"]["cio_ltv"] == "2"
    assert listed(bench) == [("p00001", IS_GONE)]
