"""``check`` and ``plan`` on bad input: each says what, where and how to mend it, and nothing is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Settings
from cio_activation.cli.main import app
from cio_activation.customerio.people import pull_people
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.runtime import Runtime
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.transport.errors import Stop
from cio_activation_tests.drivers.builders import FAST, window
from cio_activation_tests.drivers.decided import write_persons
from cio_activation_tests.drivers.stand_ins.customerio import small_world


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    running = build_sandbox(small_world(10))
    yield running
    running.stop()


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def writes(sandbox: RunningSandbox) -> int:
    counts = sandbox.shared.log.counts.items()
    return sum(n for (_v, method, path, _s), n in counts if method != "GET" and "read" not in path)


def test_the_default_activation_is_fine_and_checking_changes_nothing(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox
) -> None:
    before = writes(sandbox)
    code, result = run("check")
    assert (code, result["ok"]) == (0, True), result
    assert writes(sandbox) == before


@pytest.mark.parametrize(
    ("name", "value", "vendor", "mend"),
    [
        ("CUSTOMERIO_APP_API_KEY", None, "customerio", "CUSTOMERIO_APP_API_KEY is not set"),
        ("CUSTOMERIO_APP_API_KEY", "forged-key", "customerio", "CUSTOMERIO_APP_API_KEY"),
        ("CUSTOMERIO_REGION", "eu", "customerio", "set CUSTOMERIO_REGION=us"),
        ("HUBSPOT_ACCESS_TOKEN", None, "hubspot", "HUBSPOT_ACCESS_TOKEN is not set"),
        ("HUBSPOT_ACCESS_TOKEN", "forged-key", "hubspot", "HUBSPOT_ACCESS_TOKEN"),
        ("PIPEDRIVE_API_TOKEN", "forged-key", "pipedrive", "the API token is wrong"),
    ],
)
def test_a_wrong_or_missing_credential_or_region_is_named(
    settings: pytest.MonkeyPatch, name: str, value: str | None, vendor: str, mend: str
) -> None:
    settings.delenv(name) if value is None else settings.setenv(name, value)
    code, result = run("check")
    assert code == 1
    assert mend in " ".join(result["problems"][vendor])
    assert "forged-key" not in json.dumps(result)


def test_the_wrong_region_is_named_in_check_and_in_a_run(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    vendor = sandbox.vendors["customerio"]
    settings.setattr(vendor, "account_region", "eu")
    settings.setattr(vendor.track, "_region", "eu")  # type: ignore[attr-defined]
    code, result = run("check")
    told = result["problems"]["customerio"]
    assert code == 1
    assert any("lives in the other data centre; set CUSTOMERIO_REGION=eu" in problem for problem in told), told
    settings.delenv("CUSTOMERIO_TRACK_SITE_ID")
    runtime = Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    with pytest.raises(Stop, match=r"other data centre; set CUSTOMERIO_REGION=eu"):
        pull_people(runtime, window(1), poll=FAST)


def test_an_answer_of_another_address_is_told_with_the_setting(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox
) -> None:
    sandbox.shared.faults.add(kind="status", path="/v1/segments", status=200, body="<html>")
    code, result = run("check")
    sandbox.shared.faults.clear()
    [told] = result["problems"]["customerio"]
    assert code == 1
    assert "not a JSON object; see whether CUSTOMERIO_APP_URL is right" in told


def test_a_pipedrive_token_is_told_to_be_a_user_s_own(settings: pytest.MonkeyPatch) -> None:
    told = " ".join(run("check")[1]["advice"]["pipedrive"])
    assert "is the own token of user 1" in told
    assert "a user made for it" in told


def test_an_unknown_segment_is_named_with_those_that_exist(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = re.sub(r"segment: 9\b", "segment: 77", DEFAULT_ACTIVATION.read_text())
    (tmp_path / "mine.yaml").write_text(text)
    code, result = run("check", "--activation", str(tmp_path / "mine.yaml"))
    assert code == 1
    assert "has no segment 77" in " ".join(result["problems"]["customerio"])


@pytest.mark.parametrize(
    ("old", "new", "mend"),
    [
        ("days_since: last_order_at", "days_since: last_ordr_at", "last_order_at"),
        ("edges: [75, 200]", "edges: [200, 75]", "edges"),
        ("type: money", "type: coins", "type"),
    ],
)
def test_a_mistake_in_the_file_names_its_line_and_the_mend(
    settings: pytest.MonkeyPatch, tmp_path: Path, old: str, new: str, mend: str
) -> None:
    text = DEFAULT_ACTIVATION.read_text()
    assert old in text
    (tmp_path / "mine.yaml").write_text(text.replace(old, new))
    code, result = run("check", "--activation", str(tmp_path / "mine.yaml"), "--offline")
    assert code == 2
    assert any(p.split(":")[1].isdigit() and mend in p for p in result["problems"]), result


def test_a_plan_before_anything_was_decided_says_so(settings: pytest.MonkeyPatch) -> None:
    code, result = run("plan")
    assert code == 2
    assert "materialize a window first" in result["problems"][0]


def test_a_list_that_was_renamed_in_hubspot_is_advice_and_no_problem(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    runtime = Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    hubspot = next(d for d in DESTINATIONS if d.name == "hubspot")
    catalog = run_schema(runtime, hubspot)
    audience = next(k.removeprefix("list:") for k in catalog if k.startswith("list:"))
    sandbox.vendors["hubspot"].edit(
        {"action": "rename_list", "list_id": catalog[f"list:{audience}"], "new_name": "Carla's favourites"}
    )
    code, result = run("check")
    assert (code, result["problems"]["hubspot"]) == (0, [])
    [told] = result["advice"]["hubspot"]
    assert "Carla's favourites" in told
    assert f"audiences.{audience}.label" in told


def edited(tmp_path: Path, *changes: tuple[str, str]) -> str:
    """Return a file like the default activation but for ``changes`` (old text, new text)."""
    text = DEFAULT_ACTIVATION.read_text()
    for old, new in changes:
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    (tmp_path / "mine.yaml").write_text(text)
    return str(tmp_path / "mine.yaml")


def test_much_at_a_start_and_segments_with_two_audiences_are_advice(
    settings: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = edited(tmp_path, (r"segment: 2\b", "segment: 1"), (r"(\n    segment: \d+)", r"\1\n    touch: true"))
    code, result = run("check", "--activation", path, "--offline")
    assert (code, result["ok"]) == (0, True), result
    told = " | ".join(result["advice"]["activation"])
    assert "properties are delivered; begin with 8 at most: every field is one more" in told
    assert "audiences make a human act" in told
    assert "all come from segment 1: whoever edits it" in told
    runtime = Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    with runtime.warehouse.write() as con:  # something was delivered: it is no start any more
        con.execute("INSERT INTO delivery.plans (plan_id, delivered) VALUES ('p', 1)")
    code, result = run("check", "--activation", path, "--offline")
    assert code == 0
    [told] = result["advice"]["activation"]
    assert "all come from segment 1" in told


@pytest.mark.parametrize(
    ("system", "where"), [("customerio", "correct it in {}"), ("hubspot", "correct it in Customer")]
)
def test_addresses_that_differ_are_listed_with_where_to_mend_them(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox, tmp_path: Path, system: str, where: str
) -> None:
    runtime = Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    vendors = sandbox.vendors
    same, other = f"same.{system}@example.com", f"other.{system}@example.com"
    contacts = [
        str(vendors["hubspot"].edit({"action": "create", "properties": {"email": e}})["id"]) for e in (same, other)
    ]
    write_persons(runtime, [{"cio_id": "c1", "email": same}, {"cio_id": "c2", "email": "two@example.com"}])
    with runtime.warehouse.write() as con:
        for cio_id, contact, held in zip(("c1", "c2"), contacts, (same, other), strict=True):
            for place, record in (("hubspot", contact), ("pipedrive", f"9{contact}")):
                con.execute(
                    "INSERT INTO delivery.links BY NAME SELECT ? AS destination, ? AS cio_id, ? AS record_id, true AS stamped",
                    [place, cio_id, record],
                )
            con.execute(
                """INSERT INTO delivery.pipedrive_persons BY NAME SELECT ? AS person_id, ? AS emails,
                false AS is_deleted, '[]' AS audiences""",
                [f"9{contact}", json.dumps([held, "third@example.com"])],
            )
    path = edited(tmp_path, (r"\nmatch:", f"\nmatch:\n  email_system: {system}"))
    code, result = run("check", "--activation", path)
    assert (code, result["ok"]) == (0, True), result
    for vendor, title in (("hubspot", "HubSpot"), ("pipedrive", "Pipedrive")):
        [told] = [sentence for sentence in result["advice"][vendor] if "_API_TOKEN" not in sentence]
        assert f"1 person has another e-mail address in {title} than in Customer.io: c2. " in told
        assert "@" not in told
        expected = where if vendor == system or system == "customerio" else "hubspot has the right one"
        assert expected.format(title) in told


def test_what_is_there_and_nobody_declares_is_listed_with_the_mend(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox
) -> None:
    runtime = Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    for destination in DESTINATIONS:
        if destination.name in ("hubspot", "pipedrive"):
            run_schema(runtime, destination)
    sandbox.vendors["pipedrive"].edit({"action": "create_field", "name": "cio_by_hand", "type": "varchar"})
    sandbox.vendors["pipedrive"].edit({"action": "rename_field", "field": "cio_ltv_tier", "name": "Worth"})
    before = writes(sandbox)
    code, result = run("check")
    assert (code, writes(sandbox)) == (0, before)
    told = "\n".join(result["advice"]["governance"])
    assert "orphaned: pipedrive has the field 'cio_by_hand'" in told
    assert "Mend: delete it in Pipedrive if nothing there reads it, or declare it (again) under properties" in told
    assert "drifted: Pipedrive's field cio_ltv_tier is called 'Worth' there" in told
    with runtime.warehouse.write() as con:
        con.execute(
            """INSERT INTO meta.published (name, lane, window_end) VALUES ('x', 'daily', '2026-11-03');
            INSERT INTO feedback.owners (destination, owner_id, email, active)
                VALUES ('hubspot', '7', 'cx@example.com', FALSE)"""
        )
    code, result = run("check")
    told = "\n".join(result["advice"]["governance"])
    assert "unowned: audiences.vip_cart_abandoners belongs to cx@example.com, who is deactivated in the CRM" in told
    assert "orphaned" in told
    assert run("check", "--offline")[1]["advice"].get("governance") is None


@pytest.mark.parametrize("there_is_a_home", [False, True])
def test_a_window_that_others_have_used_up_is_waited_for(
    settings: pytest.MonkeyPatch, sandbox: RunningSandbox, there_is_a_home: bool
) -> None:
    if there_is_a_home:
        Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    token = {"authorization": f"Bearer {sandbox.environment()['HUBSPOT_ACCESS_TOKEN']}"}
    with httpx.Client(base_url=sandbox.urls["hubspot"], headers=token) as somebody:
        while somebody.get("/crm/v3/properties/contacts").status_code != 429:
            pass
    code, result = run("check")
    assert (code, result["problems"]["hubspot"]) == (0, [])
