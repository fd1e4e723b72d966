"""State assets: one table of derived properties per lane."""

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import bars, columns, metadata_of, owners, sql
from cio_activation.lanes.partitions import LANE_TAG, Lanes, first_window
from cio_activation.lanes.runs import runtime_of
from cio_activation.state.sql import StateSql

FULL_CHECK_DAY = 6
"""Sunday (UTC): the daily window of this weekday derives everybody again, as a check of the incremental way."""


class DeriveConfig(dg.Config):
    """Run configuration of a derivation."""

    full: bool = False
    """Derive everybody again and report what the incremental way had missed (must be nothing)."""


def build_assets(activation: Activation, lanes: Lanes) -> list[dg.AssetsDefinition]:
    """Return ``state/daily_properties`` and ``state/realtime_properties``, where the lane has properties."""
    return [_lane_asset(activation, lanes, lane) for lane in Lane if activation.lane_properties(lane)]


def _lane_asset(activation: Activation, lanes: Lanes, lane: Lane) -> dg.AssetsDefinition:
    properties = activation.lane_properties(lane)
    key = dg.AssetKey(["state", f"{lane}_properties"])
    source = ["customerio", "people"] if lane is Lane.DAILY else ["customerio", "segments_live"]
    table_name, as_of = f"state.{lane}_properties", first_window(activation, lane).as_of
    schema = columns(
        [("cio_id", "VARCHAR", "the person")]
        + [(p.name, p.type.value, f"{p.description} (owner: {p.owner})") for p in properties]
        + [("next_transition_at", "TIMESTAMP", "when the clock alone can next change a value; UTC")]
    )

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(source)],
        partitions_def=lanes[lane],
        group_name="state",
        kinds={"duckdb", "pandera"},
        owners=owners(*(p.owner for p in properties)),
        tags={LANE_TAG: str(lane)},
        description=f"Bucketed state of every person, derived as of the end of the {lane} window. What it was, and why "
        "it changed: `cio-activation why PERSON`.",
        metadata={"dagster/column_schema": schema, "dagster/table_name": table_name}
        | sql(as_of, rows=StateSql.of(activation, lane, as_of).select()),
        check_specs=[
            dg.AssetCheckSpec("state", asset=key, blocking=True, description="values are what the activation declares")
        ],
    )
    def state(context: dg.AssetExecutionContext, config: DeriveConfig) -> dg.MaterializeResult:
        from cio_activation.state.derive import derive, distribution

        runtime = runtime_of(activation, lane)
        window = lanes.window(lane, context.partition_key)
        full = config.full or (lane is Lane.DAILY and window.start.weekday() == FULL_CHECK_DAY)
        with failures():
            result = derive(runtime, window, full=full, run_id=context.run.run_id)
        with runtime.warehouse.read() as con:
            spread = distribution(con, activation, lane)
        found = metadata_of(result)
        check = dg.AssetCheckResult(
            check_name="state",
            asset_key=key,
            passed=not result.quarantined and not result.missed,
            severity=dg.AssetCheckSeverity.ERROR if result.missed else dg.AssetCheckSeverity.WARN,
            metadata={k: v for k, v in found.items() if k in ("quarantined", "missed")},
        )
        return dg.MaterializeResult(
            metadata=found | {"dagster/row_count": result.rows, "distribution": bars(spread)}, check_results=[check]
        )

    return state
