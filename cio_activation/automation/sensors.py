"""The real-time lane's sensor: asks for one run of the current window when there is news.

News is an event in the webhooks' inbox, looked for at every tick, or a segment's count that moved, asked for every
15 s: one small call per source segment, paced with everything else. It never fetches people: the run does the work.
A window that passes without news still gets one run, so that grace periods and expiries end on time.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.customerio.inbox import Inbox, News
from cio_activation.delivery.journal import Journal
from cio_activation.delivery.run import pacer_for
from cio_activation.errors import CioActivationError
from cio_activation.lanes import Lanes, runtime_of
from cio_activation.runtime import Runtime

TICK_SECONDS = 5
"""Dagster's own sensor loop is no faster."""
POLL_SECONDS = 15
AGAIN_SECONDS = 60
"""Events that are still in the inbox so long after a run was asked for get another: that run did not land them."""
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


@dataclass(frozen=True)
class Seen:
    """What the sensor saw when it last looked: its cursor. Times are seconds since the epoch."""

    window: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    """Segment -> people in it."""
    mark: str = ""
    """What was in the inbox when a run was last asked for because of it (``News.mark``)."""
    polled_at: float = 0.0
    asked_at: float = 0.0
    asked: int = 0
    """Runs asked for so far. It is in a run's key: a tick that is repeated after a crash asks for the same run."""

    @classmethod
    def read(cls, cursor: str | None) -> Seen:
        """Return what a cursor holds; nothing for none, or for one of an earlier release."""
        found = json.loads(cursor) if cursor else {}
        return cls(**{name: value for name, value in found.items() if name in cls.__dataclass_fields__})


def realtime_sensor(job: Any, activation: Activation, lanes: Lanes) -> dg.SensorDefinition:
    """Return the sensor that keeps the real-time lane moving."""

    @dg.sensor(
        name="realtime_sensor",
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description="Runs the current window when a webhook came or a segment's count moved, and once a window anyway.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        waiting = context.instance.get_runs_count(dg.RunsFilter(job_name=str(Lane.REALTIME), statuses=_WAITING))
        if waiting:
            return dg.SkipReason("a run of this lane is already waiting; it will see everything that is new")
        seen, now = Seen.read(context.cursor), time.time()
        window = lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(now, UTC))
        news = inbox_news(Settings())
        looked, problem = seen, None
        if now - seen.polled_at >= POLL_SECONDS:
            segments = [a.segment for a in activation.lane_audiences(Lane.REALTIME)]
            try:
                looked = replace(seen, counts=count_members(runtime_of(activation), segments), polled_at=now)
            except CioActivationError as error:
                problem = f"Customer.io could not be asked: {error}"
        why = reason(seen, looked, news, window.key, now)
        if why is None or (problem and not news.events):
            return dg.SensorResult(skip_reason=problem or "no news since the last look", cursor=_cursor(looked))
        context.log.info(f"{window.key}: {why}")
        asked = replace(looked, window=window.key, mark=news.mark, asked_at=now, asked=seen.asked + 1)
        request = dg.RunRequest(run_key=f"{window.key} {asked.asked} {news.mark}", partition_key=window.key)
        return dg.SensorResult(run_requests=[request], cursor=_cursor(asked))

    return watch


def reason(seen: Seen, looked: Seen, news: News, window_key: str, now: float) -> str | None:
    """Return why a run should be asked for, None if nothing calls for one. ``now``: seconds since the epoch."""
    if news.events and news.mark != seen.mark:
        return f"{news.events} events in the inbox"
    if news.events and now - seen.asked_at >= AGAIN_SECONDS:
        return f"{news.events} events are still in the inbox"
    if looked.counts != seen.counts:
        return "a segment's count moved"
    if window_key != seen.window:
        return "a new window began"
    return None


def inbox_news(settings: Settings) -> News:
    """Return what waits in the webhooks' inbox; opens only the journal, never the warehouse."""
    settings.activation_home.mkdir(parents=True, exist_ok=True)
    with closing(Journal(settings.journal)) as journal:
        return Inbox(journal).news()


def count_members(runtime: Runtime, segments: list[int]) -> dict[str, int]:
    """Return segment id -> how many people Customer.io counts in it now."""
    from cio_activation.customerio.client import CustomerIO

    journal = Journal(runtime.settings.journal)

    async def ask() -> dict[str, int]:
        async with CustomerIO(runtime.settings, pacer_for(runtime, journal, (), str(Lane.REALTIME))) as vendor:
            return {str(s): await vendor.customer_count(s) for s in segments}

    try:
        return asyncio.run(ask())
    finally:
        journal.close()


def _cursor(seen: Seen) -> str:
    return json.dumps(asdict(seen))
