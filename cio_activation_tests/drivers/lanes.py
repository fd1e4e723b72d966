"""A whole installation in small: an activation of both lanes and both destinations, its windows, and a lane's run.

``run_lane`` does what a Dagster run of a lane does, use case by use case in the assets' order, without Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.audience.members import update
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.people import pull_people, utc_now
from cio_activation.customerio.segments import pull_segments
from cio_activation.customerio.workspace import require_workspace
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.feedback.concerned import concerned
from cio_activation.feedback.hearing import hear
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation_tests.drivers import access, builders
from cio_activation_tests.drivers.builders import FAST

START = datetime(2026, 11, 2, tzinfo=UTC)
"""Where the first window begins; the stand-ins' histories end at this day's noon and go on from there."""
QUARTER = timedelta(minutes=15)
QUICK: dict[str, Any] = {"vendor_backoff_s": 0.005, "vendor_settle_s": 0.0}
"""Settings that make waiting short."""

# Paces far above what a small world needs: pacing has tests of its own.
ACTIVATION = """
workspace: {timezone: UTC, currency: USD, default_region: US, prefix: cio_, realtime_window: 15m,
            purchase_attribute: last_order_at}
match: {keys: [external_id, email]}
profile: {phone: phone, first_name: first_name, last_name: last_name}
attributes:
  last_order_at: {type: timestamp}
  orders_count: {type: integer}
  total_spent: {type: money}
  cart_value: {type: money}
  cart_stage_raw: {type: text}
  cart_updated_at: {type: timestamp}
  last_refund_at: {type: timestamp}
  wismo_clicks_30d: {type: integer}
properties:
  lapse_bucket: {days_since: last_order_at, edges: [30, 90], labels: ["0-30", "31-90", "91+"], lane: daily,
                 owner: retention@example.com}
  spent: {value: total_spent, lane: daily, owner: retention@example.com, deliver: [hubspot]}
  returning: {flag: orders_count >= 2, lane: daily, owner: retention@example.com}
  cart_tier: {tiers: cart_value, edges: [75, 200], labels: [low, mid, high], lane: realtime,
              owner: retention@example.com}
audiences:
  asked_where: {label: RET - Asked where is my order, version: 1, owner: cx@example.com, segment: 9, lane: daily,
                expires_after: 14d, deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}
  refunded: {label: RET - Recent refund, version: 1, owner: cx@example.com, segment: 8, lane: daily,
             deliver: {hubspot: {list: true}}}
  hot_cart: {label: RET - Hot cart, version: 1, owner: cx@example.com, segment: 2, lane: realtime,
             expires_after: 48h, exit_on: [left_segment, purchase],
             deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}
destinations:
  hubspot: {rate_share: 1.0, requests_per_10s: 1000}
  pipedrive: {rate_share: 1.0, requests_per_2s: 4000}
"""


def small_activation(folder: Path, text: str = ACTIVATION) -> Activation:
    """Return the small activation, read by the loader from a file in ``folder``."""
    return builders.load(folder, text)


def build_runtime(home: Path, environment: Mapping[str, str], activation: Activation) -> Runtime:
    """Return a runtime over ``home`` that talks to the stand-ins of ``environment``, where settings are among others."""
    return Runtime.build(access.settings(home, environment, **QUICK), activation)


def window(lane: Lane, number: int) -> Window:
    """Return the ``number``-th window of a lane (from 1): days, or quarters of an hour from ``START`` on."""
    length = timedelta(days=1) if lane is Lane.DAILY else QUARTER
    start = START + length * (number - 1)
    return Window(lane, start.strftime("%Y-%m-%d" if lane is Lane.DAILY else "%Y-%m-%dT%H:%M"), start, start + length)


def window_at(lane: Lane, moment: datetime) -> Window:
    """Return the window that ends at ``moment`` or first after it."""
    length = timedelta(days=1) if lane is Lane.DAILY else QUARTER
    return window(lane, -((START - moment) // length))


@dataclass(frozen=True)
class LaneRun:
    """What one run of a lane came to."""

    decided: Mapping[str, Any]
    """Use case -> its result."""
    reports: Mapping[str, StepReport]
    """``destination/step`` -> its report."""

    @property
    def planned(self) -> int:
        return sum(r.planned for r in self.reports.values())

    @property
    def held(self) -> int:
        return sum(r.held for r in self.reports.values())


def run_lane(
    runtime: Runtime, lane: Lane, window: Window, run_id: str = "run", *, refresh: bool = True, schema: bool = True
) -> LaneRun:
    """Run every use case of ``lane`` for ``window`` in the assets' order.

    ``refresh`` takes a new snapshot of Customer.io where the window has one already; False uses that one.
    """
    decided = decide_lane(runtime, lane, window, run_id, refresh=refresh)
    return LaneRun(decided, deliver_lane(runtime, lane, window, run_id, schema=schema))


def deliver_lane(
    runtime: Runtime, lane: Lane, window: Window, run_id: str = "run", *, schema: bool = True
) -> dict[str, StepReport]:
    """Deliver what was decided; return ``destination/step`` -> its report."""
    reports: dict[str, StepReport] = {}
    for destination in DESTINATIONS:
        if destination.name not in runtime.activation.destinations:
            continue
        if schema:
            run_schema(runtime, destination)
        for step in destination.steps(runtime.activation):
            if step.lane is lane:
                reports[f"{destination.name}/{step.name}"] = run_step(runtime, destination, step, window, run_id)
    return reports


def decide_lane(
    runtime: Runtime,
    lane: Lane,
    window: Window,
    run_id: str = "run",
    *,
    refresh: bool = True,
    clock: Callable[[], datetime] = utc_now,
) -> dict[str, Any]:
    """Extract and decide; deliver nothing. ``clock`` tells when Customer.io is asked."""
    decided: dict[str, Any] = {}
    require_workspace(runtime)
    if lane is Lane.DAILY:
        decided["people"] = pull_people(runtime, window, None, refresh, FAST, run_id, clock)
        decided["segments"] = pull_segments(runtime, window, None, refresh, run_id, clock)
    else:
        # Zero: every member is looked at again in every run, because the stand-in's time is not this machine's.
        decided["live"] = pull_live(runtime, window, older_than=timedelta(0), run_id=run_id, clock=clock)
    decided["identity"] = resolve(runtime, window, run_id)
    decided["state"] = derive(runtime, window, run_id=run_id)
    for destination in DESTINATIONS:
        if concerned(runtime.activation, destination, lane):
            decided[f"feedback/{destination.name}"] = hear(runtime, destination, window)
    names = [a.name for a in runtime.activation.lane_audiences(lane)]
    decided["audiences"] = update(runtime, window, names, run_id=run_id)
    return decided
