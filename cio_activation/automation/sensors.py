"""The real-time lane's sensor: asks for one run of the current window when there is news.

News is an event in the webhooks' inbox, read at every tick, or members of a segment that changed, asked for every
10 s: one call per source segment, paced with everything else. It never fetches people: the run does the work.
A window that passes without news still gets one run, so that grace periods and expiries end on time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.automation.trigger import NEWS_TAG
from cio_activation.customerio.inbox import Inbox, News
from cio_activation.customerio.limits import customerio_pacer
from cio_activation.customerio.segment_probe import Fingerprint
from cio_activation.errors import CioActivationError
from cio_activation.journal.attempts import Journal
from cio_activation.lanes.partitions import Lanes
from cio_activation.lanes.runs import DEFERRED_TAG, FINGERPRINTS_TAG, runtime_of
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop

TICK_SECONDS = 5
"""Dagster's own sensor loop is no faster."""
POLL_SECONDS = 10
AGAIN_SECONDS = 60
"""Events that are still in the inbox so long after a run was asked for get another: that run did not land them."""
_WAITING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the sensor saw at a tick: its cursor. Times are seconds since the epoch."""

    window: str = ""
    segments: dict[str, Fingerprint] = field(default_factory=dict)
    """Segment id -> what was in it."""
    mark: str = ""
    """What was in the inbox when a run was last asked for because of it (``News.mark``)."""
    polled_at: float = 0.0
    asked_at: float = 0.0
    followed: str = ""
    """Id of the run for whose deferred operations a run was last asked for."""
    asked: int = 0
    """Runs asked for so far. It is in a run's key: a tick that is repeated after a crash asks for the same run."""

    @classmethod
    def read(cls, cursor: str | None) -> Seen:
        """Return what a cursor holds; nothing for none, or for one of an earlier release."""
        found = json.loads(cursor) if cursor else {}
        known = _known_to(cls, found)
        return cls(
            **known
            | {"segments": {s: Fingerprint(**_known_to(Fingerprint, t)) for s, t in known.get("segments", {}).items()}}
        )

    @property
    def members(self) -> dict[str, str]:
        """Segment id -> a text that changes with its members."""
        return {segment: told.members for segment, told in self.segments.items()}


def realtime_sensor(job: Any, activation: Activation, lanes: Lanes) -> dg.SensorDefinition:
    """Return the sensor that asks for the real-time lane's runs."""

    @dg.sensor(
        name="realtime_sensor",
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description="Runs the current window when a webhook came or a segment changed, and once a window anyway.",
    )
    def ask_for_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        waiting = context.instance.get_runs_count(dg.RunsFilter(job_name=str(Lane.REALTIME), statuses=_WAITING))
        if waiting:
            return dg.SkipReason("a run of this lane is already waiting; it will see everything that is new")
        seen, now = Seen.read(context.cursor), time.time()
        window = lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(now, UTC))
        news = inbox_news(Settings())
        current, problem = seen, None
        taken = _taken(context.instance)
        if now - seen.polled_at >= POLL_SECONDS and taken is not None:
            segments = list(activation.segments(Lane.REALTIME))
            try:
                found = fingerprint_segments(runtime_of(activation), segments, seen.segments, now)
                current = replace(seen, segments=found, polled_at=now)
                seen, current = _without_taken(seen, current, taken)
            except CioActivationError as error:
                problem = f"Customer.io could not be asked: {error}"
        if news.events and (asked_at := _asked_elsewhere(context.instance, news.mark)) is not None:
            seen = replace(seen, mark=news.mark, asked_at=max(seen.asked_at, asked_at))
            current = replace(current, mark=seen.mark, asked_at=seen.asked_at)
        deferred_by = _deferred_by(context.instance)
        why = reason(seen, current, news, window.key, now, deferred_by)
        if why is None or (problem and not news.events):
            return dg.SensorResult(skip_reason=problem or "no news since the last tick", cursor=_cursor(current))
        context.log.info(f"{window.key}: {why}")
        asked = replace(
            current, window=window.key, mark=news.mark, asked_at=now, asked=seen.asked + 1, followed=deferred_by
        )
        request = dg.RunRequest(
            run_key=f"{window.key} {asked.asked} {news.mark}",
            partition_key=window.key,
            tags={NEWS_TAG: news.mark} if news.events else {},
        )
        return dg.SensorResult(run_requests=[request], cursor=_cursor(asked))

    return ask_for_runs


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What of the segments the lane's runs have read. ``for_good``: the run that did ended well."""

    fingerprints: Mapping[str, str] = field(default_factory=dict)
    for_good: bool = True


