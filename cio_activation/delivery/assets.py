"""Every destination's assets, built from the steps it declares: one multi-asset per destination and lane."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from math import inf, isfinite
from typing import Any, TypeVar

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery import unmatched
from cio_activation.delivery.catalog import ADVICE
from cio_activation.delivery.destination import Context, Destination, FollowsActions, Noticing, Step
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.delivery.unmatched import Unmatched
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import counted, owners, table
from cio_activation.lanes.partitions import LANE_TAG, Lanes, across_lanes
from cio_activation.lanes.runs import defer, is_awaited, lane_of, runtime_of
from cio_activation.transport.reasons import told
from cio_activation.transport.time_slice import MOST_S, TimeSlice
from cio_activation.warehouse.sessions import Connection

T = TypeVar("T")
SCHEMA_MAX_AGE = timedelta(hours=1)
"""A real-time run does not ask again for fields and lists that were there so recently: 1 s of a cart's way."""


def build_assets(
    activation: Activation, lanes: Lanes, destinations: Sequence[Destination], decided: Mapping[dg.AssetKey, Lane]
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the deliver assets of every destination the activation names.

    ``decided`` names the deciding rooms' assets and their lanes: what comes from the other lane is read as it is
    now, so it is tied to that lane's last partition.
    """
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    asking = _asking(activation, destinations)
    for destination in destinations:
        if destination.name not in activation.destinations:
            continue
        assets.append(_schema_asset(activation, destination))
        steps = destination.steps(activation)
        assets += [
            _lane_assets(activation, lanes, destination, lane, chosen, decided, asking[lane])
            for lane in Lane
            if (chosen := [s for s in steps if s.lane is lane])
        ]
    # One partition each: Dagster would else look at every window there is, tens of thousands, in every run.
    delivered = [
        across_lanes(key) if asset.partitions_def else dg.AssetDep(key)
        for asset in assets
        if isinstance(asset, dg.AssetsDefinition)
        for key in sorted(asset.keys)
    ]
    return [*assets, _rejected_asset(activation, delivered), _conflicts_asset(activation, delivered)]


def _schema_asset(activation: Activation, destination: Destination) -> dg.AssetsDefinition:
    key = dg.AssetKey([destination.name, "schema"])

    @dg.asset(
        key=key,
        group_name=destination.name,
        kinds={destination.name},
        owners=_owners(activation),
        description=(
            f"Fields, options and lists in {destination.name}: created or extended, never removed. A real-time run "
            "takes those of the last hour as they are, unless the activation changed."
        ),
        check_specs=[dg.AssetCheckSpec("advice", asset=key, description="nothing that a person should know of it")],
    )
    def schema(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        lane = lane_of(context)
        with failures():
            runtime = runtime_of(activation, lane)
            home = str(runtime.settings.activation_home.absolute())
            context.log.info(f"home {home}")
            catalog = run_schema(runtime, destination, SCHEMA_MAX_AGE if lane is Lane.REALTIME else None)
            told = list(catalog.get(ADVICE, ()))
            if isinstance(destination, Noticing) and lane is not Lane.REALTIME:
                told += destination.notices(Context(runtime.settings, activation, None, catalog))
        check = dg.AssetCheckResult(
            check_name="advice",
            passed=not told,
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(told) or None,
        )
        return dg.MaterializeResult(metadata=_known(catalog, home, told), check_results=[check])

    return schema


def _known(catalog: Mapping[str, Any], home: str, told: Sequence[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {"objects": len(catalog), "home": home}
    if advice := [(sentence,) for sentence in told]:
        shown["advice"] = table(("advice",), advice)
    return shown


def _rejected_asset(activation: Activation, delivered: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return the asset that lists the queue. Without partitions, so that both lanes' jobs end with it."""
    key = dg.AssetKey(["delivery", "rejected"])

    @dg.asset(
        key=key,
        deps=list(delivered),
        group_name="delivery",
        kinds={"duckdb"},
        owners=_owners(activation),
        description=(
            "Operations and single fields a destination rejected and that are still wanted, by reason; tried again "
            "with a new value, a new schema, a changed cause, or after 1, 2, 4 and 8 days, then (parked) every 30. "
            "`cio-activation rejected` lists them."
        ),
        check_specs=[
            dg.AssetCheckSpec(
                "none_parked", asset=key, description="nothing was rejected so often that it is tried rarely"
            )
        ],
    )
    def refused(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.delivery.rejected import summary

        found, without = _read_last(
            activation, context, lambda con: (summary(con), unmatched.summary(con, by_address=False))
        )
        parked = sum(r.parked for r in found)
        check = dg.AssetCheckResult(
            check_name="none_parked",
            passed=parked == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"parked": parked},
        )
        rows = [
            (r.destination, r.step, r.field or "", r.reason, r.operations, r.people, r.parked, str(r.next_try_at or ""))
            for r in found
        ]
        names = ("destination", "step", "field", "reason", "operations", "people", "parked", "next try (UTC)")
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(r.operations for r in found),
            "parked": parked,
            "reasons": table(names, rows),
        }
        return dg.MaterializeResult(metadata={**metadata, **_unmatched(without)}, check_results=[check])

    return refused


