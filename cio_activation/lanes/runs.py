"""What is known of a run: the lane it works for, whether it deferred something, who waits for it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.lanes.partitions import LANE_TAG
from cio_activation.runtime import Runtime

DEFERRED_TAG = "cio/deferred"
"""Tag of a real-time run that let others go first: the asset of which something is deferred."""
FINGERPRINTS_TAG = "cio/segments"
"""Tag of a real-time run: what the sensor sees of each segment (JSON) if nothing changed since the run read it."""


def is_awaited(instance: dg.DagsterInstance) -> bool:
    """Tell whether a run of the real-time lane waits for the one at work."""
    status = dg.DagsterRunStatus
    before_work = [status.QUEUED, status.NOT_STARTED, status.STARTING]
    return instance.get_runs_count(dg.RunsFilter(tags={LANE_TAG: str(Lane.REALTIME)}, statuses=before_work)) > 0


def defer(context: dg.AssetExecutionContext, key: str) -> None:
    """Say by the run's tag that something of an asset is deferred to the lane's next run; the sensor asks for that."""
    context.instance.add_run_tags(context.run.run_id, {DEFERRED_TAG: key})


def runtime_of(activation: Activation, lane: Lane | None = None) -> Runtime:
    """Return the runtime of this process, from its environment; ``lane`` is the one it works for."""
    return Runtime.build(Settings(), activation, lane)


def lane_of(context: dg.AssetExecutionContext) -> Lane | None:
    """Return the lane that a run was launched for, also in an asset without partitions; None if for neither."""
    tag = context.run.tags.get(LANE_TAG)
    return Lane(tag) if tag in tuple(Lane) else None


def note_fingerprints(context: dg.AssetExecutionContext, fingerprints: Mapping[str, str]) -> None:
    """Say by the run's tag which state of the segments it has taken, so that the sensor asks for no run because of it.

    ``fingerprints``: segment id -> a text that changes with its members, see ``customerio.segment_probe``.
    """
    context.instance.add_run_tags(context.run.run_id, {FINGERPRINTS_TAG: json.dumps(fingerprints, sort_keys=True)})
