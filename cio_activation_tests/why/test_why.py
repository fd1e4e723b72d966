"""``cio-activation why``: what is told of a person is what was decided, sent, answered and done, and nothing personal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation_tests.drivers.tables import noting
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.why.told import asked, asked_town


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home = tmp_path_factory.mktemp("why") / "home"
    home.mkdir()
    with asked_town(home) as made:
        yield made


@pytest.fixture(scope="module")
def handled(here: Town) -> str:
    """Whoever was asked for and taken care of."""
    return str(here.query("SELECT cio_id FROM feedback.acts")[0][0])


def sentences(found: dict[str, Any], what: str) -> list[str]:
    return [fact["sentence"] for fact in found["facts"] if fact["what"] == what]


def test_the_story_is_told_newest_first_with_rule_values_answer_and_who_acted(here: Town, handled: str) -> None:
    found = asked(handled)
    assert [f["as_of"] for f in found["facts"]] == sorted((f["as_of"] for f in found["facts"]), reverse=True)
    (entered,) = [f for f in found["facts"] if f["what"] == "entered" and f["about"] == "hot_cart"]
    for part in (
        "“RET - Hot cart” (hot_cart)", "`cart_value > 100 AND orders_count >= 1` held with cart_value = 250", "eligible since",
    ):  # fmt: skip
        assert part in entered["sentence"]
    assert (entered["run_id"], entered["activation"]) == ("run", here.activation.fingerprint())
    assert entered["window_key"]
    (left,) = sentences(found, "left")
    assert "was taken care of" in left
    (act,) = sentences(found, "act")
    assert "the activity 1 for “RET - Hot cart” (hot_cart) was done" in act
    order = [f["what"] for f in reversed(found["facts"]) if f["about"] == "hot_cart"]
    assert order.index("entered") < order.index("write") < order.index("act") < order.index("left")


def test_what_was_sent_is_what_arrived_and_what_the_vendor_answered(here: Town, handled: str) -> None:
    found = asked(handled)
    records = {r["destination"]: r["record_id"] for r in found["records"]}
    contact = here.there["hubspot"]["contacts"][records["hubspot"]]
    assert handled in json.dumps(contact)
    ends = [f["values"]["end"] for f in found["facts"] if f["what"] == "write"]
    assert ends.count("delivered") == len(ends) == here.query(
        f"SELECT count(*) FROM delivery.ledger WHERE cio_id = '{handled}'"
    )[0][0]  # fmt: skip
    (put_on,) = [s for s in sentences(found, "write") if "put on the list of “RET - Hot cart”" in s]
    assert f"record {records['hubspot']}, correlation id " in put_on
    (opened,) = [s for s in sentences(found, "write") if "opened an activity for" in s]
    assert "taken (HTTP" in opened or "taken (record 1)" in opened


def test_everybody_is_found_by_whatever_names_them(here: Town, handled: str) -> None:
    email, external = here.query(f"SELECT email, external_id FROM identity.persons WHERE cio_id = '{handled}'")[0]
    records = dict(here.query(f"SELECT destination, record_id FROM delivery.links WHERE cio_id = '{handled}'"))
    for name in (
        email, f" {email.upper()} ", external, f"cio_{handled}", records["hubspot"], f"pipedrive:{records['pipedrive']}",
        f"https://app-eu1.hubspot.com/contacts/48000123/record/0-1/{records['hubspot']}",
        f"https://app.hubspot.com/contacts/48000123/contact/{records['hubspot']}/?x=1",
        f"https://acme.pipedrive.com/person/{records['pipedrive']}",
        f"https://fly.customer.io/workspaces/1/journeys/people/cio_{handled}/overview",
    ):  # fmt: skip
        assert asked(name)["cio_id"] == handled, name


def test_who_is_not_found_and_who_may_be_meant(here: Town, handled: str) -> None:
    (problem,) = asked("nobody.there@example.com", code=2)["problems"]
    assert "identity.persons" in problem
    assert "delivery.links" in problem
    assert "nobody.there" not in problem
    other = next(p for p in here.people() if p != handled)
    with here.runtime.warehouse.write() as con, noting(con, "delivery.links"):
        con.execute("INSERT INTO delivery.links (destination, cio_id, record_id) VALUES ('other', ?, '1')", [other])
        con.execute("INSERT INTO delivery.links (destination, cio_id, record_id) VALUES ('another', ?, '1')", [handled])
    (problem,) = asked("1", code=2)["problems"]
    assert f"{other} (by other record" in problem
    assert handled in problem
    with here.runtime.warehouse.write() as con, noting(con, "delivery.links"):
        con.execute("DELETE FROM delivery.links WHERE destination IN ('other', 'another')")


def test_it_is_told_as_it_was_then(here: Town, handled: str) -> None:
    ((entered_at, exited_at),) = here.query(
        f"SELECT entered_at, exited_at FROM audience.memberships WHERE cio_id = '{handled}' AND audience = 'hot_cart'"
    )
    then = asked(handled, "--as-of", f"{entered_at}")
    assert [p["audience"] for p in then["places"]] == ["hot_cart"]
    assert max(f["as_of"] for f in then["facts"]) == f"{entered_at}"
    assert "left" not in {f["what"] for f in then["facts"]}
    assert [p["audience"] for p in asked(handled, "--as-of", f"{exited_at}")["places"]] == []


def test_what_changed_of_a_person_is_told_with_why_and_what_stood_then(here: Town, handled: str) -> None:
    found = asked(handled)
    (changed,) = [f for f in found["facts"] if f["what"] == "value" and f["about"] == "cart_tier"]
    assert changed["sentence"] == (
        "cart_tier went from no value to high since what it is derived from changed (cart_value = 250)"
    )
    assert (changed["run_id"], changed["activation"]) == ("run", here.activation.fingerprint())
    assert found["values"]["cart_tier"] == "high"
    ((entered_at,),) = here.query(
        f"SELECT entered_at FROM audience.memberships WHERE cio_id = '{handled}' AND audience = 'hot_cart'"
    )
    assert asked(handled, "--as-of", f"{entered_at}")["values"]["cart_tier"] == "high"
    before = asked(handled, "--as-of", f"{entered_at - timedelta(hours=1)}")["values"]
    assert (before["cart_tier"], before["lapse_bucket"]) == (None, found["values"]["lapse_bucket"])
    assert set(asked(handled, "--as-of", "2020-01-01")["values"].values()) == {"(not known)"}


def test_nothing_personal_is_shown_unless_it_is_asked_for(here: Town) -> None:
    people = here.query("SELECT cio_id, email, external_id, phone, last_name FROM identity.persons")
    for cio_id, *values in people[:12]:
        told = CliRunner().invoke(app, ["why", cio_id]).stdout + json.dumps(asked(cio_id))
        assert [value for value in values if value is not None and str(value) in told] == []
    cio_id, email, *_ = next(p for p in people if p[1])
    assert email in CliRunner().invoke(app, ["why", cio_id, "--personal"]).stdout


def test_who_is_kept_out_and_what_stands_in_the_way_is_told(here: Town) -> None:
    ((cio_id,),) = here.query("SELECT cio_id FROM audience.eligibility WHERE code = 'undeliverable'")
    found = asked(cio_id)
    assert found["undeliverable"]
    assert "has no usable identifier, or it belongs to somebody else (undeliverable)" in found["places"][0]["sentence"]
    with here.runtime.warehouse.write() as con:
        for statement in (
            """INSERT INTO quarantine.rows
            VALUES ('raw', 'daily', '2026-11-03', ?, 'cart_value', 'unparsable number', NULL, 'x')""",
            """INSERT INTO delivery.rejected (operation_id, destination, step, cio_id, field, reason, next_try_at)
            VALUES ('o', 'hubspot', 'properties_daily', ?, 'spent', '400 VALIDATION_ERROR', '2026-12-01 00:00')""",
            """INSERT INTO delivery.conflicts (destination, step, cio_id, field, found_at)
            VALUES ('hubspot', 'properties_daily', ?, 'lapse_bucket', '2026-11-03 00:00')""",
        ):
            con.execute(statement, [cio_id])
    told = sentences(asked(cio_id), "obstacle")
    assert told[0].startswith(
        "hubspot/properties_daily spent: the vendor rejects it: 400 VALIDATION_ERROR: HubSpot does"
    )
    assert "; tried again from 2026-12-01 00:00" in told[0]
    assert [t for t in told if t.startswith("raw cart_value: a value could not be read and was refused: unparsable")]
    assert [t for t in told if "lapse_bucket: a human changed the value" in t]


def test_why_not_says_the_first_thing_that_failed_or_that_somebody_is_in(here: Town, handled: str) -> None:
    people = [(cio_id,) for cio_id in here.people()]
    answers = {cio_id: asked(cio_id, "--why-not", "hot_cart") for (cio_id,) in people}
    inside = {
        c
        for (c,) in here.query(
            "SELECT cio_id FROM audience.memberships WHERE audience = 'hot_cart' AND exited_at IS NULL"
        )
    }
    assert {c for c, answer in answers.items() if answer["is_in"]} == inside
    waiting = dict(
        here.query("SELECT cio_id, code FROM audience.eligibility WHERE audience = 'hot_cart' AND stage <> 'in'")
    )
    codes = {c: answer["code"] for c, answer in answers.items() if answer["because"] == "code"}
    assert codes == waiting | {handled: "spent"}
    assert (
        "though eligible: left “RET - Hot cart” (hot_cart): was taken care of (on 2026" in answers[handled]["sentence"]
    )
    assert {a["because"] for a in answers.values()} == {"in", "code", "source"}
    sentence = next(a["sentence"] for a in answers.values() if a["because"] == "source")
    assert "not in Customer.io's segment “" in sentence
    text = CliRunner().invoke(app, ["why", handled, "--why-not", "hot_cart"])
    assert text.stdout.splitlines() == [answers[handled]["sentence"]]
    assert "there are: asked_where" in asked(handled, "--why-not", "nothing", code=2)["problems"][0]


def test_what_a_guard_holds_is_told_with_why(here: Town, handled: str) -> None:
    plan = here.query(
        "SELECT plan_id, lane, window_key FROM delivery.plans WHERE step = 'list/hot_cart' AND planned > 0"
    )[0]
    with here.runtime.warehouse.write() as con:
        con.execute(
            """INSERT INTO delivery.plans (plan_id, destination, step, lane, window_key, made_at, held, status, note)
            SELECT plan_id || 'x', destination, step, lane, window_key, '2199-01-01', 6, 'held', 'max_exit_share: 6 of 6 would leave'
            FROM delivery.plans WHERE plan_id = ?""",
            [plan[0]],
        )
    folder = here.home / "plans" / plan[1] / plan[2].replace(":", "-")
    (folder / f"{plan[0]}x.parquet").write_bytes((folder / f"{plan[0]}.parquet").read_bytes())
    told = [s for s in sentences(asked(handled), "obstacle") if "not sent yet" in s]
    assert told == [
        "hubspot: not sent yet: put on the list of “RET - Hot cart” (hot_cart): max_exit_share: 6 of 6 would leave"
    ]


def test_rules_are_kept_with_the_windows_that_used_them(here: Town) -> None:
    assert here.query(
        """SELECT activation, first_used = (SELECT min(as_of) FROM audience.decisions),
            last_used = (SELECT max(window_end) FROM meta.published WHERE name LIKE 'audience.%')
        FROM audience.activations"""
    ) == [(here.activation.fingerprint(), True, True)]
