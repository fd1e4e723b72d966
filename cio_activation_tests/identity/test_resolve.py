"""Resolving identity: owners, key_clashes, what is held, and that both lanes come to the same table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import AttributeType, Lane, Match
from cio_activation.activation.windows import Window
from cio_activation.errors import ContractError
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers.builders import runtime, window
from cio_activation_tests.drivers.landing import landed, small_activation
from cio_activation_tests.drivers.tables import noted, query

RT = Lane.REALTIME
OWNED = (
    "SELECT cio_id, email_owner, external_id_owner, deliverable, undeliverable_reason FROM identity.persons ORDER BY 1"
)
CONTENT = "SELECT * EXCLUDE (changed_at) FROM identity.persons ORDER BY cio_id"
KEY_CLASHES = "SELECT * EXCLUDE (window_key) FROM identity.key_clashes ORDER BY ALL"


@pytest.fixture
def run(tmp_path: Path) -> Runtime:
    return runtime(tmp_path, small_activation())


def live(run: Runtime, when: Window, people: Iterable[Mapping[str, str]], gone: Iterable[str] = ()) -> None:
    """Put people into the real-time tables, through the same casting as the real thing."""
    from cio_activation.customerio.landing import refuse_bad_rows, stage
    from cio_activation.warehouse.tables import PEOPLE_CURRENT, PEOPLE_GONE, PEOPLE_LIVE
    from cio_activation_tests.drivers.landing import write_people

    file = write_people(run, when, people)
    seen = when.as_of + timedelta(days=30)
    with run.warehouse.write() as con:
        stage(con, run.activation, when, "raw.people_fetched", PEOPLE_CURRENT, file.path, seen)
        refuse_bad_rows(con, run.activation, when, "raw.people_fetched", file.path)
        con.execute(f"DELETE FROM {PEOPLE_LIVE} WHERE cio_id IN (SELECT cio_id FROM raw.people_fetched)")
        con.execute(
            f"INSERT INTO {PEOPLE_LIVE} BY NAME SELECT * EXCLUDE (_bad, _row, _changed) FROM raw.people_fetched"
        )
        for cio_id in gone:
            con.execute(f"DELETE FROM {PEOPLE_LIVE} WHERE cio_id = ?", [cio_id])
            con.execute(f"INSERT INTO {PEOPLE_GONE} VALUES (?, ?)", [cio_id, seen])


def test_keys_are_normalized_and_bad_ones_listed(run: Runtime) -> None:
    landed(run, window(), [
        {"cio_id": "a", "id": " C1 ", "email": " ADA@Example.com", "phone": "(212) 555-0123", "first_name": " Ada "},
        {"cio_id": "b", "email": "not an address", "phone": "+12125550199"},
        {"cio_id": "c", "id": "C3", "phone": "call me"},
    ])  # fmt: skip
    result = resolve(run, window())
    rows = query(
        run,
        "SELECT cio_id, external_id, email, phone, first_name, deliverable, undeliverable_reason "
        "FROM identity.persons ORDER BY 1",
    )
    assert rows == [
        ("a", "C1", "ada@example.com", "+12125550123", "Ada", True, None),
        ("b", None, None, "+12125550199", None, False, "invalid e-mail"),
        ("c", "C3", None, None, None, False, "no e-mail"),
    ]
    assert result.quarantined == {"invalid e-mail": 1, "invalid phone": 1}
    assert (result.rows, result.deliverable, result.undeliverable) == (3, 1, {"invalid e-mail": 1, "no e-mail": 1})
    assert resolve(run, window()).quarantined == result.quarantined


SHARED = {"email": "Same@example.com"}
RANKS: list[tuple[str, list[dict[str, str]], str]] = [
    ("an external id wins", [{"cio_id": "a"}, {"cio_id": "b", "id": "C1", "created_at": "1700000000"}],
     "the owner has an external id"),
    ("then the first known", [{"cio_id": "a", "id": "1", "created_at": "1705320000"},
                              {"cio_id": "b", "id": "2", "created_at": "1700000000"}], "the owner was known first"),
    ("known beats unknown", [{"cio_id": "a", "id": "1"}, {"cio_id": "b", "id": "2", "created_at": "1700000000"}],
     "the owner was known first"),
    ("then the smallest cio_id", [{"cio_id": "c", "id": "1"}, {"cio_id": "b", "id": "2"}],
     "the owner has the smaller cio_id"),
]  # fmt: skip


@pytest.mark.parametrize(("people", "reason"), [r[1:] for r in RANKS], ids=[r[0] for r in RANKS])
def test_one_email_has_one_owner(run: Runtime, people: list[dict[str, str]], reason: str) -> None:
    landed(run, window(), [p | SHARED for p in people])
    result = resolve(run, window())
    loser = next(p["cio_id"] for p in people if p["cio_id"] != "b")
    assert dict(query(run, "SELECT cio_id, email_owner FROM identity.persons")) == {"b": True, loser: False}
    held = query(run, f"SELECT undeliverable_reason, deliverable FROM identity.persons WHERE cio_id = '{loser}'")
    assert held == [("e-mail belongs to another person", False)]
    conflict = query(run, "SELECT match_key, cio_id, owner_cio_id, reason, value_hash FROM identity.key_clashes")
    assert conflict[0][:4] == ("email", loser, "b", reason)
    assert len(conflict[0][4]) == 64
    assert "same" not in str(conflict)
    assert result.key_clashes == 1


def test_external_ids_that_differ_by_case_are_one_key(run: Runtime) -> None:
    landed(run, window(), [
        {"cio_id": "a", "id": "Abc-1", "email": "a@example.com"},
        {"cio_id": "b", "id": "ABC-1", "email": "b@example.com", "created_at": "1700000000"},
        {"cio_id": "c", "id": "abc-2", "email": "c@example.com"},
    ])  # fmt: skip
    resolve(run, window())
    assert query(run, OWNED) == [
        ("a", True, False, True, None), ("b", True, True, True, None), ("c", True, True, True, None),
    ]  # fmt: skip
    assert query(run, "SELECT match_key, cio_id, owner_cio_id FROM identity.key_clashes") == [("external_id", "a", "b")]


def test_without_created_at_the_smallest_cio_id_owns(tmp_path: Path) -> None:
    run = runtime(tmp_path, small_activation(attributes={"cart_value": AttributeType.MONEY}))
    landed(run, window(), [{"cio_id": c} | SHARED for c in "cab"])
    resolve(run, window())
    assert query(run, "SELECT cio_id FROM identity.persons WHERE email_owner") == [("a",)]


def test_a_phone_that_several_have_is_nobodys(tmp_path: Path) -> None:
    """A household shares it: to give it to one of them would be a guess. Alone again, it is a key again."""
    run = runtime(tmp_path, small_activation().model_copy(update={"match": Match(phone=True)}))
    people = [
        {"cio_id": "a", "id": "1", "email": "a@example.com", "phone": "(212) 555-0123"},
        {"cio_id": "b", "email": "b@example.com", "phone": "+1 212 555 0123"},
        {"cio_id": "c", "phone": "+12125550199"},
        {"cio_id": "d", "email": "d@example.com", "phone": "212 555 0188 ext. 4"},
    ]
    landed(run, window(1), people)
    assert resolve(run, window(1)).key_clashes == 2
    owners = "SELECT cio_id, phone_owner, deliverable FROM identity.persons ORDER BY 1"
    assert query(run, owners) == [("a", False, True), ("b", False, True), ("c", True, False), ("d", False, True)]
    clashes = query(run, "SELECT match_key, cio_id, owner_cio_id, reason FROM identity.key_clashes ORDER BY cio_id")
    told = "several people have this number: it matches none of them"
    assert clashes == [("phone", "a", None, told), ("phone", "b", None, told)]
    live(run, window(2, RT), [people[1] | {"phone": "+12125550177"}])
    assert resolve(run, window(2, RT)).people_in_scope == 2
    assert query(run, owners)[:2] == [("a", True, True), ("b", True, True)]
    assert query(run, "SELECT count(*) FROM identity.key_clashes") == [(0,)]


def test_an_address_that_no_crm_takes_is_no_breach_of_the_contract(run: Runtime) -> None:
    landed(run, window(1), [{"cio_id": "a", "email": "jos\u00e9@example.com"}])
    result = resolve(run, window(1))
    assert (result.quarantined, result.undeliverable) == ({}, {"e-mail is not ASCII before the @": 1})


def test_changed_at_moves_only_with_content(run: Runtime) -> None:
    people = [{"cio_id": "a"} | SHARED, {"cio_id": "b"} | SHARED, {"cio_id": "c", "email": "c@example.com"}]
    landed(run, window(1), people)
    resolve(run, window(1))
    landed(run, window(2), [people[1], people[2] | {"cart_value": "5"}, *[{"cio_id": f"x{i}"} for i in range(3)]])
    result = resolve(run, window(2))
    # b now owns the e-mail; c changed in raw only.
    moved = query(
        run, f"SELECT cio_id FROM identity.persons WHERE changed_at = TIMESTAMP '{window(2).as_of}' ORDER BY 1"
    )
    assert moved == [("b",), ("x0",), ("x1",), ("x2",)]
    assert result.changed == 4
    assert query(run, "SELECT count(*) FROM identity.key_clashes") == [(0,)]


def test_a_phone_is_parsed_once_ever(run: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    import phonenumbers

    parsed: list[str] = []
    real = phonenumbers.parse
    monkeypatch.setattr("phonenumbers.parse", lambda text, region: parsed.append(text) or real(text, region))
    people = [
        {"cio_id": str(i), "phone": p} for i, p in enumerate(["212 555 0123", "212 555 0123", "nope", "+12125550199"])
    ]
    for day in (1, 2):
        landed(run, window(day), people)
        resolve(run, window(day))
    assert sorted(parsed) == ["212 555 0123", "nope"]
    assert query(run, "SELECT count(*) FROM identity.persons WHERE phone = '+12125550123'") == [(2,)]


def test_old_windows_change_nothing(run: Runtime) -> None:
    landed(run, window(2), [{"cio_id": "a"} | SHARED])
    resolve(run, window(2))
    before = query(run, "SELECT * FROM identity.persons")
    assert resolve(run, window(1)).superseded
    assert query(run, "SELECT * FROM identity.persons") == before


def test_a_daily_window_is_not_held_up_by_a_later_realtime_one(run: Runtime) -> None:
    landed(run, window(1), [{"cio_id": "a"} | SHARED])
    resolve(run, window(3, RT))
    assert not resolve(run, window(1)).superseded


def test_without_people_it_says_what_to_do(run: Runtime) -> None:
    with pytest.raises(ContractError, match="customerio/people first"):
        resolve(run, window())


def test_realtime_looks_only_at_who_moved(run: Runtime) -> None:
    landed(run, window(1), [{"cio_id": f"p{i}", "email": f"p{i}@example.com"} for i in range(50)])
    resolve(run, window(1))
    live(run, window(2, RT), [{"cio_id": "p7", "email": "p9@example.com", "id": "C7"}, {"cio_id": "new"}], gone=["p3"])
    result = resolve(run, window(2, RT))
    # p7, the newcomer, the one who is gone (and so not rebuilt), and p9, who lost the e-mail to p7.
    assert (result.rows, result.people_in_scope, result.changed) == (50, 3, 3)
    assert dict(query(run, "SELECT cio_id, email_owner FROM identity.persons WHERE email = 'p9@example.com'")) == {
        "p7": True, "p9": False,
    }  # fmt: skip
    again = resolve(run, window(2, RT))
    assert (again.people_in_scope, again.rows, again.key_clashes) == (0, 50, 1)


def test_whoever_shares_another_key_with_a_rebuilt_person_keeps_it(run: Runtime) -> None:
    """``moved`` gives its e-mail up to ``heir``, whose external id belongs to ``rim``: nobody touched that one."""
    people = [
        {"cio_id": "moved", "email": "one@example.com", "id": "m", "created_at": "1700000000"},
        {"cio_id": "heir", "email": "one@example.com", "id": "X", "created_at": "1705320000"},
        {"cio_id": "rim", "email": "two@example.com", "id": "x", "created_at": "1700000000"},
    ]
    landed(run, window(1), people)
    resolve(run, window(1))
    live(run, window(2, RT), [people[0] | {"email": "three@example.com"}])
    assert resolve(run, window(2, RT)).people_in_scope == 2
    owners = "SELECT cio_id, email_owner, external_id_owner FROM identity.persons ORDER BY 1"
    assert query(run, owners) == [("heir", True, False), ("moved", True, True), ("rim", True, True)]
    found = query(run, CONTENT), query(run, KEY_CLASHES)
    resolve(run, window(2))
    assert (query(run, CONTENT), query(run, KEY_CLASHES)) == found


_IDS = st.sampled_from(["a", "b", "c", "d", "e"])
_PERSON = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["", "x", "X", "y"]),
        "email": st.sampled_from(["", "one@example.com", "ONE@example.com", "two@example.com", "broken"]),
        "created_at": st.sampled_from(["", "1700000000", "1705320000"]),
        "phone": st.sampled_from(["", "212 555 0123", "junk", "+12125550199"]),
    }
)
_CROWD = st.dictionaries(_IDS, _PERSON, max_size=5)
_NUMBER = itertools.count()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=_CROWD, after=_CROWD, gone=st.sets(_IDS, max_size=2), by_phone=st.booleans())
def test_realtime_and_daily_come_to_the_same_table(
    tmp_path: Path, before: dict[str, dict[str, str]], after: dict[str, dict[str, str]], gone: set[str], by_phone: bool
) -> None:
    run = runtime(tmp_path / str(next(_NUMBER)), small_activation().model_copy(update={"match": Match(phone=by_phone)}))
    landed(run, window(1), [{"cio_id": c} | p for c, p in before.items()])
    resolve(run, window(1))
    live(run, window(2, RT), [{"cio_id": c} | p for c, p in after.items() if c not in gone], gone)
    resolve(run, window(2, RT))
    step_by_step = query(run, CONTENT), query(run, KEY_CLASHES)
    resolve(run, window(2))
    assert (query(run, CONTENT), query(run, KEY_CLASHES)) == step_by_step


def test_whose_row_changed_is_noted_for_the_plans(run: Runtime) -> None:
    def touched() -> set[str | None]:
        with run.warehouse.write() as con:
            return noted(con, "identity.persons")

    people = [{"cio_id": c, "id": c.upper(), "email": f"{c}@example.com"} for c in "abcdef"]
    landed(run, window(), people)
    resolve(run, window())
    assert touched() == set("abcdef")
    landed(run, window(2), [people[0], people[1] | {"email": "new@example.com"}, *people[2:5]])
    resolve(run, window(2))
    assert touched() == {"b", "f"}
    # Who takes another's e-mail moves that person, too.
    live(run, window(3, RT), [people[0] | {"email": "C@example.com"}])
    resolve(run, window(3, RT))
    assert touched() == {"a", "c"}


def test_a_person_who_breaks_the_contract_stays_as_they_were(run: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    landed(run, window(1), [{"cio_id": "a", "email": "a@example.com"}, {"cio_id": "b", "email": "b@example.com"}])
    resolve(run, window(1))
    before = query(run, CONTENT)
    moved = [{"cio_id": "a", "email": "new@example.com"}, {"cio_id": "b", "email": "b@example.com"}]
    landed(run, window(2), moved)
    only = pa.DataFrameSchema({"email": pa.Column(str, pa.Check.isin(["b@example.com"], error="odd"))}, name="persons")
    with monkeypatch.context() as strict:
        strict.setattr("cio_activation.identity.resolve.persons_schema", lambda: only)
        assert resolve(run, window(2)).quarantined == {"odd": 1}
    assert query(run, CONTENT) == before
    resolve(run, window(2))
    assert query(run, "SELECT email FROM identity.persons ORDER BY cio_id") == [
        ("new@example.com",),
        ("b@example.com",),
    ]


def test_the_daily_lane_decides_whose_keys_changed_and_everybody_by_other_rules(tmp_path: Path) -> None:
    run = runtime(tmp_path, small_activation())
    people = [
        {"cio_id": c, "id": c, "email": f"{c}@example.com", "phone": "+12125550123", "cart_value": "1"} for c in "abcd"
    ]
    landed(run, window(1), people)
    assert resolve(run, window(1)).people_in_scope == 4
    landed(run, window(2), people)
    assert resolve(run, window(2)).people_in_scope == 0
    landed(run, window(3), [people[0] | {"cart_value": "2"}, people[1] | {"email": "C@example.com"}, *people[2:]])
    assert resolve(run, window(3)).people_in_scope == 2  # a has other content only; b is touched, c shares its e-mail
    current = "SELECT cio_id, content_hash FROM raw.people ORDER BY 1"
    assert query(run, "SELECT cio_id, source_hash FROM identity.persons ORDER BY 1") == query(run, current)
    by_phone = runtime(tmp_path, small_activation().model_copy(update={"match": Match(phone=True)}))
    result = resolve(by_phone, window(3))
    assert (result.people_in_scope, result.key_clashes) == (4, 5)


def test_a_window_lists_bad_keys_that_stood_before_it(run: Runtime) -> None:
    people = [{"cio_id": "a", "email": "no address"}, {"cio_id": "b", "email": "b@example.com", "phone": "call me"}]
    for day in (1, 2, 3):
        landed(run, window(day), people)
        assert resolve(run, window(day)).quarantined == {"invalid e-mail": 1, "invalid phone": 1}
    landed(run, window(4), [people[0], people[1] | {"phone": ""}])
    assert resolve(run, window(4)).quarantined == {"invalid e-mail": 1}


def test_every_four_weeks_everybody_is_resolved_too_and_who_was_missed_is_mended(run: Runtime) -> None:
    people = [{"cio_id": c, "email": f"{c}@example.com"} for c in "ab"]
    landed(run, window(7), people)
    assert resolve(run, window(7)).missed is None
    with run.warehouse.write() as con:
        con.execute("UPDATE identity.persons SET first_name = 'by hand', content_hash = 0 WHERE cio_id = 'b'")
    landed(run, window(8), people)
    assert resolve(run, window(8)).missed == 1
    assert query(run, "SELECT count(*) FROM identity.persons WHERE first_name IS NOT NULL") == [(0,)]
    assert resolve(run, window(8)).missed == 0
