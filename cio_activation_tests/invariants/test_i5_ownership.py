"""I5: a field that is not ours is never written, and what is not ours in a field we share stays.

Name, e-mail and phone go out only with a creation. What a human typed into *our* fields, where the activation asks to
keep it, has its tests beside the conflicts it lists (``delivery``, ``hubspot`` and ``pipedrive``: ``test_ownership``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.delivery import catalog
from cio_activation_tests.drivers.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.invariants.sizes import HISTORIES

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
FIRST_ONLY = {"email", "firstname", "lastname", "phone"}
BUILT_IN = {"name", "emails", "phones"}
BY_VENDOR = {"lastmodifieddate", "hs_lastmodifieddate", "createdate", "hs_object_id"}
THEIR_FIELD, THEIR_AUDIENCE = "Shoe size", "Board's friends"


def foreign(town: Town) -> dict[str, dict[str, Any]]:
    """Return all that is not ours, by record: whatever delivery does, it must stay like this."""
    account = town.sandbox.vendors["hubspot"].account  # type: ignore[attr-defined]
    contacts = {
        f"contact {record.id}": {
            n: v for n, v in record.values.items() if not n.startswith("cio_") and n not in BY_VENDOR
        }
        for record in account.records["contacts"].live.values()
    }
    persons = {
        f"person {number}": {k: person[k] for k in ("name", "emails", "phones", "label_ids", "owner_id")}
        | {k: v for k, v in person["custom_fields"].items() if not k.startswith("cio_")}
        | {"in theirs": THEIR_AUDIENCE in (person["custom_fields"]["cio_audiences"] or ())}
        for number, person in town.there["pipedrive"]["persons"].items()
    }
    return contacts | persons


def check_writes(town: Town, mark: int) -> None:
    """Fail if a request body names a field that is not ours, other than a creation's own."""
    codes = {str(v) for k, v in catalog.load(town.runtime.warehouse, "pipedrive").items() if k.startswith("field:")}
    for entry in town.writes(mark):
        body: Mapping[str, Any] = entry.request or {}
        if entry.vendor == "hubspot" and "/contacts/batch/" in entry.path:
            allowed = FIRST_ONLY if entry.path.endswith("batch/create") else set()
            for one in body["inputs"]:
                assert {n for n in one["properties"] if not n.startswith("cio_")} <= allowed
        elif entry.vendor == "pipedrive" and entry.path.startswith("/api/v2/persons"):
            assert set(body) <= {"custom_fields"} | (BUILT_IN if entry.method == "POST" else set())
            assert set(body["custom_fields"]) <= codes


HANDS = st.tuples(st.integers(0, 60), st.sampled_from(["phone", "name", "theirs", "audience"]))


@settings(TOWNS, max_examples=HISTORIES)
@given(hands=st.lists(HANDS, min_size=2, max_size=6), then=histories(RUNS, WAITS, FAULTS, size=8))
def test_what_is_not_ours_is_never_written(
    make_town: MakeTown, hands: list[tuple[int, str]], then: list[Event]
) -> None:
    town = make_town(people=25)
    town.settle()
    town.by_hand("pipedrive", "create_field", name=THEIR_FIELD, type="varchar")
    town.by_hand("pipedrive", "add_option", field="cio_audiences", label=THEIR_AUDIENCE)
    for number, what in hands:
        edit(town, number, what)
    before, mark = foreign(town), town.mark()
    play(town, then)
    town.clear_faults()
    town.settle()
    check_writes(town, mark)
    after = foreign(town)
    assert {record: after.get(record) for record in before} == before


def edit(town: Town, number: int, what: str) -> None:
    """Let a colleague change something of theirs on somebody's records, in both CRMs."""
    contacts, persons = town.there["hubspot"]["contacts"], town.there["pipedrive"]["persons"]
    contact, person = sorted(contacts)[number % len(contacts)], sorted(persons, key=int)[number % len(persons)]
    value = f"by hand {number}"
    name = {"phone": "phone", "name": "firstname"}.get(what, "lastname")
    town.by_hand("hubspot", "set", id=contact, properties={name: value})
    if what == "theirs":
        town.by_hand("pipedrive", "set_field", person=person, field=THEIR_FIELD, value=value)
    elif what == "audience":
        held = [*(persons[person]["custom_fields"]["cio_audiences"] or []), THEIR_AUDIENCE]
        town.by_hand("pipedrive", "set_field", person=person, field="cio_audiences", value=held)
    else:
        town.by_hand(
            "pipedrive", "set_person", person=person, **{"phones": [value]} if what == "phone" else {"name": value}
        )


def test_a_colleagues_own_audience_stays_in_the_field_we_share(make_town: MakeTown) -> None:
    """While one of ours enters the field beside it, and leaves it again."""
    town = make_town(people=20)
    town.settle()
    person, who = next((i, p["custom_fields"]["cio_id"]) for i, p in town.there["pipedrive"]["persons"].items())
    town.by_hand("pipedrive", "add_option", field="cio_audiences", label=THEIR_AUDIENCE)
    town.by_hand("pipedrive", "set_field", person=person, field="cio_audiences", value=[THEIR_AUDIENCE])
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    for days, ours in ((1, {"RET - Asked where is my order"}), (15, set())):
        town.wait(timedelta(days=days))
        town.settle()
        now = town.there["pipedrive"]["persons"][person]["custom_fields"]["cio_audiences"]
        assert set(now) == ours | {THEIR_AUDIENCE}
    assert town.differences() == []
