"""What people do by hand in both CRMs is found, all of it and nothing else; ours comes back, theirs stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from cio_activation.activation.audits import Audits
from cio_activation.activation.models import Lane
from cio_activation.audit.choosing import in_order
from cio_activation.audit.interval import interval
from cio_activation.cli.main import app
from cio_activation.definitions import build_definitions
from cio_activation_tests.audit import by_hand
from cio_activation_tests.audit.by_hand import Finding
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town

pytestmark = pytest.mark.slow

PEOPLE = 120
LISTS = {"RET - Asked where is my order [v1]": "asked_where", "RET - Recent refund [v1]": "refunded",
         "RET - Hot cart [v1]": "hot_cart"}  # fmt: skip
OPTIONS = {"RET - Asked where is my order": "asked_where", "RET - Hot cart": "hot_cart"}
TASK = "task: {subject: 'Cart of {cart_value}', body: Offer help by phone., owner: audience_owner}"
KEPT, OVERWRITTEN = "spent", "lapse_bucket"


def declared() -> str:
    """Return the small activation with a task for hot carts, and one property in which humans' edits are kept."""
    before, cart, after = lanes.ACTIVATION.partition("hot_cart: {")
    after = after.replace("hubspot: {list: true}", f"hubspot: {{list: true, {TASK}}}", 1)
    text = f"{before}{cart}launch: {{baseline: include}}, {after}"
    return text.replace("lane: daily, owner: retention@example.com, deliver", "lane: daily, on_conflict: keep, "
                        "owner: retention@example.com, deliver", 1)  # fmt: skip


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["audit", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def listed(destination: str) -> list[dict[str, Any]]:
    return list(told("--findings", "--destination", destination)["findings"])


def shape(found: list[dict[str, Any]]) -> set[Finding]:
    return {(one["kind"], one["subject"], one["name"] or "", one["cio_id"] or "") for one in found}


@dataclass
class Story:
    """What happened in the town, step by step."""

    here: Town
    quiet: dict[str, Any]
    expected: dict[str, set[Finding]]
    audits: dict[str, dict[str, Any]]
    found: dict[str, list[dict[str, Any]]]
    repaired: dict[str, Any] = field(default_factory=dict)
    again: dict[str, set[Finding]] = field(default_factory=dict)
    contested: list[dict[str, Any]] = field(default_factory=list)
    asset: dict[bool, dg.ExecuteInProcessResult] = field(default_factory=dict)
    after_contest: str = ""


def contact_of(here: Town, cio_id: str) -> tuple[str, dict[str, Any]]:
    return next((i, c) for i, c in here.there["hubspot"]["contacts"].items() if c.get("cio_id") == cio_id)


def edit(here: Town, cio_id: str, **properties: str) -> None:
    record_id, _ = contact_of(here, cio_id)
    here.by_hand("hubspot", "set", id=record_id, properties={f"cio_{n}": v for n, v in properties.items()})


def in_hubspot(here: Town) -> dict[str, str]:
    """Do in HubSpot by hand what an audit is for; return who was edited in which field."""
    hubspot = here.there["hubspot"]
    listed = {i for one in hubspot["lists"] for i in one["members"]}
    plain = [(i, c["cio_id"]) for i, c in hubspot["contacts"].items() if c.get("cio_id") and i not in listed]
    deleted, merged, rest = plain[:2], plain[2], plain[3:]
    for record_id, _ in deleted:
        here.by_hand("hubspot", "delete", id=record_id)
    stranger = here.by_hand("hubspot", "create", properties={"email": "by.hand@example.com"})["id"]
    here.by_hand("hubspot", "merge", id=stranger, other_id=merged[0])
    overwritten, kept, cleared, keyless, added = (cio_id for _, cio_id in rest[:5])
    edit(
        here,
        overwritten,
        **{OVERWRITTEN: "31-90"} if here_value(here, overwritten) != "31-90" else {OVERWRITTEN: "91+"},
    )
    edit(here, kept, **{KEPT: "1234567"})
    edit(here, cleared, returning="")
    here.by_hand("hubspot", "set", id=contact_of(here, keyless)[0], properties={"cio_id": ""})
    lists = {LISTS[one["name"]]: one for one in hubspot["lists"]}
    assert lists["asked_where"]["members"], "nobody to empty a list of"
    here.by_hand("hubspot", "set_members", list_id=lists["asked_where"]["id"], ids=[])
    other = here.by_hand("hubspot", "create", properties={"email": "other.hand@example.com"})["id"]
    members = [*lists["hot_cart"]["members"], contact_of(here, added)[0], other]
    here.by_hand("hubspot", "set_members", list_id=lists["hot_cart"]["id"], ids=members)
    here.by_hand("hubspot", "delete_task", id=hubspot["tasks"][0]["id"])
    return {"overwritten": overwritten, "kept": kept, "cleared": cleared, "keyless": keyless, "added": added,
            "task": hubspot["tasks"][0]["id"], "merged": merged[1], "deleted": deleted[0][1]}  # fmt: skip


def here_value(here: Town, cio_id: str, name: str = OVERWRITTEN) -> str:
    return str(contact_of(here, cio_id)[1].get(f"cio_{name}") or "")


def in_pipedrive(here: Town) -> None:
    persons = [p for p in here.there["pipedrive"]["persons"].values() if p["custom_fields"].get("cio_id")]
    flagged = [p for p in persons if p["custom_fields"].get("cio_audiences")]
    plain = [p for p in persons if p not in flagged]
    here.by_hand("pipedrive", "delete_person", person=plain[0]["id"])
    stranger = here.by_hand("pipedrive", "create_person", name="By Hand", emails=["person.hand@example.com"])
    here.by_hand("pipedrive", "merge", person=plain[1]["id"], into=stranger["id"])
    other = "91+" if plain[2]["custom_fields"]["cio_lapse_bucket"] != "91+" else "0-30"
    here.by_hand("pipedrive", "set_field", person=plain[2]["id"], field="cio_lapse_bucket", value=other)
    here.by_hand("pipedrive", "set_field", person=flagged[0]["id"], field="cio_audiences", value=None)
    here.by_hand("pipedrive", "set_field", person=plain[3]["id"], field="cio_audiences", value=["RET - Hot cart"])


def materialized(here: Town, limit: float) -> dg.ExecuteInProcessResult:
    """Run HubSpot's audit as Dagster's job does."""
    limits = here.activation.limits.model_copy(update={"audits": Audits(max_deviating_share=limit)})
    activation = here.activation.model_copy(update={"limits": limits})
    definitions = build_definitions(activation)
    job = definitions.resolve_job_def("audit")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["hubspot", "audit"])], raise_on_error=False
        )


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Deliver, let people edit by hand, audit all, run again, audit again; then an edit that is made once more."""
    folder = tmp_path_factory.mktemp("audit")
    activation = lanes.small_activation(folder, declared())
    with town(folder / "home", people=PEOPLE, activation=activation) as here, pytest.MonkeyPatch.context() as env:
        for name, value in here.sandbox.environment().items():
            env.setenv(name, value)
        env.setenv("ACTIVATION_HOME", str(here.home))
        env.setenv("ACTIVATION_FILE", str(folder / "activation.yaml"))
        here.by_hand("hubspot", "add_owner", email="cx@example.com")
        here.settle()
        quiet = told("--all")
        before = here.there
        who = in_hubspot(here)
        in_pipedrive(here)
        after = here.there
        expected = {
            "hubspot": by_hand.hubspot(before["hubspot"], after["hubspot"], LISTS),
            "pipedrive": by_hand.pipedrive(before["pipedrive"], after["pipedrive"], OPTIONS),
        }
        audits = {one["destination"]: one for one in told("--all")["audits"]}
        made = Story(here, quiet, expected, audits, {name: listed(name) for name in expected})
        here.wait(timedelta(days=1))
        here.run(Lane.DAILY)
        here.run(Lane.REALTIME)
        made.repaired = {"who": who, "there": here.there}
        told("--all")
        made.again = {name: shape(listed(name)) for name in expected}
        edit(
            here,
            who["overwritten"],
            **{OVERWRITTEN: "91+" if here_value(here, who["overwritten"]) != "91+" else "0-30"},
        )
        told("--all", "--destination", "hubspot")
        made.contested = listed("hubspot")
        before_run = here_value(here, who["overwritten"])
        here.run(Lane.DAILY)
        for strict in (False, True):
            edit(
                here,
                who["cleared"],
                cart_tier="high" if here_value(here, who["cleared"], "cart_tier") != "high" else "mid",
            )
            made.asset[strict] = materialized(here, 0.0 if strict else 0.5)
            if not strict:
                here.run(Lane.REALTIME)  # what is in doubt is not compared
        made.after_contest = f"{before_run} {here_value(here, who['overwritten'])}"
        yield made


def test_where_nobody_did_anything_nothing_is_found(story: Story) -> None:
    assert [(one["destination"], one["deviating"], one["low"], one["high"]) for one in story.quiet["audits"]] == [
        ("hubspot", 0, 0.0, 0.0), ("pipedrive", 0, 0.0, 0.0),
    ]  # fmt: skip
    assert all(one["compared"] == one["population"] > 10 for one in story.quiet["audits"])


@pytest.mark.parametrize("destination", ["hubspot", "pipedrive"])
def test_all_that_was_done_by_hand_is_found_and_nothing_else(story: Story, destination: str) -> None:
    assert shape(story.found[destination]) == story.expected[destination]
    kinds = {kind for kind, *_ in story.expected[destination]}
    assert kinds >= {"deleted", "merged", "edited", "foreign"}
    people = {one["cio_id"] for one in story.found[destination] if one["cio_id"]}
    addresses = {one["email"] for one in story.found[destination] if one["email"]}
    assert addresses
    assert all("***@" in one for one in addresses)
    audit = story.audits[destination]
    assert audit["deviating"] == len(people)
    assert audit["low"] == audit["high"] == pytest.approx(len(people) / audit["population"])


def test_ours_is_repaired_by_the_next_run_and_what_humans_wrote_stays(story: Story) -> None:
    who, there = story.repaired["who"], story.repaired["there"]["hubspot"]
    contacts = {c["cio_id"]: c for c in there["contacts"].values() if c.get("cio_id")}
    fields = {(one["cio_id"], one["name"]): one for one in story.found["hubspot"] if one["subject"] == "field"}
    assert contacts[who["overwritten"]]["cio_lapse_bucket"] == fields[who["overwritten"], OVERWRITTEN]["ours"]
    assert contacts[who["cleared"]]["cio_returning"] == fields[who["cleared"], "returning"]["ours"]
    assert contacts[who["kept"]]["cio_spent"] == "1234567"
    assert fields[who["kept"], KEPT]["treatment"] == "kept"
    assert who["keyless"] in contacts
    assert contacts[who["merged"]]["email"] == "by.hand@example.com"
    assert who["deleted"] not in contacts
    assert story.here.query(f"SELECT field FROM delivery.conflicts WHERE cio_id = '{who['kept']}'") == [(KEPT,)]


def test_what_a_human_deleted_is_handled_and_not_made_again(story: Story) -> None:
    who = story.repaired["who"]
    deleted = next(t for t in story.repaired["there"]["hubspot"]["tasks"] if t["id"] == who["task"])
    same = [t for t in story.repaired["there"]["hubspot"]["tasks"] if t["contacts"] == deleted["contacts"]]
    assert [t["id"] for t in same] == [who["task"]]
    acts = story.here.query(f"SELECT act FROM feedback.acts WHERE record_id = '{who['task']}'")
    assert acts == [("deleted",)]


def test_afterwards_nothing_is_found_but_who_is_nobody_of_ours(story: Story) -> None:
    assert story.again == {"hubspot": {("foreign", "list", "hot_cart", "")}, "pipedrive": set()}


def test_what_is_contested_is_listed_and_not_fought_over(story: Story) -> None:
    who = story.repaired["who"]["overwritten"]
    assert [(one["kind"], one["treatment"]) for one in story.contested if one["cio_id"] == who] == [
        ("edited", "listed")
    ]
    before, after = story.after_contest.split()
    assert before == after
    assert story.here.query(f"SELECT field FROM delivery.conflicts WHERE cio_id = '{who}'") == [(OVERWRITTEN,)]


def test_the_asset_tells_the_rate_and_its_check_fails_the_run_above_the_limit(story: Story) -> None:
    for strict, result in story.asset.items():
        (materialization,) = result.asset_materializations_for_node("hubspot__audit")
        shown = {name: value.value for name, value in materialization.metadata.items()}
        (check,) = result.get_asset_check_evaluations()
        assert (shown["deviating"], shown["compared"]) == (1, shown["population"])
        assert shown["deviating_low"] == shown["deviating_high"] == shown["deviating_share"] > 0
        assert [record.data for record in shown["findings"].records] == [{"found": "edited field", "how many": 1}]
        assert (check.passed, check.blocking, result.success) == (not strict, True, not strict)


def test_the_interval_of_a_sample_holds_the_true_share(story: Story) -> None:
    deviating = {one["cio_id"] for one in story.found["hubspot"] if one["cio_id"]}
    population = story.audits["hubspot"]["population"]
    held = 0
    for seed in range(100):
        drawn = [cio_id for cio_id, _ in story.here.query(in_order("hubspot", f"seed {seed}", 60))]
        assert len(set(drawn)) == 60
        low, high = interval(len(deviating.intersection(drawn)), 60, population)
        held += low <= len(deviating) / population <= high
    assert held >= 93


def test_the_same_window_draws_the_same_people_and_a_budget_ends_it_early(story: Story) -> None:
    one, same = (told("--sample", "20", "--destination", "hubspot")["audits"][0] for _ in range(2))
    assert (one["compared"], one["deviating"]) == (same["compared"], same["deviating"])
    assert one["compared"] == 20 < one["population"]
    assert one["low"] <= one["deviating"] / 20 <= one["high"] < 1
    short = told("--all", "--calls", "1", "--destination", "hubspot")["audits"][0]
    assert "calls were made" in short["note"]
    assert told("--all", "--sample", "3", code=2)["problems"] == [
        "--all reads everybody, --sample so many: give one of them"
    ]


def test_findings_are_told_in_words(story: Story) -> None:
    edit(story.here, story.repaired["who"]["keyless"], returning="")
    wide = {"COLUMNS": "300"}
    result = CliRunner().invoke(app, ["audit", "--all", "--destination", "hubspot"], env=wide, catch_exceptions=False)
    assert result.exit_code == 0
    assert "1 of " in result.output
    assert "by the next run of its lane" in result.output
    result = CliRunner().invoke(
        app, ["audit", "--findings", "--destination", "hubspot"], env=wide, catch_exceptions=False
    )
    assert f"hubspot cleared field returning {story.repaired['who']['keyless']} " in result.stdout
    assert "hubspot foreign list hot_cart nobody of ours record " in result.stdout
