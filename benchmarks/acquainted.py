"""A large installation that has been running for a while, without waiting for the vendors' rates to get there.

The stand-in's rate windows are lifted, the day before yesterday and a real-time window are delivered use case by use
case, and the windows are held again. One daily property is left out meanwhile: the next daily run has something to
write for everybody, as on the day after a definition was changed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Settings
from cio_activation.audience.members import update
from cio_activation.customerio.exports import Poll
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.people import pull_people
from cio_activation.customerio.segments import pull_segments
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.identity.resolve import resolve
from cio_activation.lanes.partitions import Lanes
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation_tests.drivers.processes import Site

ADDED = "top_category"
"""The property that the measured daily run adds for everybody."""
FAST = {"rate_share": 1.0, "requests_per_10s": 1_000}


def activation(
    path: Path,
    *,
    hubspot_only: bool = False,
    without: str | None = None,
    declare: Callable[[dict[str, Any]], None] | None = None,
    **hubspot: Any,
) -> Path:
    """Write the default activation, with a guard that lets a first push of everybody through, to ``path``.

    ``declare`` may change it.
    """
    given = yaml.safe_load(DEFAULT_ACTIVATION.read_text())
    given["limits"]["guards"]["max_operations"] = 1_000_000_000
    if declare is not None:
        declare(given)
    given["destinations"]["hubspot"] = hubspot
    if without is not None:
        del given["properties"][without]
    if hubspot_only:
        del given["destinations"]["pipedrive"]
        for declared in [*given["properties"].values(), *given["audiences"].values()]:
            deliver = declared.get("deliver")
            if isinstance(deliver, dict):
                deliver.pop("pipedrive", None)
            elif deliver:
                declared["deliver"] = [name for name in deliver if name != "pipedrive"]
            if "rank" in declared:  # whom Pipedrive's users act for; without an act the list has to be one
                declared["touch"] = True
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


def acquaint(place: Site, folder: Path) -> None:
    """Bring everybody into the HubSpot stand-in, linked and up to date but for :data:`ADDED`."""
    path = activation(folder / "before.yaml", hubspot_only=True, without=ADDED, **FAST)
    model = load_activation(path, DESTINATIONS)
    runtime, lanes, now = Runtime.build(Settings(), model), Lanes.of(model), datetime.now(UTC)
    _hold_limits(place, on=False)
    for lane, at in ((Lane.DAILY, now - timedelta(days=2)), (Lane.REALTIME, now - 2 * model.workspace.realtime_window)):
        window, began = lanes.window_at(lane, at), time.monotonic()
        if lane is Lane.DAILY:
            pull_people(runtime, window, poll=Poll(first_s=1.0))
            pull_segments(runtime, window)
        else:
            pull_live(runtime, window, limit=sys.maxsize)
        resolve(runtime, window)
        derive(runtime, window)
        update(runtime, window)
        for destination in DESTINATIONS:
            if destination.name not in model.destinations:
                continue
            run_schema(runtime, destination)
            for step in destination.steps(model):
                if step.lane is lane:
                    report = run_step(runtime, destination, step, window, "acquainted")
                    assert not report.held, report.note
        print(f"{lane} window before: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    _hold_limits(place, on=True)
    os.sync()


def _hold_limits(place: Site, *, on: bool) -> None:
    for vendor in ("customerio", "hubspot"):
        place.control.hold_limits(vendor, on=on)
