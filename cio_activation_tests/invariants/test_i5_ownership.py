"""I5: a field that is not ours is never written, and what is not ours in a field we share stays.

Name, e-mail and phone go out only with a creation. (Keeping what a human typed into *our* fields, where the activation
asks for it, has its tests beside the conflicts it lists.)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.delivery.run import load_catalog
from cio_activation_tests.histories import FAULTS, RUNS, WAITS, Event, histories, play
from cio_activation_tests.invariants.conftest import MakeTown
from cio_activation_tests.town import Town

pytestmark = pytest.mark.slow
TOWNS = settings.get_profile("towns")
FIRST_ONLY = {"email", "firstname", "lastname", "phone"}
BUILT_IN = {"name", "emails", "phones"}


def foreign(town: Town) -> dict[str, Any]:
    """Return all that is not ours, on every record: whatever delivery does, it must stay like this."""
    hubspot = town.sandbox.vendors["hubspot"].portal.records["contacts"]  # type: ignore[attr-defined]
    contacts = {
        record.id: {n: v for n, v in record.values.items() if not n.startswith("cio_") and n not in _BY_VENDOR}
        for record in hubspot.live.values()
    }
    persons = {
        i: {k: v for k, v in person.items() if k in ("name", "emails", "phones", "label_ids", "owner_id")}
        | {k: v for k, v in person["custom_fields"].items() if not k.startswith("cio_")}
        | {"theirs": sorted(set(person["custom_fields"].get("cio_audiences") or ()) - _labels(town))}
        for i, person in town.there["pipedrive"]["persons"].items()
    }
    return {"hubspot": contacts, "pipedrive": persons}


_BY_VENDOR = {"lastmodifieddate", "hs_lastmodifieddate", "createdate", "hs_object_id"}


def _labels(town: Town) -> set[str]:
    return {a.label for a in town.activation.audiences.values()}


def check_writes(town: Town, mark: int) -> None:
    """Fail if any request body names a field that is not ours, other than a creation's own."""
    codes = {str(v) for k, v in load_catalog(town.runtime.warehouse, "pipedrive").items() if k.startswith("field:")}
    for entry in town.writes(mark):
        body: Mapping[str, Any] = entry.request or {}
        if entry.vendor == "hubspot" and "/contacts/batch/" in entry.path:
            for one in body["inputs"]:
                names = {n for n in one["properties"] if not n.startswith("cio_")}
                assert names <= (FIRST_ONLY if entry.path.endswith("upsert") else set()), names
        elif entry.vendor == "pipedrive" and entry.path.startswith("/api/v2/persons"):
            allowed = BUILT_IN if entry.method == "POST" else set()
            assert set(body) <= {"custom_fields"} | allowed
            assert set(body["custom_fields"]) <= codes


HANDS = st.tuples(st.just("hand"), st.integers(0, 60), st.sampled_from(["phone", "name", "note"]))


@settings(TOWNS, max_examples=6)
@given(
    first=histories(RUNS, WAITS, size=5),
    hands=st.lists(HANDS, min_size=1, max_size=4),
    then=histories(RUNS, WAITS, FAULTS, size=8),
)
def test_what_is_not_ours_is_never_written(
    make_town: MakeTown, first: list[Event], hands: list[Event], then: list[Event]
) -> None:
    town = make_town()
    play(town, first)
    town.settle()
    for _, number, what in hands:
        _edit(town, number, what)
    before, mark = foreign(town), town.mark()
    play(town, then)
    town.clear_faults()
    town.settle()
    after = foreign(town)
    for vendor, records in before.items():
        for record, held in records.items():
            assert after[vendor].get(record) == held, (vendor, record)
    check_writes(town, mark)


def _edit(town: Town, number: int, what: str) -> None:
    """Let a colleague change somebody's own data by hand, in both CRMs."""
    contacts = sorted(town.there["hubspot"]["contacts"])
    persons = sorted(town.there["pipedrive"]["persons"], key=int)
    value = f"by hand {number}"
    name = {"phone": "phone", "name": "firstname", "note": "lastname"}[what]
    town.by_hand("hubspot", "set", id=contacts[number % len(contacts)], properties={name: value})
    person = persons[number % len(persons)]
    values: dict[str, Any] = {"phones": [value]} if what == "phone" else {"name": value}
    town.by_hand("pipedrive", "set_person", person=int(person), **values)


def test_a_colleagues_own_audience_stays_in_the_field_we_share(make_town: MakeTown) -> None:
    town = make_town()
    town.settle()
    person = next(p for p in town.there["pipedrive"]["persons"].values() if p["custom_fields"].get("cio_id"))
    who, number = person["custom_fields"]["cio_id"], person["id"]
    code = load_catalog(town.runtime.warehouse, "pipedrive")["field:audiences"]
    field = town.sandbox.vendors["pipedrive"].fields.by_code[code]  # type: ignore[attr-defined]
    field.options.append(type(field.options[0])(978, "Board's friends"))
    held = [*(person["custom_fields"]["cio_audiences"] or []), "Board's friends"]
    town.by_hand("pipedrive", "set_field", person=number, field="cio_audiences", value=held)
    for _ in range(2):
        town.act("click", cio_id=who, kind="wismo")
    for days in (1, 15):
        town.wait(timedelta(days=days))
        town.settle()
        now = town.there["pipedrive"]["persons"][str(number)]["custom_fields"]["cio_audiences"]
        assert "Board's friends" in now
    assert town.differences() == []
