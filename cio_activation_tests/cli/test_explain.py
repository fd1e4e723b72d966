"""``check --explain``: what applies to an audience, in sentences, also where the file says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation.warehouse.sessions import Warehouse

FILE = """
workspace: {purchase_attribute: last_order_at, unsubscribed_attribute: unsubscribed, holdout: 5%}
attributes:
  last_order_at: {type: timestamp}
  cart_value: {type: money}
  unsubscribed: {type: boolean}
audiences:
  plain: {label: Plain, owner: cx@example.com, segment: 1, lane: daily, deliver: {hubspot: {list: true}}}
  simple: {label: Simple, owner: cx@example.com, segment: 2, lane: realtime, touch: true, deliver: {hubspot: {list: true}}}
  rich:
    label: Rich
    owner: cx@example.com
    segment: 3
    lane: realtime
    gate: cart_value >= 200
    grace: 2h
    expires_after: 48h
    exit_on: [purchase]
    touch: true
    cooldown: 30d
    again_after: 60d
    exclusive: {group: calls, priority: 5}
    hold_while: cart_value > 900
    rank: cart_value DESC
    holdout: 10%
    launch: {backfill: 20, only: cart_value > 300, max_entries_per_day: 50}
    deliver:
      hubspot:
        task: {subject: Call, follow_owner: true, sla: {after: 8 working hours, then: [raise_priority, {reassign: lead@example.com}]}}
  moment:
    label: Moment
    owner: cx@example.com
    moment: {name: requested_help, where: amount > 100}
    lane: realtime
    gate: times('clicked', within 7d) >= 2
    grace: 1h
    expires_after: 48h
    exit_on: [purchase]
    deliver: {hubspot: {list: true}}
limits: {human_touches_per_person: {max: 2, per: 14d}}
destinations: {hubspot: {}}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "activation.yaml"
    path.write_text(FILE)
    return str(path)


def explained(file: str, audience: str) -> str:
    result = CliRunner().invoke(app, ["check", "--activation", file, "--explain", audience])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_list_that_asks_nobody_says_so(file: str) -> None:
    assert explained(file, "plain").splitlines() == [
        "People come from Customer.io's segment 1, once a day.",
        "It ends when the person leaves the segment.",
        "It asks nobody to act, so it waits for no cooldown, cap, start or holdout.",
    ]


def test_what_holds_without_another_word_is_said(file: str) -> None:
    assert explained(file, "simple").splitlines() == [
        "People come from Customer.io's segment 2, in windows of 15m, as soon as something happens.",
        "It ends when the person leaves the segment or was taken care of (the action is done or deleted).",
        "It ends after 14d at the latest.",
        "Whoever bought, was handled or expired stays out until they have lost eligibility once.",
        "Those who are eligible when it starts are skipped until they have lost eligibility once.",
        "Nobody comes again within 7d of the human's act or of leaving.",
        "Nobody is touched more than 2 times in 14d, over all audiences and CRMs.",
        "Who takes no messages (`unsubscribed`) is left alone.",
        "Nobody enters by a value that could not be read today.",
        "5% of all people are held out of every such audience.",
        "Whoever buys within 30d of their first entry is counted for it.",
    ]


def test_every_word_of_the_file_is_said(file: str) -> None:
    told = explained(file, "rich")
    for part in (
        "gate: `cart_value >= 200`", "hold for 2h", "buys (`last_order_at` moves)", "after 2d at the latest", "or 60d have passed",
        "the first 20 are let in", "this holds: `cart_value > 300`", "At most 50 are let in a day, by `cart_value DESC`",
        "within 30d", "group calls with a priority above 5", "while this holds: `cart_value > 900`", "10% of those",
        "When the record in hubspot gets another owner, what is open goes to that one",
        "What nobody touches in hubspot for 8 working hours, in the working time of whoever has it: its priority is raised; "
        "after as long again it goes to lead@example.com. Nothing follows once anything happened",
    ):  # fmt: skip
        assert part in told


def test_as_json_and_for_an_audience_that_is_not_there(file: str) -> None:
    result = CliRunner().invoke(app, ["check", "--activation", file, "--explain", "plain", "--json"])
    told = json.loads(result.stdout)
    assert (told["ok"], told["audience"], len(told["applies"])) == (True, "plain", 3)
    missing = CliRunner().invoke(app, ["check", "--activation", file, "--explain", "nobody", "--json"])
    assert missing.exit_code == 2
    assert "there is plain, simple, rich, moment" in json.loads(missing.stdout)["problems"][0]


def test_an_audience_that_starts_from_a_moment(file: str) -> None:
    assert explained(file, "moment").splitlines() == [
        "People come by the moment `requested_help` of Customer.io's webhooks, in windows of 15m, as soon as something happens.",
        "Of these moments only those of which this holds: `amount > 100`.",
        "A moment counts for 2d from when it happened; one that comes later lets nobody in.",
        "Each lets its person in once at most; one that happens meanwhile belongs to the same entry.",
        "Of these only who passes the gate: `times('clicked', within 7d) >= 2`.",
        "Moments (`clicked`) count by when they happened, however late they came; clicks of machines never do.",
        "Nobody enters within 1h of the newest moment.",
        "It ends when the person no longer passes the gate or buys (`last_order_at` moves).",
        "It ends by itself 2d after the newest moment happened.",
        "It asks nobody to act, so it waits for no cooldown, cap, start or holdout.",
    ]


def test_check_names_moments_that_were_never_received(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "home"))

    def advised() -> list[str]:
        result = CliRunner().invoke(app, ["check", "--activation", file, "--offline", "--json"])
        told: list[str] = json.loads(result.stdout)["advice"]["activation"]
        return [sentence for sentence in told if sentence.startswith("no moment")]

    assert [sentence.split(" was")[0] for sentence in advised()] == [
        "no moment called clicked",
        "no moment called requested_help",
    ]
    assert not (tmp_path / "home").exists()
    warehouse = Warehouse(tmp_path / "home" / "warehouse.duckdb")
    warehouse.path.parent.mkdir()
    warehouse.migrate()
    with warehouse.write() as con:
        con.execute("INSERT INTO raw.moments (event_id, kind) VALUES ('1', 'clicked'), ('2', 'request_help')")
    assert advised() == [
        "no moment called requested_help was ever received (audiences.moment); see whether a webhook sends an event of "
        "that name; did you mean 'request_help'?"
    ]