def _unmatched(found: Sequence[Unmatched]) -> dict[str, Any]:
    """Return who has no record at a destination and why, as metadata; nothing where everybody has one."""
    shown: dict[str, Any] = {}
    if lost := [(u.destination, u.reason, u.people, u.in_audiences, u.mend) for u in found]:
        shown["unmatched"] = table(("destination", "reason", "people", "in an audience", "mend"), lost)
    return shown


def _conflicts_asset(activation: Activation, delivered: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return the asset that lists values humans changed and that were left as they are. Counts, never values."""

    @dg.asset(
        key=["delivery", "conflicts"],
        deps=list(delivered),
        group_name="delivery",
        kinds={"duckdb"},
        owners=_owners(activation),
        description=(
            "Values under our prefix that somebody changed by hand since our last write, in fields that keep such "
            "changes (`on_conflict: keep`). They stay until our own value changes again and finds them undone. So does "
            "what audits found contested."
        ),
    )
    def kept(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.delivery.ownership import conflicts

        found = _read_last(activation, context, conflicts)
        rows = [(c.destination, c.step, c.field, c.people, str(c.newest)) for c in found]
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(c.people for c in found),
            "fields": table(("destination", "step", "field", "people", "newest (UTC)"), rows),
        }
        return dg.MaterializeResult(metadata=metadata)

    return kept


def _read_last(activation: Activation, context: dg.AssetExecutionContext, query: Callable[[Connection], T]) -> T:
    """Read what a run ends with; if another run of its lane waits, hand the warehouse on to that."""
    warehouse = runtime_of(activation, lane_of(context)).warehouse
    with failures(), warehouse.read() as con:
        found = query(con)
    if is_awaited(context.instance):
        warehouse.reserve_next()
    return found


def _lane_assets(
    activation: Activation,
    lanes: Lanes,
    destination: Destination,
    lane: Lane,
    steps: Sequence[Step],
    decided: Mapping[dg.AssetKey, Lane],
    asking: Sequence[dg.AssetKey],
) -> dg.AssetsDefinition:
    specs = [_spec(activation, destination, step, decided, asking) for step in steps]

    @dg.multi_asset(
        name=f"{destination.name}_{lane}",
        specs=specs,
        check_specs=[
            dg.AssetCheckSpec(
                "accounted",
                asset=spec.key,
                blocking=True,
                description="planned = delivered + rejected + unneeded + held, and no guard held the plan",
            )
            for spec in specs
        ],
        partitions_def=lanes[lane],
        can_subset=True,
    )
    def deliver(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        window = lanes.window(lane, context.partition_key)
        runtime = runtime_of(activation, lane)
        for step, spec in zip(steps, specs, strict=True):
            if spec.key in context.selected_asset_keys:
                time_slice = None
                if lane is Lane.REALTIME:
                    most = inf if step is steps[-1] else MOST_S  # nothing of this destination comes after the last
                    time_slice = TimeSlice(lambda: is_awaited(context.instance), most_s=most)
                with failures(), runtime.warehouse.at_work():
                    report = run_step(runtime, destination, step, window, context.run.run_id, time_slice)
                if time_slice is not None and report.asks_for_next:
                    defer(context, f"{destination.name}/{step.name}")
                yield _result(spec, report)

    return deliver


def asking_keys(activation: Activation, destinations: Sequence[Destination]) -> list[dg.AssetKey]:
    """Return the assets, of both lanes, whose steps ask a human to act, or take that back."""
    return [key for keys in _asking(activation, destinations).values() for key in keys]


def _asking(activation: Activation, destinations: Sequence[Destination]) -> dict[Lane, list[dg.AssetKey]]:
    """Return, for each lane, the assets of all destinations whose steps ask a human to act."""
    found: dict[Lane, list[dg.AssetKey]] = {lane: [] for lane in Lane}
    for destination in destinations:
        steps = destination.steps(activation) if destination.name in activation.destinations else ()
        for step in steps:
            if step.lane is not None and any(kind.creates and not kind.makes_person for kind in step.kinds):
                found[step.lane].append(_key(destination, step.name))
    return found


def _key(destination: Destination, step: str) -> dg.AssetKey:
    return dg.AssetKey([destination.name, *step.split("/")])


def _spec(
    activation: Activation,
    destination: Destination,
    step: Step,
    decided: Mapping[dg.AssetKey, Lane],
    asking: Sequence[dg.AssetKey],
) -> dg.AssetSpec:
    deps: list[dg.AssetDep] = [dg.AssetDep(dg.AssetKey([destination.name, "schema"]))]
    deps += [dg.AssetDep(_key(destination, name)) for name in step.after]
    if isinstance(step, FollowsActions) and step.follows_actions:
        deps += [dg.AssetDep(key) for key in asking]
    for name in step.needs:
        key = dg.AssetKey(name.split("/"))
        deps.append(across_lanes(key) if decided.get(key, step.lane) is not step.lane else dg.AssetDep(key))
    return dg.AssetSpec(
        key=_key(destination, step.name),
        deps=deps,
        description=step.description,
        group_name=destination.name,
        kinds={destination.name},
        owners=_owners(activation),
        tags={LANE_TAG: str(step.lane)},
    )


def _result(spec: dg.AssetSpec, report: StepReport) -> dg.MaterializeResult:
    counts = {n: getattr(report, n) for n in ("planned", "delivered", "rejected", "unneeded", "held", "waiting")}
    metadata = counted(
        **{f"operations/{name}": value for name, value in counts.items()},
        fields_rejected=report.fields_rejected or None,
        people_in_scope=report.people_in_scope,
        **{"operations/deferred": report.deferred or None},
        recovered=report.recovered,
        calls=sum(report.calls.values()),
        throttled=report.throttled,
        over_budget=report.over_budget or None,
        **_budget(report),
        calls_by_operation=dg.MetadataValue.json(dict(report.calls)) if report.calls else None,
        kinds=dg.MetadataValue.json(dict(report.by_kind)) if report.by_kind else None,
        reasons=dg.MetadataValue.json({told(r): n for r, n in report.reasons.items()}) if report.reasons else None,
        guards=dg.MetadataValue.json([v.as_row() for v in report.guards]) if report.guards else None,
        plan=report.plan_id,
        note=report.note,
    )
    check = dg.AssetCheckResult(
        check_name="accounted",
        asset_key=spec.key,
        passed=not report.stopped,
        severity=dg.AssetCheckSeverity.ERROR,
        description=report.note if report.stopped else None,
        metadata=counted(note=report.note, **counts),
    )
    return dg.MaterializeResult(asset_key=spec.key, metadata=metadata, check_results=[check])


def _budget(report: StepReport) -> dict[str, Any]:
    """Return what the plan was to take of the vendor's day, and what this lane has left of it."""
    left = report.budget
    if left is None:
        return {}
    told = {f"budget/{left.unit}_predicted": report.units}
    if isfinite(left.others):
        told[f"budget/{left.unit}_left"] = left.others
    return told


def _owners(activation: Activation) -> list[str]:
    return owners(*(p.owner for p in activation.properties.values()))
