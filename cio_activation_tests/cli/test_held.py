"""``release`` and ``rejected``: what they say, what they record, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation_tests.drivers.listing import ListBench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ListBench:
    """Return the installation the commands work on: 50 people delivered, then a plan with 40 exits held."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    made = ListBench(tmp_path)
    made.members(range(50))
    made.run()
    made.members(range(10))
    made.run(2)
    return made


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def held(bench: ListBench) -> str:
    return str(bench.plans("plan_id")[-1][0])


def test_a_release_is_recorded_and_lets_the_next_run_go(bench: ListBench) -> None:
    code, told = run("release", held(bench), "--who", "ann", "--why", "the segment was split")
    assert (code, told["ok"], told["operations"], told["moved"]) == (0, True, 40, None)
    assert (told["destination"], told["step"], told["who"]) == ("toy", "list/vip", "ann")
    assert "40 people leave audience vip" in told["held_because"]
    assert bench.sql("SELECT who, why FROM delivery.releases") == [("ann", "the segment was split")]
    assert bench.run(2).delivered == 40


def test_who_is_the_user_of_the_machine_if_nobody_is_named(bench: ListBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "operator")
    assert run("release", held(bench), "--why", "fine")[1]["who"] == "operator"


def test_a_release_after_the_world_moved_says_so(bench: ListBench) -> None:
    plan_id = held(bench)
    bench.members(range(5))
    bench.run(3)
    code, told = run("release", plan_id, "--why", "fine")
    assert code == 0
    assert "the world moved since" in told["moved"]
    shown = CliRunner().invoke(app, ["release", held(bench), "--why", "fine"])
    assert shown.exit_code == 0
    assert "45 operations of toy/list/vip" in shown.stderr


@pytest.mark.parametrize("plan_id", ["nonsense", "done"])
def test_what_cannot_be_released_is_bad_input(bench: ListBench, plan_id: str) -> None:
    chosen = bench.plans("plan_id")[0][0] if plan_id == "done" else plan_id
    code, told = run("release", chosen, "--why", "fine")
    assert (code, told["ok"], told["error"]) == (2, False, "ConfigError")
    assert held(bench) in told["problems"][0]
    assert bench.sql("SELECT count(*) FROM delivery.releases") == [(0,)]


def test_a_release_needs_a_reason(bench: ListBench) -> None:
    assert CliRunner().invoke(app, ["release", held(bench)]).exit_code == 2
    assert run("release", held(bench), "--why", " ")[0] == 2


def test_a_home_without_a_warehouse_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "nothing"))
    for command in (("rejected",), ("release", "x", "--why", "y")):
        code, told = run(*command)
        assert (code, told["error"]) == (2, "ConfigError")
        assert "does not exist" in told["problems"][0]


def refuse(bench: ListBench) -> None:
    bench.sql(
        """INSERT INTO delivery.rejected BY NAME SELECT * FROM (VALUES
        ('o1', 'hubspot', 'properties_daily', '400 BAD', 'p1', 'update', 1, TIMESTAMP '2026-11-03 00:00:00'),
        ('o2', 'hubspot', 'properties_daily', '400 BAD', 'p2', 'update', 5, NULL),
        ('o3', 'pipedrive', 'fields_daily', '403 no', 'p1', 'update', 2, TIMESTAMP '2026-11-05 00:00:00'))
        AS r(operation_id, destination, step, reason, cio_id, kind, attempts, next_try_at)"""
    )


def test_rejected_counts_by_reason_and_names_nobody_unless_asked(bench: ListBench) -> None:
    refuse(bench)
    code, told = run("rejected")
    assert (code, told["ok"]) == (0, True)
    meanings = [row.pop("meaning") for row in told["rejected"]]
    assert ["rule of the vendor" in meanings[0], "scope or permission" in meanings[1]] == [True, True]
    assert told["rejected"] == [
        {"destination": "hubspot", "step": "properties_daily", "field": None, "reason": "400 BAD", "operations": 2, "people": 2,
         "parked": 1, "next_try_at": "2026-11-03 00:00:00"},
        {"destination": "pipedrive", "step": "fields_daily", "field": None, "reason": "403 no", "operations": 1, "people": 1,
         "parked": 0, "next_try_at": "2026-11-05 00:00:00"},
    ]  # fmt: skip
    assert "people" not in told
    listed = run("rejected", "--people")[1]["people"]
    assert [(o["cio_id"], o["attempts"]) for o in listed] == [("p1", 1), ("p2", 5), ("p1", 2)]


def test_rejected_for_people_shows_a_table_and_masks_by_default(bench: ListBench) -> None:
    assert "nothing is rejected" in CliRunner().invoke(app, ["rejected"]).stderr
    refuse(bench)
    shown = CliRunner().invoke(app, ["rejected"], env={"COLUMNS": "200"})
    assert (shown.exit_code, shown.stdout) == (0, "")
    assert "400 BAD" in shown.stderr
    assert "rule of the" in shown.stderr
    assert "p2" in CliRunner().invoke(app, ["rejected", "--people"]).stdout


def test_people_whom_nothing_identifies_are_counted_beside_what_is_rejected(bench: ListBench) -> None:
    assert run("rejected")[1]["undeliverable"] == {}
    bench.sql(
        "INSERT INTO identity.persons BY NAME SELECT unnest(['x1', 'x2', 'x3']) AS cio_id, false AS deliverable, "
        "unnest(['no e-mail', 'no e-mail', 'invalid e-mail']) AS undeliverable_reason"
    )
    assert run("rejected")[1]["undeliverable"] == {"invalid e-mail": 1, "no e-mail": 2}
    shown = CliRunner().invoke(app, ["rejected"], env={"COLUMNS": "200"})
    assert "2 people are not delivered to any destination: no e-mail" in shown.stderr
