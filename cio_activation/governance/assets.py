"""The governance asset: once a day, after what came of the deliveries, what of ours should be looked at."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.governance.matters import MEANING, Concern, Matter
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import owners, table
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import runtime_of

KEY = dg.AssetKey(["outcome", "governance"])


def build_assets(
    activation: Activation, lanes: Lanes, counted: Sequence[dg.AssetsDefinition]
) -> list[dg.AssetsDefinition]:
    """Return ``outcome/governance``, which comes after ``counted``, what the deliveries came to."""
    named = [p.owner for p in activation.properties.values()] + [a.owner for a in activation.audiences.values()]

    @dg.asset(
        key=KEY,
        deps=[dg.AssetDep(key) for asset in counted for key in sorted(asset.keys)],
        partitions_def=lanes.daily,
        group_name="outcome",
        kinds={"duckdb"},
        owners=owners(*named, *([activation.governance.owner] if activation.governance.owner else [])),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "What of ours, or under our prefix, is unowned, unused, stale, orphaned, drifted or without effect, with "
            "the mend. What the CRMs have is as their schema steps found it. Stops nothing; `cio-activation check` "
            "lists the same."
        ),
        metadata={"dagster/table_name": "outcome.governance"},
        check_specs=[dg.AssetCheckSpec(matter.value, asset=KEY, description=MEANING[matter]) for matter in Matter],
    )
    def governance(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.delivery.definitions import known
        from cio_activation.governance.concerns import concerns, replace
        from cio_activation.governance.reviews import reviewed

        window = lanes.window(Lane.DAILY, context.partition_key)
        warehouse = runtime_of(activation, Lane.DAILY).warehouse
        with failures():
            with warehouse.read() as con:
                found = concerns(con, activation, known(con), window.as_of)
                declared = reviewed(con, activation)
            with warehouse.write() as con:
                replace(con, found, window, context.run.run_id)
        names = ("declared", "owner", "version", "last reviewed")
        rows = [
            (about, one.owner, one.version, f"{one.at:%Y-%m-%d}" if one.at is not None and one.ever else "never")
            for about, one in declared.items()
        ]
        metadata: dict[str, Any] = {
            "dagster/row_count": len(found),
            "concerns": table(
                ("matter", "about", "sentence", "mend"), [(f.matter.value, f.about, f.sentence, f.mend) for f in found]
            ),
            "declared": table(names, rows),
        }
        return dg.MaterializeResult(metadata=metadata, check_results=[_checked(matter, found) for matter in Matter])

    return [governance]


def _checked(matter: Matter, found: Sequence[Concern]) -> dg.AssetCheckResult:
    told = [f"{one.sentence}; {one.mend}" for one in found if one.matter is matter]
    return dg.AssetCheckResult(
        check_name=matter.value,
        passed=not told,
        severity=dg.AssetCheckSeverity.WARN,
        description=". ".join(told) or None,
    )
