"""Audience assets: one per audience, so that its lineage reads segment -> audience -> list."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.audience.codes import MEANING, Code
from cio_activation.audience.explain import sentences
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.step import statements
from cio_activation.customerio.assets import MOMENTS_KEY, segment_key
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import metadata_of, owners, sql, table
from cio_activation.lanes.partitions import LANE_TAG, Lanes, across_lanes, first_window
from cio_activation.lanes.runs import runtime_of

if TYPE_CHECKING:
    from cio_activation.audience.members import AudienceResult


def build_assets(
    activation: Activation, lanes: Lanes, heard: Mapping[Lane, Sequence[dg.AssetKey]]
) -> list[dg.AssetsDefinition]:
    """Return one multi-asset per lane that has audiences; any subset of its audiences can be materialized.

    ``heard``: what is read from the CRMs before an audience with a human act is decided.
    """
    return [_lane_assets(activation, lanes, lane, heard[lane]) for lane in Lane if activation.lane_audiences(lane)]


def _lane_assets(activation: Activation, lanes: Lanes, lane: Lane, heard: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    audiences = activation.lane_audiences(lane)
    specs = {a.name: _spec(activation, a, heard) for a in audiences}

    @dg.multi_asset(name=f"audiences_{lane}", specs=list(specs.values()), partitions_def=lanes[lane], can_subset=True)
    def update_audiences(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        from cio_activation.audience.members import update

        chosen = [name for name, spec in specs.items() if spec.key in context.selected_asset_keys]
        with failures():
            results = update(
                runtime_of(activation, lane),
                lanes.window(lane, context.partition_key),
                chosen,
                run_id=context.run.run_id,
                planned_at=datetime.now(UTC),
            )
        for name in chosen:
            yield dg.MaterializeResult(asset_key=specs[name].key, metadata=audience_metadata(results[name]))

    return update_audiences


def audience_metadata(result: "AudienceResult") -> dict[str, Any]:
    """Return what a run shows of an audience: its counts, and who is withheld by code."""
    told = metadata_of(result) | {"dagster/row_count": result.members}
    return told | ({"withheld": _by_code(result.withheld)} if result.withheld else {})


def _by_code(withheld: Mapping[str, int]) -> dg.TableMetadataValue:
    rows: list[list[str | int]] = [[code, people, MEANING[Code(code)]] for code, people in withheld.items()]
    return table(["code", "people", "means"], rows)


def _spec(activation: Activation, audience: Audience, heard: Sequence[dg.AssetKey]) -> dg.AssetSpec:
    lane = audience.lane
    extract = "segments" if lane is Lane.DAILY else "segments_live"
    persons = "persons" if lane is Lane.DAILY else "persons_live"
    source = MOMENTS_KEY if audience.segment is None else segment_key(audience.segment)
    keys = [source, dg.AssetKey(["customerio", extract]), dg.AssetKey(["identity", persons])]
    if activation.lane_properties(lane):
        keys.append(dg.AssetKey(["state", f"{lane}_properties"]))
    deps = [dg.AssetDep(key) for key in keys]
    window = first_window(activation, lane)
    inputs = Inputs.of(activation, audience, window)
    deps += [dg.AssetDep(key) for key in heard if inputs.places]
    if lane is Lane.REALTIME and any(p.name in inputs.columns for p in activation.lane_properties(Lane.DAILY)):
        deps.append(across_lanes(dg.AssetKey(["state", "daily_properties"])))
    if inputs.moment_counts and source != MOMENTS_KEY:
        deps.append(dg.AssetDep(MOMENTS_KEY) if lane is Lane.REALTIME else across_lanes(MOMENTS_KEY))
    return dg.AssetSpec(
        ["audience", audience.name],
        deps=deps,
        description="\n\n".join(
            [
                f"**{audience.label}** (version {audience.version})",
                audience.description,
                "\n".join(f"- {sentence}" for sentence in sentences(activation, audience)),
                f"Why a person is in it, or not: `cio-activation why PERSON --why-not {audience.name}`.",
            ]
        ),
        group_name="audience",
        kinds={"duckdb"},
        owners=owners(audience.owner),
        tags={LANE_TAG: str(lane)},
        metadata=sql(window.as_of, **statements(inputs)),
    )