def _taken(instance: dg.DagsterInstance) -> Taken | None:
    """Return what the run at work, or else the last that ended well, has read; None if it has yet to read.

    Asking Customer.io then would show what that run is about to see by itself.
    """
    status = dg.DagsterRunStatus
    running = instance.get_runs(dg.RunsFilter(job_name=str(Lane.REALTIME), statuses=[status.STARTED]), limit=1)
    if running:
        tag = running[0].tags.get(FINGERPRINTS_TAG)
        return None if tag is None else Taken(fingerprints=json.loads(tag), for_good=False)
    ended = instance.get_runs(dg.RunsFilter(job_name=str(Lane.REALTIME), statuses=[status.SUCCESS]), limit=1)
    return Taken(fingerprints=json.loads(ended[0].tags.get(FINGERPRINTS_TAG, "{}")) if ended else {})


def _without_taken(seen: Seen, current: Seen, taken: Taken) -> tuple[Seen, Seen]:
    """Return both without those changes that a run has read already.

    What only a run still at work has read counts as not seen: should the run fail, it is news again.
    """
    known = {
        s: told
        for s, told in current.segments.items()
        if s in taken.fingerprints and told.members == taken.fingerprints[s]
    }
    if taken.for_good:
        return replace(seen, segments=seen.segments | known), current
    before = {s: replace(t, members=seen.segments.get(s, Fingerprint()).members) for s, t in known.items()}
    return seen, replace(current, segments=current.segments | before)


def _asked_elsewhere(instance: dg.DagsterInstance, mark: str) -> float | None:
    """Return when a run was last launched for this very news, by whomever; None if none was."""
    records = instance.get_run_records(dg.RunsFilter(tags={NEWS_TAG: mark}), limit=1)
    return records[0].create_timestamp.timestamp() if records else None


def _deferred_by(instance: dg.DagsterInstance) -> str:
    """Return the id of the lane's newest run if it ended with operations deferred to the next; else nothing."""
    newest = instance.get_run_records(dg.RunsFilter(job_name=str(Lane.REALTIME)), limit=1)
    run = newest[0].dagster_run if newest else None
    return run.run_id if run and run.is_finished and DEFERRED_TAG in run.tags else ""


def reason(seen: Seen, current: Seen, news: News, window_key: str, now: float, deferred_by: str = "") -> str | None:
    """Return why a run should be asked for, None if nothing calls for one. ``now``: seconds since the epoch.

    ``deferred_by``: id of the lane's newest run if that deferred operations.
    """
    if news.events and news.mark != seen.mark:
        return f"{news.events} events in the inbox"
    if news.events and now - seen.asked_at >= AGAIN_SECONDS:
        return f"{news.events} events are still in the inbox"
    if current.members != seen.members:
        return "a segment's members changed"
    if window_key != seen.window:
        return "a new window began"
    if deferred_by and deferred_by != seen.followed:
        return "the last run deferred operations"
    return None


def inbox_news(settings: Settings) -> News:
    """Return what waits in the webhooks' inbox; opens only the journal, never the warehouse."""
    settings.activation_home.mkdir(parents=True, exist_ok=True)
    with closing(Journal(settings.journal)) as journal:
        return Inbox(journal).news()


def fingerprint_segments(
    runtime: Runtime, segments: list[int], before: Mapping[str, Fingerprint], now: float
) -> dict[str, Fingerprint]:
    """Return segment id -> what Customer.io has in it now; see :mod:`cio_activation.customerio.segment_probe`."""
    from cio_activation.customerio.client import CustomerIO
    from cio_activation.customerio.segment_probe import fingerprint

    journal = Journal(runtime.settings.journal)

    async def ask() -> dict[str, Fingerprint]:
        async with CustomerIO(runtime.settings, customerio_pacer(journal, str(Lane.REALTIME))) as vendor:
            return await fingerprint(vendor, segments, before, now)

    try:
        return event_loop.run(ask())
    finally:
        journal.close()


def _known_to(kind: type[Seen | Fingerprint], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this release has fields for: a cursor outlives the release that wrote it."""
    return {name: value for name, value in told.items() if name in kind.__dataclass_fields__}


def _cursor(seen: Seen) -> str:
    return json.dumps(asdict(seen))
