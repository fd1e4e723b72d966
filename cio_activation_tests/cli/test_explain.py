"""``check --explain``: what applies to an audience, in sentences, also where the file says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app

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
    ]


def test_every_word_of_the_file_is_said(file: str) -> None:
    told = explained(file, "rich")
    for part in (
        "gate: `cart_value >= 200`", "hold for 2h", "buys (`last_order_at` moves)", "after 2d at the latest", "or 60d have passed",
        "the first 20 are let in", "this holds: `cart_value > 300`", "At most 50 are let in a day, by `cart_value DESC`",
        "within 30d", "group calls with a priority above 5", "while this holds: `cart_value > 900`", "10% of those",
    ):  # fmt: skip
        assert part in told


def test_as_json_and_for_an_audience_that_is_not_there(file: str) -> None:
    result = CliRunner().invoke(app, ["check", "--activation", file, "--explain", "plain", "--json"])
    told = json.loads(result.stdout)
    assert (told["ok"], told["audience"], len(told["applies"])) == (True, "plain", 3)
    missing = CliRunner().invoke(app, ["check", "--activation", file, "--explain", "nobody", "--json"])
    assert missing.exit_code == 2
    assert "there is plain, simple, rich" in json.loads(missing.stdout)["problems"][0]
