"""``run`` on bad input, and which assets each of its stages takes; whole runs are the first hour's and the demo's."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.audience.assets import audience_metadata
from cio_activation.audience.members import AudienceResult
from cio_activation.cli.main import app
from cio_activation.cli.windows import Stage, Windows, numbers
from cio_activation.destinations import DESTINATIONS


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows(load_activation(DEFAULT_ACTIVATION, DESTINATIONS))


@pytest.mark.parametrize("lane", Lane)
def test_a_dry_run_takes_deciding_rooms_only_and_a_run_without_actions_all_but_these(
    windows: Windows, lane: Lane
) -> None:
    decided = {"/".join(key.path) for key in windows.selected(lane, Stage.DECIDE) or ()}
    assert {key.split("/")[0] for key in decided} == {"customerio", "identity", "state", "feedback", "audience"}
    assert not [key for key in decided if "outreach_flags" in key]
    records = {"/".join(key.path) for key in windows.selected(lane, Stage.RECORDS) or ()}
    assert decided <= records
    left = {"/".join(key.path) for key in windows.job_keys(lane)} - records
    assert left
    assert all(part.split("/")[1] in {"task", "activity", "note", "deal"} or "retired" in part for part in left)
    assert windows.selected(lane, Stage.ALL) is None


def test_the_newest_window_is_the_last_full_day_or_the_present_quarter(windows: Windows) -> None:
    at = datetime(2026, 11, 30, 4, 20, tzinfo=UTC)  # the evening before, in New York
    assert windows.newest(Lane.DAILY, at).key == "2026-11-28"
    assert windows.newest(Lane.REALTIME, at).key == "2026-11-30T04:15"


def test_who_left_and_who_is_withheld_are_summed_over_reasons_and_codes() -> None:
    result = AudienceResult(
        "vip", members=3, entered=2, exited={"gate": 4, "purchase": 1}, withheld={"grace": 5, "spent": 2}
    )
    shown = dg.AssetMaterialization(["audience", "vip"], metadata=audience_metadata(result))
    assert numbers(shown) | {"members": 3, "entered": 2, "exited": 5, "withheld": 7} == numbers(shown)
    assert "exited" not in numbers(dg.AssetMaterialization("x", metadata=audience_metadata(AudienceResult("vip"))))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--window", "2020-01-01"], "the daily lane has no such window; its newest is"),
        (["--lane", "realtime", "--window", "2026-11-28"], "the realtime lane has no such window"),
        (["--dry", "--without-actions"], "leave one out"),
    ],
)
def test_bad_input_is_told_with_its_mend(
    arguments: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ACTIVATION_FILE", raising=False)
    result = CliRunner().invoke(app, ["run", *arguments, "--json"])
    assert (result.exit_code, told in json.loads(result.stdout)["problems"][0]) == (2, True), result.stdout
    assert not (tmp_path / "home").exists()
