"""The lanes' partitions, and the window behind a partition key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window

LANE_TAG = "cio/lane"
REALTIME_FORMAT = "%Y-%m-%dT%H:%M"
_DAY = timedelta(days=1)


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

    def window_at(self, lane: Lane, instant: datetime) -> Window:
        """Return the window that ``instant`` (aware) falls into."""
        return self.window(lane, self[lane].get_partition_key_for_timestamp(instant.timestamp()))


def first_window(activation: Activation, lane: Lane) -> Window:
    """Return the window at ``workspace.start``, which no clock moves: a lane's SQL is shown for it."""
    workspace = activation.workspace
    daily = lane is Lane.DAILY
    start = datetime.combine(workspace.start, time(), ZoneInfo(workspace.timezone) if daily else UTC)
    return Window(lane, workspace.start.isoformat(), start, start + (_DAY if daily else workspace.realtime_window))


def across_lanes(key: dg.AssetKey) -> dg.AssetDep:
    """Return a dependency on another lane's asset: its newest partition, whatever this lane's window is."""
    return dg.AssetDep(key, partition_mapping=dg.LastPartitionMapping())


def _cron(window: timedelta) -> str:
    minutes = int(window.total_seconds() // 60)
    if minutes < 60:
        return f"*/{minutes} * * * *"
    return f"0 */{minutes // 60} * * *" if minutes < 1440 else "0 0 * * *"
