"""What a human signs: the same people for the same window, what the CRMs hold beside ours, and who signed which version."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.outcome.warning_kinds import Kind
from cio_activation.outcome.warnings import warnings
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town

pytestmark = pytest.mark.slow

PEOPLE = 120
TASK = "task: {subject: 'Cart of {cart_value}', body: Offer help by phone., owner: audience_owner}"
LABELS = {"lapse_bucket": ("0-30", "31-90", "91+"), "returning": ("true", "false"), "cart_tier": ("low", "mid", "high")}


def declared(version: int = 1) -> str:
    """Return the small activation with a task for hot carts, in a version of that audience, and addresses as values."""
    text = lanes.ACTIVATION.replace("attributes:\n", "attributes:\n  address: {from: email, type: text}\n", 1)
    mail = "{value: address, lane: daily, owner: retention@example.com, deliver: [hubspot]}"
    text = text.replace("properties:\n", f"properties:\n  mail: {mail}\n", 1)
    before, cart, after = text.partition("hot_cart: {")
    after = after.replace("hubspot: {list: true}", f"hubspot: {{list: true, {TASK}}}", 1)
    after = after.replace("version: 1", f"version: {version}", 1)
    return f"{before}{cart}launch: {{baseline: include}}, {after}"


def called(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    return dict(json.loads(called(*arguments, "--json", code=code).stdout))


@dataclass
class Seen:
    """A page, and what the command said of it."""

    said: dict[str, Any]
    page: str

    def person(self, cio_id: str) -> str:
        return next(a for a in self.page.split("<article")[1:] if f" {cio_id}" in a.split("</h3>")[0])

    @property
    def drawn(self) -> list[str]:
        return [re.split(r"[ <]", a.split("<h3>", 1)[1])[1] for a in self.page.split("<article")[1:]]


def sampled(folder: Path, *options: str) -> Seen:
    out = folder / "sample.html"
    said = told("sample", "--out", str(out), *options)
    return Seen(said, out.read_text(encoding="utf-8"))


@dataclass
class Story:
    """What happened in the town."""

    here: Town
    folder: Path
    contacts: dict[str, tuple[str, dict[str, Any]]]
    """HubSpot's, before anything was edited."""
    quiet: Seen
    calls: int
    writes: int
    again: Seen
    personal: Seen
    edited: dict[str, str]
    after: Seen


def contacts(here: Town) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return ``cio_id`` -> id and contact, as HubSpot's stand-in has them."""
    return {c["cio_id"]: (i, c) for i, c in here.there["hubspot"]["contacts"].items() if c.get("cio_id")}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Deliver, draw a sample twice, edit some of its people by hand, draw it again."""
    folder = tmp_path_factory.mktemp("sign_off")
    activation = lanes.small_activation(folder, declared())
    with town(folder / "home", people=PEOPLE, activation=activation) as here, pytest.MonkeyPatch.context() as env:
        for name, value in here.sandbox.environment().items():
            env.setenv(name, value)
        env.setenv("ACTIVATION_HOME", str(here.home))
        env.setenv("ACTIVATION_FILE", str(folder / "activation.yaml"))
        here.by_hand("hubspot", "add_owner", email="cx@example.com")
        assert told("sample", code=2)["problems"] == [
            "nothing was delivered yet, so there is nothing to look at; materialize a window first"
        ]
        here.settle()
        since = here.mark()
        quiet = sampled(folder)
        calls, writes = len(here.calls(since)), len(here.writes(since))
        again, personal = sampled(folder), sampled(folder, "--personal")
        there = contacts(here)
        tasks = {i: t for t in here.there["hubspot"]["tasks"] for i in t["contacts"]}
        listed = {i for one in here.there["hubspot"]["lists"] for i in one["members"]}
        drawn = [cio_id for cio_id in quiet.drawn if cio_id in there]
        asked = next(cio_id for cio_id in drawn if there[cio_id][0] in tasks)
        value, deleted = [cio_id for cio_id in drawn if there[cio_id][0] not in listed][:2]
        here.by_hand("hubspot", "set", id=there[value][0], properties={"cio_lapse_bucket": ""})
        here.by_hand("hubspot", "delete", id=there[deleted][0])
        here.by_hand("hubspot", "delete_task", id=tasks[there[asked][0]]["id"])
        cart = next(one for one in here.there["hubspot"]["lists"] if "Hot cart" in one["name"])
        members = [i for i in cart["members"] if i != there[asked][0]]
        here.by_hand("hubspot", "set_members", list_id=cart["id"], ids=members)
        flagged = next(
            p
            for p in here.there["pipedrive"]["persons"].values()
            if p["custom_fields"].get("cio_id") in set(quiet.drawn) - {asked}
            and p["custom_fields"].get("cio_audiences")
        )
        here.by_hand("pipedrive", "set_field", person=flagged["id"], field="cio_audiences", value=None)
        edited = {"flag": flagged["custom_fields"]["cio_id"], "value": value, "deleted": deleted, "asked": asked}
        yield Story(here, folder, there, quiet, calls, writes, again, personal, edited, sampled(folder))


def test_each_stratum_is_shown_by_few_people_read_with_few_calls(story: Story) -> None:
    page, drawn = story.quiet.page, story.quiet.drawn
    assert len(set(drawn)) == len(drawn) == story.quiet.said["people"] == 30
    assert (story.writes, story.calls) == (0, story.quiet.said["calls"])
    assert story.calls <= 16
    there = contacts(story.here)
    for name, values in LABELS.items():
        held = {c.get(f"cio_{name}") for _, c in there.values()} & set(values)
        shown = {there[cio_id][1].get(f"cio_{name}") for cio_id in drawn if cio_id in there} - {None, ""}
        assert held <= shown, name
    for cio_id, (record_id, _) in there.items():
        link = f'/contacts/{story.here.sandbox.vendors["hubspot"].account.portal_id}/record/0-1/{record_id}"'
        assert (f"https://app.hubspot.com{link}" in page) == (cio_id in drawn)
    assert "https://sandbox-shop.pipedrive.com/person/" in page
    for audience in ("asked_where", "refunded", "hot_cart"):
        assert page.count(f"in {audience}</td>") > 0, audience
    assert "in no audience" in page


def test_what_the_page_shows_is_what_the_crms_hold(story: Story) -> None:
    """Of everybody on it, by the stand-ins' own state before anything was edited."""
    page, compared = story.quiet, 0
    for cio_id, (_, contact) in story.contacts.items():
        for name in (*LABELS, "spent") if cio_id in page.drawn else ():
            cells = re.findall(r"<td[^>]*>(.*?)</td>", page.person(cio_id).partition(f"<tr><td>{name}</td>")[2])
            here, there = (re.sub("<[^>]*>", "", cell).replace("(empty)", "") for cell in cells[:2] or ("", ""))
            assert there == (contact.get(f"cio_{name}") or ""), (cio_id, name)
            assert here == there, (cio_id, name)
            compared += bool(there)
    assert compared > 60


