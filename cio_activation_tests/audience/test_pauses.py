"""The switch of an audience: nobody enters while it is paused, and exits clear as ever."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from cio_activation.activation.life_cycle import Baseline, Launch
from cio_activation.activation.models import Audience
from cio_activation.audience import pauses
from cio_activation.automation.pausing import pause_job
from cio_activation.errors import ConfigError
from cio_activation_tests.audience.stage import DAY, HOUR, NOW, Stage, audience
from cio_activation_tests.audience.test_touch import ALL_IN, POOR, RICH, codes, inside, told, touching

KINDS = {"list": audience(), "touch": touching()}


def paused(stage: Stage, name: str = "vip") -> None:
    with stage.world.runtime.warehouse.write() as con:
        pauses.pause(con, stage.world.runtime.activation, name, NOW, "Ada", "wrong phone numbers")


def resumed(stage: Stage, name: str = "vip") -> None:
    with stage.world.runtime.warehouse.write() as con:
        pauses.resume(con, name, NOW + HOUR, "Ada")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_enters_and_who_is_in_leaves_as_ever(tmp_path: Path, kind: str) -> None:
    stage = Stage(tmp_path, KINDS[kind])
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    paused(stage)
    found = stage.at(NOW + HOUR, {"a": RICH, "b": POOR, "c": RICH}, ["a", "b", "c"])["vip"]
    assert (inside(stage), codes(stage)) == (["a"], {"c": "paused"})
    assert (found.exited, found.withheld) == ({"gate": 1}, {"paused": 1})
    assert found.candidates == 3
    assert found.paused == "paused since 2026-11-22 05:00 UTC by Ada: wrong phone numbers"
    assert told(stage, "c") == [("withheld", "paused")]
    detail = stage.world.rows("SELECT detail FROM audience.decisions WHERE code = 'paused'")[0][0]
    assert json.loads(detail) == {"since": "2026-11-22 05:00:00", "by": "Ada", "why": "wrong phone numbers"}
    resumed(stage)
    again = stage.at(NOW + 2 * HOUR)["vip"]
    assert (inside(stage), again.entered, again.paused) == (["a", "c"], 1, None)


def test_the_window_that_is_under_way_knows_at_once(tmp_path: Path) -> None:
    """Within a window few are decided again: the switch is of everybody."""
    stage = Stage(tmp_path, audience(grace=HOUR))
    stage.at(NOW, {"a": RICH, "b": RICH}, ["a", "b"])
    paused(stage)
    stage.at(NOW + HOUR)
    assert (inside(stage), codes(stage)) == ([], {"a": "paused", "b": "paused"})
    resumed(stage)
    stage.at(NOW + HOUR)
    assert inside(stage) == ["a", "b"]


def test_an_audience_that_is_paused_before_its_start_starts_when_people_can_enter(tmp_path: Path) -> None:
    launch = Launch(baseline=Baseline.SKIP, backfill=1)
    stage = Stage(tmp_path, touching(launch=launch, rank="spent DESC"))
    paused(stage)
    stage.at(NOW, {"a": RICH, "b": {"spent": 900.0}}, ["a", "b"])
    assert codes(stage) == {"a": "paused", "b": "paused"}
    resumed(stage)
    stage.at(NOW + DAY)
    assert (inside(stage), codes(stage)) == (["b"], {"a": "launch_baseline"})


def test_another_audience_goes_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, touching(), touching("second"))
    paused(stage)
    stage.at(NOW, {"a": RICH}, ["a"])
    assert (inside(stage), inside(stage, "second")) == ([], ["a"])


def test_pausing_twice_changes_nothing_and_resuming_what_runs_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, touching(launch=ALL_IN))
    paused(stage)
    with stage.world.runtime.warehouse.write() as con:
        found = pauses.pause(con, stage.world.runtime.activation, "vip", NOW + DAY, "Bob", "again")
        assert (found.paused_by, found.paused_at) == ("Ada", NOW)
        with pytest.raises(ConfigError, match="there is no audience vop; there are: vip"):
            pauses.pause(con, stage.world.runtime.activation, "vop", NOW, "Bob", "so")
        with pytest.raises(ConfigError, match="vop is not paused; paused: vip"):
            pauses.resume(con, "vop", NOW, "Bob")


def test_the_switch_in_the_ui_is_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, touching())
    act: Audience = stage.world.runtime.activation.audiences["vip"]
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    job = pause_job(stage.world.runtime.activation)

    def launch(**config: object) -> bool:
        settings = {"audience": act.name, "why": "so", **config}
        run = {"ops": {"pause_or_resume": {"config": settings}}}
        return job.execute_in_process(
            run_config=run, instance=dg.DagsterInstance.ephemeral(), raise_on_error=False
        ).success

    from cio_activation.lanes.runs import runtime_of

    warehouse = runtime_of(stage.world.runtime.activation).warehouse
    assert launch()
    with warehouse.read() as con:
        assert pauses.in_force(con)["vip"].paused_by == "somebody in the Dagster UI"
    assert launch(resume=True)
    with warehouse.read() as con:
        assert pauses.in_force(con) == {}
    assert not launch(audience="vop")
