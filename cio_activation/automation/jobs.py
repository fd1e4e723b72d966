"""One job per lane, over all its assets, and one that audits."""

from __future__ import annotations

from typing import Any

import dagster as dg

from cio_activation.activation.models import Lane
from cio_activation.lanes.partitions import LANE_TAG, Lanes


def lane_job(lane: Lane, lanes: Lanes, assets: list[Any]) -> Any:
    """Return the job that brings one window of ``lane`` from Customer.io to every destination.

    Its partitions are the lane's: Dagster infers them from the assets selected.
    """
    keys: list[dg.AssetKey] = []
    for asset in assets:
        if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def in (None, lanes[lane]):
            keys += list(asset.keys)
    return dg.define_asset_job(
        str(lane),
        selection=dg.AssetSelection.assets(*keys),
        executor_def=dg.in_process_executor,
        tags={LANE_TAG: str(lane)},
        description=f"One {lane} window: extract, decide, deliver.",
    )


def audit_job(audits: list[dg.AssetsDefinition]) -> Any:
    """Return the job that reads back what the destinations hold: apart from both lanes, which it never stops."""
    return dg.define_asset_job(
        "audit",
        selection=dg.AssetSelection.assets(*(key for asset in audits for key in asset.keys)),
        executor_def=dg.in_process_executor,
        description="Reads back a sample of what every destination holds of ours.",
    )
