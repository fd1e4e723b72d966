"""What Dagster remembers of late: how each lane's last run ended, which runs failed, whether its daemon lives."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.automation.alerts import words
from cio_activation.dagster_runtime.storage import HOME
from cio_activation.outcome.doctor.part import Part
from cio_activation.outcome.doctor.surroundings import tilde

FAILURES = 5
"""Failed runs that are told."""
SILENT_S = 300.0
"""A daemon that was there and has not been heard of for so long is dead: it says every half minute that it lives."""


def dagster_side(part: Part, settings: Settings) -> None:
    """Tell where Dagster keeps its history, how the lanes' last runs ended, and what the last failed ones said."""
    told = os.environ.get(HOME, "").strip()
    folder = Path(told).expanduser() if told else settings.activation_home / "dagster"
    part.facts |= {"folder": tilde(folder), "DAGSTER_HOME": "set" if told else "not set"}
    if told and not (folder / "dagster.yaml").is_file():
        part.wrong(
            f"{tilde(folder)} (DAGSTER_HOME) has no dagster.yaml: the lanes wait for each other, and runs start slowly",
            "copy the packaged one there: cio_activation/dagster_runtime/dagster.yaml",
        )
    if not (folder / "dagster.yaml").is_file() and not (folder / "history").is_dir():
        part.facts["history"] = None
        return
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        part.facts["storage"] = type(instance.run_storage).__name__.strip("_")
        part.facts["runs"] = instance.get_runs_count()
        _last_of_each_lane(part, instance)
        part.facts["failed"] = [_told(instance, record) for record in _failed(instance)]
        _daemons(part, instance)


def _last_of_each_lane(part: Part, instance: dg.DagsterInstance) -> None:
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    part.facts["last_run"] = {}
    for lane in Lane:
        found = instance.get_run_records(dg.RunsFilter(job_name=str(lane), statuses=ended), limit=1)
        if not found:
            continue
        run = found[0].dagster_run
        part.facts["last_run"][str(lane)] = f"{run.tags.get('dagster/partition')} {run.status.value.lower()}"
        if run.status is dg.DagsterRunStatus.FAILURE:
            said = "; ".join(words(instance, run)) or "it says nothing"
            part.wrong(
                f"the {lane} lane's last run {run.run_id} failed: {said}",
                "mend what it says, then start the window again; what was begun is settled first",
            )


def _failed(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    return list(instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=FAILURES))


def _told(instance: dg.DagsterInstance, record: dg.RunRecord) -> dict[str, object]:
    run = record.dagster_run
    return {
        "run": run.run_id,
        "job": run.job_name,
        "window": run.tags.get("dagster/partition"),
        "ended": _instant(record.end_time) if record.end_time else None,
        "said": list(words(instance, run)),
    }


def _daemons(part: Part, instance: dg.DagsterInstance) -> None:
    now = datetime.now(UTC).timestamp()
    beats = {name: beat.timestamp for name, beat in instance.get_daemon_heartbeats().items()}
    part.facts["daemon_heard"] = _instant(max(beats.values())) if beats else None
    if beats and now - max(beats.values()) > SILENT_S:
        part.wrong(
            f"Dagster's daemon was last heard of at {_instant(max(beats.values()))}: no schedule and no sensor runs",
            "start `dagster dev`, or `dagster-daemon run` where its processes run apart",
        )


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