def test_the_same_window_gives_the_same_page_without_anybodys_address(story: Story) -> None:
    assert story.quiet.said["differing"] == []
    assert "Everything is there as it is here." in story.quiet.page
    assert (story.again.page, story.again.said) == (story.quiet.page, story.quiet.said)
    addresses = {c["email"] for _, c in contacts(story.here).values() if c.get("email")}
    assert [a for a in addresses if a in story.quiet.page] == []
    assert [a for a in addresses if a in story.personal.page] != []
    assert story.quiet.page.count("<tr><td>mail</td><td>(hidden)</td><td>(hidden)</td>") > 20
    assert "(hidden)" not in story.personal.page
    assert story.personal.said["sample_id"] == story.quiet.said["sample_id"]
    assert "<script" not in story.quiet.page
    assert "src=" not in story.quiet.page
    assert "default-src 'none'" in story.quiet.page
    assert told("sample", "--out", str(story.folder / "none" / "a.html"), code=2)["problems"] == [
        f"--out {story.folder / 'none' / 'a.html'}: name a file in a folder that is there"
    ]
    assert (story.folder / "sample.html").stat().st_mode & 0o077 == 0


def test_what_lies_otherwise_is_marked_and_nothing_else(story: Story) -> None:
    assert story.after.drawn == story.quiet.drawn
    assert sorted(story.after.said["differing"]) == sorted(story.edited.values())
    assert story.after.said["sample_id"] != story.quiet.said["sample_id"]
    marked = {what: story.after.person(cio_id).split('class="differs"')[1:] for what, cio_id in story.edited.items()}
    assert [part.split("</td>")[0][2:] for part in marked["deleted"]] == [" record deleted"]
    assert [re.sub("<[^>]*>", "", part.split("</td>")[0])[2:] for part in marked["value"]] == [" (empty)"]
    assert [part.split("</td>")[0][2:] for part in marked["flag"]] == [" out"]
    assert [part.split("</td>")[0][2:] for part in marked["asked"]] == [" out", " deleted"]


def unsigned(here: Town) -> list[str]:
    with here.runtime.warehouse.read() as con:
        return [w.sentence for w in warnings(con, here.activation, here.now.replace(tzinfo=None), {Kind.UNSIGNED})]


def test_an_audience_with_actions_is_warned_of_until_its_version_is_signed(story: Story) -> None:
    here, sample = story.here, story.after.said["sample_id"]
    assert unsigned(here) == ["hot_cart (version 1) asks a human to act, and nobody signed it"]
    assert any("hot_cart (version 1)" in one for one in told("check")["advice"]["activation"])
    result = here.run(Lane.REALTIME).decided["audiences"]
    assert result["hot_cart"].signed == "not signed: version 1"

    assert told("sign", "hot_cart", code=2)["problems"] == ["say why: what was looked at, for whoever asks later"]
    assert "there is no audience cart;" in told("sign", "cart", "--why", "so", code=2)["problems"][0]
    assert "there is no sample nix" in told("sign", "--all", "--why", "so", "--sample", "nix", code=2)["problems"][0]
    assert "name the audiences" in told("sign", "--why", "so", code=2)["problems"][0]
    signed = told("sign", "hot_cart", "--why", "looked at 30", "--who", "Ann")["signed"]
    assert [(s["audience"], s["version"], s["signed_by"], s["why"], s["sample_id"]) for s in signed] == [
        ("hot_cart", 1, "Ann", "looked at 30", sample)
    ]
    assert unsigned(here) == []
    assert "hot_cart" not in json.dumps(told("check")["advice"].get("activation", []))
    here.wait(timedelta(minutes=15))
    assert here.run(Lane.REALTIME).decided["audiences"]["hot_cart"].signed.startswith("version 1 on ")

    here.activation = lanes.small_activation(story.folder, declared(version=2))
    assert unsigned(here) == ["hot_cart (version 2) asks a human to act, and nobody signed it"]
    refused = told("sign", "hot_cart", "--why", "the same", code=2)["problems"]
    assert refused == [
        f"the sample {sample} does not show hot_cart version 2: `cio-activation sample` makes one that does"
    ]
    sampled(story.folder)
    assert "hot_cart: signed is version 2" in called("sign", "--all", "--why", "all of it").stderr.replace("\n", " ")
    assert unsigned(here) == []
    assert story.here.query("SELECT count(*) FROM audience.signatures") == [(4,)]
