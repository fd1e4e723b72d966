"""Audit assets: one a destination that can be read back, in a job of its own."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation
from cio_activation.audit.run import Audit, audited
from cio_activation.delivery.destination import Destination
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import counted, owners, table
from cio_activation.lanes.partitions import across_lanes
from cio_activation.lanes.runs import runtime_of

WITHIN_LIMIT = "within_limit"


def build_assets(
    activation: Activation,
    destinations: Sequence[Destination],
    delivered: Sequence[dg.AssetsDefinition | dg.AssetSpec],
) -> list[dg.AssetsDefinition]:
    """Return the audits of the destinations that the activation names; they come after what is ``delivered`` there."""
    deps = {
        destination.name: [
            across_lanes(key)
            for asset in delivered
            if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is not None
            for key in sorted(asset.keys)
            if key.path[0] == destination.name
        ]
        for destination in destinations
    }
    return [_asset(activation, d, deps[d.name]) for d in audited(destinations, list(activation.destinations))]


def _asset(activation: Activation, destination: Destination, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    key, limits = dg.AssetKey([destination.name, "audit"]), activation.limits.audits

    @dg.asset(
        key=key,
        deps=list(deps),
        group_name=destination.name,
        kinds={destination.name},
        owners=owners(*(p.owner for p in activation.properties.values())),
        description=(
            f"What {destination.name} holds of ours, read back for {limits.sample:,} people drawn by the newest "
            "window, beside what it acknowledged. Ours is repaired by the next run, what humans wrote is kept as "
            "declared. "
            "`cio-activation audit --findings` lists it."
        ),
        metadata={"dagster/table_name": "delivery.audit_findings"},
        check_specs=[
            dg.AssetCheckSpec(
                WITHIN_LIMIT,
                asset=key,
                blocking=True,
                description=f"it is not certain that more than {limits.max_deviating_share:.1%} of the records deviate",
            )
        ],
    )
    def audit_asset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.audit.run import audit

        with failures():
            found = audit(
                runtime_of(activation), destination, context.run.run_id, sample=limits.sample, calls=limits.calls
            )
        metadata: dict[str, Any] = counted(
            window_key=found.window_key,
            population=found.population,
            records=found.records,
            compared=found.compared,
            deviating=found.deviating,
            deviating_share=found.deviating / found.compared if found.compared else 0.0,
            deviating_low=found.low,
            deviating_high=found.high,
            actions_audited=found.actions,
            calls=found.calls,
            note=found.note,
            **_tables(found),
        )
        check = dg.AssetCheckResult(
            check_name=WITHIN_LIMIT,
            passed=found.low <= limits.max_deviating_share,
            severity=dg.AssetCheckSeverity.ERROR,
            description=_told(found),
            metadata=counted(deviating_low=found.low, deviating_high=found.high),
        )
        return dg.MaterializeResult(metadata=metadata, check_results=[check])

    return audit_asset


def _tables(found: Audit) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if found.findings:
        shown["findings"] = table(("found", "how many"), list(found.findings.items()))
        shown["treatments"] = table(("becomes of it", "how many"), list(found.treatments.items()))
    return shown


def _told(found: Audit) -> str:
    return (
        f"{found.deviating:,} of {found.compared:,} records deviate: {found.low:.2%} to {found.high:.2%} of all. "
        f"`cio-activation audit --findings --destination {found.destination}` lists them"
    )
