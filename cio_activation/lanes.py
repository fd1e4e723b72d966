"""The Dagster side of a lane: its partitions, the window behind a partition key, errors, common metadata.

Shared by every room's ``assets.py``; the rooms' logic never imports Dagster or this module.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.errors import CioActivationError
from cio_activation.runtime import Runtime

LANE_TAG = "cio/lane"
LEFT_OVER_TAG = "cio/left_over"
"""Tag of a real-time run that let others go first: the asset of which something is left over."""
LOOKS_TAG = "cio/segments"
"""Tag of a real-time run: what the sensor sees of each segment (JSON) if nothing changed since the run read it."""
REALTIME_FORMAT = "%Y-%m-%dT%H:%M"
RETRY_SECONDS = 30
_PASSING = frozenset({"Retryable", "RateLimited", "OutcomeUnknown", "WarehouseBusy"})
_BAR = 24


@dataclass(frozen=True)
class Lanes:
    """The partitions of both lanes, made once from the activation."""

    daily: dg.TimeWindowPartitionsDefinition
    realtime: dg.TimeWindowPartitionsDefinition

    @classmethod
    def of(cls, activation: Activation) -> Lanes:
        """Daily partitions in the workspace's time zone; real-time windows in UTC, the current one included."""
        workspace = activation.workspace
        return cls(
            dg.DailyPartitionsDefinition(start_date=workspace.start.isoformat(), timezone=workspace.timezone),
            dg.TimeWindowPartitionsDefinition(
                cron_schedule=_cron(workspace.realtime_window),
                start=workspace.start.strftime(REALTIME_FORMAT),
                fmt=REALTIME_FORMAT,
                end_offset=1,
            ),
        )

    def __getitem__(self, lane: Lane) -> dg.TimeWindowPartitionsDefinition:
        return self.daily if lane is Lane.DAILY else self.realtime

    def window(self, lane: Lane, key: str) -> Window:
        """Return the window behind a partition key."""
        span = self[lane].time_window_for_partition_key(key)
        return Window(lane, key, span.start, span.end)

    def window_at(self, lane: Lane, moment: datetime) -> Window:
        """Return the window that ``moment`` (aware) falls into."""
        return self.window(lane, self[lane].get_partition_key_for_timestamp(moment.timestamp()))


def across_lanes(key: dg.AssetKey) -> dg.AssetDep:
    """Return a dependency on another lane's asset: its newest partition, whatever this lane's window is."""
    return dg.AssetDep(key, partition_mapping=dg.LastPartitionMapping())


def is_awaited(instance: dg.DagsterInstance) -> bool:
    """Tell whether a run of the real-time lane waits for the one that goes on."""
    status = dg.DagsterRunStatus
    before_work = [status.QUEUED, status.NOT_STARTED, status.STARTING]
    return instance.get_runs_count(dg.RunsFilter(tags={LANE_TAG: str(Lane.REALTIME)}, statuses=before_work)) > 0


def leave_over(context: dg.AssetExecutionContext, key: str) -> None:
    """Say by the run's tag that something of an asset is left for the lane's next run; the sensor asks for that."""
    context.instance.add_run_tags(context.run_id, {LEFT_OVER_TAG: key})


def runtime_of(activation: Activation, lane: Lane | None = None) -> Runtime:
    """Return the runtime of this process, from its environment; ``lane`` is the one it works for."""
    return Runtime.build(Settings(), activation, lane)


def lane_of(context: dg.AssetExecutionContext) -> Lane | None:
    """Return the lane that a run was launched for, also in an asset without partitions; None if for neither."""
    tag = context.run.tags.get(LANE_TAG)
    return Lane(tag) if tag in tuple(Lane) else None


def note_looks(context: dg.AssetExecutionContext, looks: Mapping[str, str]) -> None:
    """Say by the run's tag which state of the segments it has taken, so that the sensor asks for no run because of it.

    ``looks``: segment id -> its look, see ``customerio.watching``.
    """
    context.instance.add_run_tags(context.run_id, {LOOKS_TAG: json.dumps(looks, sort_keys=True)})


@contextmanager
def failures() -> Iterator[None]:
    """Tell Dagster what to do with this project's errors: try again what may pass, fail the rest for a person.

    Asked for here rather than by a retry policy, so that a defect fails at once and visibly.
    """
    try:
        yield
    except CioActivationError as error:
        if type(error).__name__ in _PASSING:
            raise dg.RetryRequested(max_retries=2, seconds_to_wait=RETRY_SECONDS) from error
        raise dg.Failure(description=str(error), allow_retries=False) from error


def bars(counts: Mapping[str, Mapping[str, int]]) -> dg.MarkdownMetadataValue:
    """Return distributions as a small text plot: one block per property, one bar per value. Counts only."""
    lines: list[str] = []
    for name, values in counts.items():
        most = max(values.values(), default=0) or 1
        lines.append(name)
        width = max((len(v) for v in values), default=0)
        lines += [
            f"  {value.ljust(width)} {'█' * max(round(_BAR * count / most), 1 if count else 0):<{_BAR}} {count:>9,}"
            for value, count in values.items()
        ]
        lines.append("")
    return dg.MetadataValue.md("```\n" + "\n".join(lines) + "\n```")


def columns(rows: Sequence[tuple[str, str, str]]) -> dg.TableSchema:
    """Return a table schema from (name, type, description) rows."""
    return dg.TableSchema(columns=[dg.TableColumn(n, t, description=d) for n, t, d in rows])


def table(names: Sequence[str], rows: Sequence[Sequence[str | int]]) -> dg.TableMetadataValue:
    """Return rows as a table in the UI; numbers stay numbers."""
    records = [dg.TableRecord(dict(zip(names, row, strict=True))) for row in rows]
    kinds = ["int" if rows and isinstance(value, int) else "string" for value in (rows[0] if rows else names)]
    listed = [dg.TableColumn(name, kind) for name, kind in zip(names, kinds, strict=True)]
    return dg.MetadataValue.table(records, dg.TableSchema(columns=listed))


def counted(**values: Any) -> dict[str, Any]:
    """Return metadata without the empty entries; numbers stay numbers, so that the UI plots them."""
    return {k: v for k, v in values.items() if v not in (None, {}, [], "")}


def metadata_of(result: Any) -> dict[str, Any]:
    """Return a use case's result (a dataclass of counts) as metadata: numbers plot, mappings become JSON."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if isinstance(value, Mapping):
            value = dg.MetadataValue.json(dict(value)) if value else None
        elif isinstance(value, (list, tuple, set, frozenset)):
            value = dg.MetadataValue.json([str(v) for v in value]) if value else None
        elif not isinstance(value, (bool, int, float, str, type(None))):
            value = str(value)
        values[field.name] = value
    return counted(**values)


def owners(*names: str) -> list[str]:
    """Return owners in the form Dagster takes: e-mail addresses and ``team:name``."""
    return sorted({n if "@" in n else f"team:{re.sub(r'[^a-zA-Z0-9_]', '_', n.removeprefix('team:'))}" for n in names})


def _cron(window: timedelta) -> str:
    minutes = int(window.total_seconds() // 60)
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"
