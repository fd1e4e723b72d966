"""Outcome assets: what the deliveries of the last days came to, for people to read."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import bars, owners, table
from cio_activation.lanes.partitions import LANE_TAG, Lanes, across_lanes
from cio_activation.lanes.runs import runtime_of


def build_assets(
    activation: Activation, lanes: Lanes, delivered: Sequence[dg.AssetsDefinition | dg.AssetSpec]
) -> list[dg.AssetsDefinition]:
    """Return ``outcome/write_volume``; ``delivered``: the destinations' assets, which come first."""
    deps = [
        dg.AssetDep(key) if asset.partitions_def == lanes.daily else across_lanes(key)
        for asset in delivered
        if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is not None
        for key in sorted(asset.keys)
    ]

    @dg.asset(
        key=["outcome", "write_volume"],
        deps=deps,
        partitions_def=lanes.daily,
        group_name="outcome",
        kinds={"duckdb"},
        owners=owners(*(p.owner for p in activation.properties.values())),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "Writes per day, destination and audience, of both lanes and the last 30 days (UTC), by the ledger. "
            "The table `outcome.write_volume` has all days."
        ),
        metadata={"dagster/table_name": "outcome.write_volume"},
    )
    def write_volume() -> dg.MaterializeResult:
        from cio_activation.outcome import volume

        with failures(), runtime_of(activation, Lane.DAILY).warehouse.read() as con:
            found = volume.write_volume(con)
        newest = max((one.day for one in found), default=None)
        rows = [
            (str(v.day), v.destination, v.audience, v.delivered, v.rejected, v.people) for v in found
        ]  # fmt: skip
        names = ("day (UTC)", "destination", "audience", "delivered", "rejected", "people")
        metadata: dict[str, Any] = {
            "dagster/row_count": len(found),
            "writes": sum(v.delivered for v in found if v.day == newest),
            "by_audience": table(names, rows),
            "by_day": bars(volume.by_day(found)),
        }
        return dg.MaterializeResult(metadata=metadata)

    asking = any(a.touch for a in activation.audiences.values())
    return [write_volume, *([_actions_asset(activation, lanes, deps)] if asking else [])]


def _actions_asset(activation: Activation, lanes: Lanes, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return ``outcome/actions``: what people are asked to do, and what keeps others from being asked for."""

    @dg.asset(
        key=["outcome", "actions"],
        deps=list(deps),
        partitions_def=lanes.daily,
        group_name="outcome",
        kinds={"duckdb"},
        owners=owners(*(a.owner for a in activation.audiences.values() if a.touch)),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "What people are asked to do: by audience, by who acts, and by which codes others were withheld in the "
            "last 14 days. `cio-activation actions` lists them."
        ),
        metadata={"dagster/table_name": "delivery.actions"},
    )
    def actions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.outcome import actions as outcome

        as_of = lanes.window(Lane.DAILY, context.partition_key).as_of
        with failures(), runtime_of(activation, Lane.DAILY).warehouse.read() as con:
            audiences, loads = outcome.by_audience(con, as_of), outcome.load(con, as_of)
            withheld = outcome.withheld_by_code(con, 14)
        states = outcome.STATES
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(sum(counts.values()) for counts in audiences.values()),
            "open": sum(one.open for one in loads),
            "late": sum(one.late for one in loads),
            "by_audience": table(
                ("audience", *states),
                [(name, *(counts.get(s, 0) for s in states)) for name, counts in audiences.items()],
            ),
            "load": bars({"open": {one.owner: one.open for one in loads}}),
            "withheld": bars(withheld),
        }
        return dg.MaterializeResult(metadata=metadata)

    return actions
