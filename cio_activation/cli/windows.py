"""Runs windows through Dagster in this process: what ``run`` and ``demo`` share."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.cli.stopping import noticed

if TYPE_CHECKING:
    import dagster as dg

ENDS = ("planned", "delivered", "rejected", "unneeded", "held")
_INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Stage(StrEnum):
    """How far a window is run."""

    DECIDE = "decide"
    """Everything is decided, nothing is sent."""
    RECORDS = "records"
    """Records, fields, lists and flags; nobody is asked to act."""
    ALL = "all"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What came of one window."""

    window: Window
    ok: bool
    seconds: float
    failures: tuple[str, ...] = ()
    """A sentence for each step that failed."""
    audiences: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Audience -> its counts."""
    operations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Destination -> how many operations ended how."""


class Windows:
    """The lanes of one activation, run one window at a time."""

    def __init__(self, activation: Activation) -> None:
        from cio_activation.definitions import build_definitions
        from cio_activation.lanes.partitions import Lanes

        self._activation = activation
        self._definitions = build_definitions(activation)
        self.lanes = Lanes.of(activation)

    def newest(self, lane: Lane, now: datetime) -> Window:
        """Return the last full day before ``now`` (aware), or the real-time window that it is in."""
        current = self.lanes.window_at(lane, now)
        return current if lane is Lane.REALTIME else self.lanes.window_at(lane, current.start - timedelta(hours=12))

    def run(self, instance: dg.DagsterInstance, window: Window, stage: Stage = Stage.ALL) -> Ran:
        """Run one window; what fails is told, not raised. KeyboardInterrupt if somebody stopped it."""
        started = time.monotonic()
        job = self._definitions.resolve_job_def(str(window.lane))
        with noticed() as asked_to_stop:
            ended = job.execute_in_process(
                partition_key=window.key,
                instance=instance,
                raise_on_error=False,
                run_config=_QUIET,
                asset_selection=self.selected(window.lane, stage),
            )
            if asked_to_stop() or any(_is_interrupt(event) for event in ended.all_events):
                raise KeyboardInterrupt  # Dagster takes it for the run's; who was asked to stop is this process
        failures = [e for e in ended.all_events if e.event_type_value == "STEP_FAILURE"]
        told = [e.step_materialization_data.materialization for e in ended.all_events if e.is_step_materialization]
        return Ran(
            window=window,
            ok=ended.success,
            seconds=round(time.monotonic() - started, 2),
            failures=tuple(f"{e.step_key}: {_reason(e)}" for e in failures),
            audiences={m.asset_key.path[1]: numbers(m) for m in told if m.asset_key.path[0] == "audience"},
            operations=_operations(told),
        )

    def selected(self, lane: Lane, stage: Stage) -> list[dg.AssetKey] | None:
        """Return the assets of ``stage``; None for all that the lane has."""
        import dagster as dg

        from cio_activation.delivery.assets import asking_keys
        from cio_activation.destinations import DESTINATIONS
        from cio_activation.lanes.partitions import LANE_TAG

        if stage is Stage.ALL:
            return None
        if stage is Stage.DECIDE:
            deciding = dg.AssetSelection.groups("identity", "state", "feedback", "audience").upstream()
            wanted: dg.AssetSelection = deciding & dg.AssetSelection.tag(LANE_TAG, str(lane))
        else:
            asking = dg.AssetSelection.assets(*asking_keys(self._activation, DESTINATIONS))
            wanted = dg.AssetSelection.assets(*self.job_keys(lane)) - asking
        return sorted(wanted.resolve(self._definitions.resolve_asset_graph()))

    def job_keys(self, lane: Lane) -> list[dg.AssetKey]:
        """Return the assets of the lane's job."""
        return sorted(self._definitions.resolve_job_def(str(lane)).asset_layer.selected_asset_keys)


@contextmanager
def dagster_at(home: Path) -> Iterator[Any]:
    """Yield Dagster's instance: that of ``DAGSTER_HOME``, or one in the home where that is not set."""
    import dagster as dg

    if not os.environ.get("DAGSTER_HOME", "").strip():
        os.environ["DAGSTER_HOME"] = str(dagster_home(home))
    with dg.DagsterInstance.get() as instance:
        yield instance


def dagster_home(home: Path) -> Path:
    """Return the folder of Dagster's history in a home, with its ``dagster.yaml``; made if it is not there."""
    folder = (home / "dagster").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "dagster.yaml").exists():
        packaged = resources.files("cio_activation.dagster_runtime").joinpath("dagster.yaml")
        with resources.as_file(packaged) as path:
            shutil.copyfile(path, folder / "dagster.yaml")
    return folder


def now() -> datetime:
    """Return the present, aware."""
    return datetime.now(UTC)


def _is_interrupt(event: Any) -> bool:
    """Tell whether an event is about a signal: a run that was canceled, or a step that ended by it."""
    if event.event_type_value == "PIPELINE_CANCELED":
        return True
    error = event.step_failure_data.error if event.event_type_value == "STEP_FAILURE" else None
    while error is not None:
        if error.cls_name in _INTERRUPTS:
            return True
        error = error.cause
    return False


def _reason(event: Any) -> str:
    """Return what a failed step said: its failure's own description, else the error under Dagster's."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error else "failed"


def numbers(materialization: Any) -> dict[str, int]:
    """Return what an asset counted; of what it shows by reason or code, the sum over them."""
    found: dict[str, int] = {}
    for name, shown in materialization.metadata.items():
        counts: list[Any] = [shown.value]
        if isinstance(shown.value, dict):
            counts = list(shown.value.values())
        elif hasattr(shown, "records"):
            counts = [record.data.get("people") for record in shown.records]
        if counts and all(isinstance(count, int) for count in counts):
            found[name] = sum(counts)
    return found


def _operations(told: list[Any]) -> dict[str, dict[str, int]]:
    """Return the sums of each destination's steps."""
    found: dict[str, dict[str, int]] = {}
    for one in told:
        counts = numbers(one)
        if "operations/planned" in counts:
            sums = found.setdefault(one.asset_key.path[0], dict.fromkeys(ENDS, 0))
            for end in ENDS:
                sums[end] += counts.get(f"operations/{end}", 0)
    return found
