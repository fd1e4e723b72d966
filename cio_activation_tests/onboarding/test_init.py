"""``init`` reads the accounts and drafts an activation that ``check`` passes, with nobody's data in it, and over no file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Activation
from cio_activation.cli.main import app
from cio_activation.destinations import DESTINATIONS
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation_tests.drivers.stand_ins.customerio import APP, small_world

CREDENTIALS = ("CUSTOMERIO_APP_API_KEY", "HUBSPOT_ACCESS_TOKEN", "PIPEDRIVE_API_TOKEN")
PEOPLE = 150
LEAKY = "ann.lee@example.com"
"""An address that a sender used as an attribute's name."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    running = build_sandbox(small_world(PEOPLE), customerio={"limited": False})
    yield running
    running.stop()


@pytest.fixture
def here(sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An empty folder, with the stand-ins' credentials in the environment."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(
        "cio_activation.customerio.limits.LIMITS", {"default": (10_000.0, 1.0)}
    )  # the stand-in has none
    monkeypatch.chdir(tmp_path)
    yield monkeypatch
    sandbox.shared.faults.clear()


def run(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run a command; return its code, what it printed as JSON, and all that it said."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout), result.output


def drafted(*arguments: str) -> tuple[dict[str, Any], Activation]:
    code, told, _ = run("init", *arguments)
    assert code == 0, told
    return told, load_activation(Path(told["activation"]), DESTINATIONS)


def exported(sandbox: RunningSandbox, *names: str) -> list[dict[str, str]]:
    """Return everybody's profile, by an export asked for here: what ``init`` is held against."""
    everyone = {"attribute": {"field": "cio_id", "operator": "exists"}}
    with httpx.Client(base_url=sandbox.urls["customerio"], headers=APP, verify=False) as app:
        body = {"filters": everyone, "attributes": list(names)}
        number = app.post("/v1/exports/customers", json=body).json()["export"]["id"]
        while app.get(f"/v1/exports/{number}").json()["export"]["status"] != "done":
            continue
        link = app.get(f"/v1/exports/{number}/download").json()["url"]
    with httpx.Client(verify=False) as plain:
        return list(csv.DictReader(io.StringIO(plain.get(link).text)))


def test_the_first_activation_is_sound_and_check_passes(here: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    before = dict(sandbox.shared.log.counts)
    told, activation = drafted()
    made = {key: n - before.get(key, 0) for key, n in sandbox.shared.log.counts.items() if n != before.get(key, 0)}
    writes = {key for key in made if key[1] != "GET" and not key[2].endswith(("/attributes", "read"))}
    assert writes == set()
    assert not [key for key in made if "exports" in key[2]]
    here.setenv("ACTIVATION_FILE", told["activation"])
    code, checked, _ = run("check")
    assert (code, checked["problems"]) == (0, {"customerio": [], "hubspot": [], "pipedrive": []})
    assert not (Path.cwd() / ".activation").exists()
    assert {"lapse_bucket", "ltv_tier", "cart_value_tier"} <= set(activation.properties)
    assert len(activation.properties) <= 8
    assert 2 <= len(activation.audiences) <= 3
    assert 1 <= sum(a.touch for a in activation.audiences.values()) <= 2
    assert all(a.segment is not None and a.owner == "ada@example.com" for a in activation.audiences.values())
    assert activation.workspace.timezone == "US/Eastern"


def test_the_file_says_what_is_left_to_decide_and_why_a_segment_is_left(here: pytest.MonkeyPatch) -> None:
    told, activation = drafted()
    text = Path("activation.yaml").read_text()
    assert "# What you still have to decide" in text
    assert "# What was found" in text
    assert max(map(len, text.splitlines())) <= 200
    begun = {a.segment for a in activation.audiences.values()}
    for one in told["segments"]:
        assert (one["audience"] is None) == (one["id"] not in begun)
        assert bool(one["why_not"]) == (one["audience"] is None), one
    assert told["undecided"]


def test_types_fill_rates_and_edges_are_those_of_the_people(here: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    """Against an export of everybody, counted in plain Python; the largest segment has them all."""
    told, activation = drafted()
    assert told["sample"]["people"] == told["sample"]["of"]
    found = {a["name"]: a for a in told["attributes"]}
    names = ("last_order_at", "total_spent", "cart_value", "refund_count", "unsubscribed")
    people = exported(sandbox, *names)
    for name in names:
        share = sum(bool(row[name].strip()) for row in people) / len(people)
        assert found[name]["filled"] == pytest.approx(share, abs=0.02), name
    kinds = {
        "last_order_at": "timestamp",
        "created_at": "timestamp",
        "orders_count": "integer",
        "wismo_clicks_30d": "integer",
        "total_spent": "money",
        "median_days_between_orders": "number",
        "unsubscribed": "boolean",
        "last_category": "text",
    }
    assert {name: found[name]["type"] for name in kinds} == kinds
    rule = activation.properties["ltv_tier"].rule
    assert list(rule.edges) == [found["total_spent"]["quantiles"][s] for s in ("0.5", "0.8", "0.95")]  # type: ignore[union-attr]


def test_no_persons_value_and_no_secret_is_in_the_file_or_told(
    here: pytest.MonkeyPatch, sandbox: RunningSandbox
) -> None:
    names = ("id", "email", "cio_id", "phone", "first_name", "last_name", "last_product")
    rows = exported(sandbox, *names)
    leaky = {"action": "set_attribute", "cio_id": rows[0]["cio_id"], "name": LEAKY, "value": "true"}
    sandbox.vendors["customerio"].edit(leaky)
    code, told, said = run("init")
    plain = CliRunner().invoke(app, ["init", "--out", "again.yaml"])
    assert (code, plain.exit_code) == (0, 0)
    assert told["attributes_not_listed"] == 1
    everything = Path("activation.yaml").read_text() + Path("again.yaml").read_text() + said + plain.output
    owners = {email for crm in told["crms"].values() for email in crm["owners"]}
    everything = everything.replace("ada@example.com", "").replace("grace@example.com", "")
    values = {v for row in rows for v in row.values() if v and len(v) >= 4} - owners
    secrets = {v for k, v in sandbox.environment().items() if "URL" not in k}
    told_words = set(re.findall(r"[\w.@+-]+", everything))
    assert values & told_words == set()
    assert [v for v in {LEAKY, *secrets, *(v for v in values if "@" in v)} if v in everything] == []


@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_is_there_is_never_touched(
    here: pytest.MonkeyPatch, sandbox: RunningSandbox, is_link: bool
) -> None:
    mine = Path("activation.yaml")
    mine.symlink_to("nowhere.yaml") if is_link else mine.write_text("mine")
    before = sum(sandbox.shared.log.counts.values())
    code, told, _ = run("init")
    assert (code, told["ok"]) == (2, False)
    assert "activation.yaml is there already" in told["problems"][0]
    assert "--out" in told["problems"][0]
    assert sum(sandbox.shared.log.counts.values()) == before
    assert is_link or mine.read_text() == "mine"
    assert not Path("nowhere.yaml").exists()
    told, _ = drafted("--out", "other.yaml")
    assert told["activation"] == "other.yaml"


@pytest.mark.parametrize(("gone", "stays"), [("HUBSPOT_ACCESS_TOKEN", "pipedrive"), ("PIPEDRIVE_API_TOKEN", "hubspot")])
def test_one_crm_is_enough_and_the_other_is_named(here: pytest.MonkeyPatch, gone: str, stays: str) -> None:
    here.delenv(gone)
    told, activation = drafted()
    assert set(told["crms"]) == {stays}
    assert gone in " ".join(told["left_out"].values())
    assert set(activation.destinations) == {stays, "customerio"}
    asking = [a for a in activation.audiences.values() if a.touch]
    assert asking
    assert all(set(a.asks()) == {stays} for a in asking)
    assert all(p.deliver == (stays,) for p in activation.properties.values())
    assert f"{gone} is not set" in Path("activation.yaml").read_text().replace("\n# ", " ")
    here.setenv("ACTIVATION_FILE", "activation.yaml")
    assert run("check")[0] == 0


@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_wrong_credential_is_named_and_nothing_is_written(here: pytest.MonkeyPatch, name: str) -> None:
    here.setenv(name, "forged-key")
    code, told, said = run("init")
    assert (code, told["ok"]) == (1 if name.startswith("CUSTOMERIO") else 2, False)
    assert name in " ".join(told["problems"])
    assert name.startswith("CUSTOMERIO") or "to begin without" in told["problems"][-1]
    assert "forged-key" not in said
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", ["CUSTOMERIO_APP_URL", "HUBSPOT_URL", "PIPEDRIVE_URL"])
def test_a_vendor_that_does_not_answer_is_named_with_its_address(here: pytest.MonkeyPatch, name: str) -> None:
    here.setenv(name, "http://127.0.0.1:1")
    here.setenv("VENDOR_BACKOFF_S", "0.001")
    code, told, _ = run("init")
    assert (code, name in " ".join(told["problems"])) == (2, True), told
    assert list(Path().iterdir()) == []


def test_missing_credentials_are_named_with_their_variables(here: pytest.MonkeyPatch) -> None:
    for name in CREDENTIALS[1:]:
        here.delenv(name)
    code, told, _ = run("init")
    assert code == 2
    assert all(any(f"{name} is not set" in p for p in told["problems"]) for name in CREDENTIALS[1:])
    here.delenv(CREDENTIALS[0])
    code, told, _ = run("init")
    assert (code, "CUSTOMERIO_APP_API_KEY is not set" in told["problems"][0]) == (2, True)
    assert list(Path().iterdir()) == []


def test_a_scope_that_is_missing_costs_its_own_part_only(here: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    refused = {"status": "error", "category": "MISSING_SCOPES", "message": "no"}
    for path in ("*/owners/*", "*/pipelines/*"):
        sandbox.shared.faults.add(kind="status", vendor="hubspot", path=path, status=403, times=9, body=refused)
    told, activation = drafted()
    assert set(told["crms"]["hubspot"]["unread"]) == {"owners", "pipelines"}
    assert "crm.objects.owners.read" in told["crms"]["hubspot"]["unread"]["owners"]
    assert all(set(a.asks()) <= {"pipedrive"} for a in activation.audiences.values())
    assert "could not be read" in Path("activation.yaml").read_text()


def test_where_nobody_can_be_asked_the_audiences_are_lists(here: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    here.delenv("PIPEDRIVE_API_TOKEN")
    sandbox.shared.faults.add(kind="status", vendor="hubspot", path="*/owners/*", status=403, times=9)
    told, activation = drafted()
    assert not any(a.touch for a in activation.audiences.values())
    assert {a.owner for a in activation.audiences.values()} == {"team:retention"}
    assert "no user who can be asked" in told["undecided"][0]


def test_a_segment_that_is_being_built_is_not_begun_with(here: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    segments = sandbox.vendors["customerio"].world.segments  # type: ignore[attr-defined]
    for segment in segments.values():
        segment.state = "build"
    code, told, _ = run("init")
    assert (code, "audiences come from segments" in told["problems"][0]) == (2, True)
    segments[10].state = "finished"
    told, activation = drafted()
    segments_told = {one["id"]: one for one in told["segments"]}
    assert "still building" in segments_told[1]["why_not"]
    assert segments_told[1]["people"] is None
    assert activation.audiences == {}
    assert any(text.startswith("audiences: no segment") for text in told["undecided"])
    code, told, _ = run("init", "--segment", "1", "--out", "one.yaml")
    assert (code, "still building" in told["problems"][0]) == (2, True)
    code, told, _ = run("init", "--segment", "77", "--out", "one.yaml")
    assert (code, "no such segment" in told["problems"][0]) == (2, True)
    for segment in segments.values():
        segment.state = "finished"


def test_the_sample_is_as_large_as_asked_for_and_spread(here: pytest.MonkeyPatch) -> None:
    told, _ = drafted("--sample", "100")
    assert told["sample"]["people"] <= 100 < told["sample"]["of"]
    code, _, _ = run("init", "--sample", "99", "--out", "few.yaml")
    assert code == 2
