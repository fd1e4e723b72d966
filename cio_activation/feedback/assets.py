"""Feedback assets: one look at each CRM in which people act, before the audiences of a window are decided."""

from collections.abc import Sequence

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Destination
from cio_activation.feedback.concerned import concerned
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import metadata_of, owners
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import runtime_of

HEARD = "heard"


def keys(activation: Activation, destinations: Sequence[Destination], lane: Lane) -> list[dg.AssetKey]:
    """Return the keys of the looks of ``lane``; the audiences that make a human act come after them."""
    suffix = "" if lane is Lane.DAILY else "_live"
    return [
        dg.AssetKey(["feedback", f"{destination.name}_outreach{suffix}"])
        for destination in destinations
        if concerned(activation, destination, lane)
    ]


def build_assets(
    activation: Activation, lanes: Lanes, destinations: Sequence[Destination]
) -> list[dg.AssetsDefinition]:
    """Return the looks of both lanes; none where nobody is asked to act."""
    return [
        _outreach_asset(activation, lanes, destination, lane, key)
        for lane in Lane
        for destination, key in zip(
            [d for d in destinations if concerned(activation, d, lane)],
            keys(activation, destinations, lane),
            strict=True,
        )
    ]


def _outreach_asset(
    activation: Activation, lanes: Lanes, destination: Destination, lane: Lane, key: dg.AssetKey
) -> dg.AssetsDefinition:
    extract, persons = ("segments", "persons") if lane is Lane.DAILY else ("segments_live", "persons_live")
    deps = [dg.AssetKey(["customerio", extract]), dg.AssetKey(["identity", persons])]
    if activation.lane_properties(lane):
        deps.append(dg.AssetKey(["state", f"{lane}_properties"]))

    @dg.asset(
        key=key,
        deps=deps,
        group_name="feedback",
        kinds={destination.name},
        owners=owners(*(a.owner for a in activation.lane_audiences(lane))),
        partitions_def=lanes[lane],
        tags={LANE_TAG: str(lane)},
        description=(
            f"What people did in {destination.name} with what they were asked to do, who can act there, and which of "
            "those about to enter an audience somebody is on already. Only reads."
        ),
        check_specs=[
            dg.AssetCheckSpec(HEARD, asset=key, description=f"{destination.name} could be asked; else nobody enters")
        ],
    )
    def outreach(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.feedback.hearing import hear

        runtime = runtime_of(activation, lane)
        with failures(), runtime.warehouse.at_work():
            found = hear(runtime, destination, lanes.window(lane, context.partition_key))
        check = dg.AssetCheckResult(
            check_name=HEARD,
            passed=found.problem is None,
            severity=dg.AssetCheckSeverity.WARN,
            description=found.problem,
        )
        return dg.MaterializeResult(metadata=metadata_of(found), check_results=[check])

    return outreach
