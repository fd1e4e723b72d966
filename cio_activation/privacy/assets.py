"""The privacy asset: after the deliveries of a day, whoever is to be forgotten is, as far as the CRMs are done."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Destination
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import counted, metadata_of, owners
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import runtime_of

KEY = dg.AssetKey(["privacy", "forgetting"])


def build_assets(
    activation: Activation,
    lanes: Lanes,
    delivered: Sequence[dg.AssetsDefinition | dg.AssetSpec],
    destinations: Sequence[Destination],
    beside: Callable[[Path, Sequence[str]], int],
    old_runs: Callable[[dg.DagsterInstance, datetime], int],
) -> list[dg.AssetsDefinition]:
    """Return the asset that erases people once ``delivered``, the daily deliveries, took back what was theirs.

    Beside it the one that deletes what is older than the workspace keeps it.

    ``beside`` takes people (by their names) out of what Dagster keeps; it is told the home. ``old_runs`` deletes its
    runs from before an instant (naive UTC).
    """
    deps = [
        dg.AssetDep(key)
        for asset in delivered
        if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def == lanes.daily
        for key in sorted(asset.keys)
    ]

    @dg.asset(
        key=KEY,
        deps=deps,
        partitions_def=lanes.daily,
        group_name="privacy",
        kinds={"duckdb"},
        owners=owners(*(p.owner for p in activation.properties.values())),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "Whoever `cio-activation forget` named and has nothing of ours left in a CRM is erased here: files, "
            "warehouse, journal, run history. Whoever was forgotten is taken out of new raw files."
        ),
        metadata={"dagster/table_name": "privacy.receipts"},
    )
    def forgetting() -> dg.MaterializeResult:
        from cio_activation.privacy.erasing import erase
        from cio_activation.privacy.keeping_out import clean

        with failures():
            runtime = runtime_of(activation, Lane.DAILY)
            home = runtime.settings.activation_home
            cleaned = clean(runtime)  # before: what is new is then written anew once, not for each of the two
            done = erase(
                runtime, datetime.now(UTC).replace(tzinfo=None), destinations, beside=lambda names: beside(home, names)
            )
        return dg.MaterializeResult(
            metadata=counted(erased=done.erased, waiting_to_be_erased=len(done.waiting), cleaned=cleaned + done.cleaned)
        )

    @dg.asset(
        key=["privacy", "retention"],
        deps=deps,
        partitions_def=lanes.daily,
        group_name="privacy",
        kinds={"duckdb"},
        owners=owners(*(p.owner for p in activation.properties.values())),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "Deletes files, rows and runs that are older than the workspace keeps them (`raw_retention`, "
            "`plan_retention`, `decision_retention`, `ledger_retention`, `quarantine_retention`, `run_retention`), "
            "but what something still reads."
        ),
    )
    def retention(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.privacy.retention import prune

        with failures():
            done = prune(
                runtime_of(activation, Lane.DAILY),
                datetime.now(UTC).replace(tzinfo=None),
                lambda before: old_runs(context.instance, before),
            )
        return dg.MaterializeResult(metadata=metadata_of(done))

    return [forgetting, retention]
