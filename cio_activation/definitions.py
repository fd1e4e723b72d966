"""The code location: merges the rooms' assets, jobs and automation over one activation; nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.audience import assets as audience
from cio_activation.audit import assets as audit
from cio_activation.automation.alerts import alert_on_failure
from cio_activation.automation.jobs import audit_job, lane_job
from cio_activation.automation.pausing import pause_job
from cio_activation.automation.reporting import report_schedule
from cio_activation.automation.schedules import audit_schedule, daily_schedule
from cio_activation.automation.sensors import realtime_sensor
from cio_activation.automation.warned import warnings_sensor
from cio_activation.customerio import assets as customerio
from cio_activation.dagster_runtime import forgetting, pruning
from cio_activation.delivery import assets as delivery
from cio_activation.delivery.destination import Destination
from cio_activation.destinations import DESTINATIONS
from cio_activation.feedback import assets as feedback
from cio_activation.governance import assets as governance
from cio_activation.identity import assets as identity
from cio_activation.lanes.metadata import plain
from cio_activation.lanes.partitions import Lanes
from cio_activation.outcome import assets as outcome
from cio_activation.privacy import assets as privacy
from cio_activation.state import assets as state


def build_definitions(activation: Activation, destinations: Sequence[Destination] = DESTINATIONS) -> dg.Definitions:
    """Return the whole code location for ``activation`` and the destinations this installation knows."""
    lanes = Lanes.of(activation)
    rooms = [
        *customerio.build_assets(activation, lanes),
        *identity.build_assets(activation, lanes),
        *state.build_assets(activation, lanes),
        *feedback.build_assets(activation, lanes, destinations),
        *audience.build_assets(
            activation, lanes, {lane: feedback.keys(activation, destinations, lane) for lane in Lane}
        ),
    ]
    decided = {
        key: lane
        for asset in rooms
        if isinstance(asset, dg.AssetsDefinition)
        for lane in Lane
        if asset.partitions_def == lanes[lane]
        for key in asset.keys
    }
    delivered = delivery.build_assets(activation, lanes, destinations, decided)
    counted = outcome.build_assets(activation, lanes, delivered)
    assets = [
        *rooms,
        *delivered,
        *counted,
        *governance.build_assets(activation, lanes, counted),
        *privacy.build_assets(activation, lanes, delivered, destinations, forgetting.clean, pruning.prune),
    ]
    daily, realtime = (lane_job(lane, lanes, assets) for lane in Lane)
    report = outcome.report_asset(activation, counted)
    audits = audit.build_assets(activation, destinations, delivered)
    auditing = [audit_job(audits)] if audits else []
    return dg.Definitions(
        assets=[_plainly(asset) for asset in (*assets, report, *audits)],
        jobs=[daily, realtime, pause_job(activation), *auditing],
        schedules=[
            daily_schedule(daily),
            report_schedule(activation, report),
            *(audit_schedule(job, activation) for job in auditing),
        ],
        sensors=[realtime_sensor(realtime, activation, lanes), alert_on_failure, warnings_sensor(activation, assets)],
        executor=dg.in_process_executor,
    )


def _plainly(asset: Any) -> Any:
    """Return an asset whose descriptions begin without marks: Dagster's lists show the first line as it stands."""
    if isinstance(asset, dg.AssetSpec):
        return asset.replace_attributes(description=plain(asset.description or ""))
    if isinstance(asset, dg.AssetsDefinition):
        return asset.map_asset_specs(lambda spec: spec.replace_attributes(description=plain(spec.description or "")))
    return asset


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location of the configured activation file."""
    path = Settings().activation_file
    return _built(path, path.read_bytes() if path.is_file() else None)


@lru_cache(maxsize=1)
def _built(path: Path, written: bytes | None) -> dg.Definitions:  # noqa: ARG001 - other text, other definitions
    """Build once for each text of the file: a forked run finds what the warm process has built from the same."""
    return build_definitions(load_activation(path, DESTINATIONS))
