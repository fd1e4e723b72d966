"""Extract assets: the daily people export, the lanes' segments, webhooks' moments, and what changed meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio.limits import customerio_pacer
from cio_activation.customerio.workspace import require_workspace
from cio_activation.journal.attempts import Journal
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import metadata_of, owners
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import defer, is_awaited, note_fingerprints, runtime_of
from cio_activation.runtime import Runtime
from cio_activation.transport.http import Pacer
from cio_activation.transport.time_slice import TimeSlice
from cio_activation.warehouse.tables import FILES_SET_ASIDE

LAST_GOOD = "last_good"
"""Name of the check of values that are older than their rows."""
MOMENTS_KEY = dg.AssetKey(["customerio", "moments"])
"""The asset that audiences depend on which read moments."""
UNCHANGED = "unchanged"
"""Name of the check of segments' names, conditions and sizes: its result is there before an audience is decided."""


class PullConfig(dg.Config):
    """Run configuration of the daily extract."""

    refresh: bool = False
    """Take a new snapshot even if this window already has one; without it a re-run uses that one."""


def segment_key(segment: int) -> dg.AssetKey:
    """Return the key of the external asset that stands for a Customer.io segment."""
    return dg.AssetKey(["customerio", f"segment_{segment}"])


def _segment_keys(activation: Activation, lane: Lane) -> list[dg.AssetKey]:
    """Return the keys of the segments that the lane's audiences come from, each once."""
    return [segment_key(s) for s in activation.segments(lane)]


def _segment_spec(segment: int, audiences: Sequence[Audience]) -> dg.AssetSpec:
    names = ", ".join(f"`{a.name}`" for a in audiences)
    told = f"audience {names}" if len(audiences) == 1 else f"the audiences {names}"
    return dg.AssetSpec(
        segment_key(segment),
        description=f"Customer.io segment {segment}, the only source of {told}.",
        group_name="customerio",
        kinds={"customerio"},
        owners=owners(*(a.owner for a in audiences)),
    )


def build_assets(activation: Activation, lanes: Lanes) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the extract assets, and an external asset for every source segment so that lineage starts there."""
    everyone = owners(*(p.owner for p in activation.properties.values()))
    common: dict[str, Any] = {"group_name": "customerio", "kinds": {"customerio", "duckdb"}, "owners": everyone}
    daily = {"partitions_def": lanes.daily, "tags": {LANE_TAG: "daily"}, **common}
    realtime = {
        "partitions_def": lanes.realtime,
        "tags": {LANE_TAG: "realtime"},
        **common,
    }
    sourced: dict[int, list[Audience]] = {}
    for a in activation.audiences.values():
        if a.segment is not None:
            sourced.setdefault(a.segment, []).append(a)
    specs = [_segment_spec(segment, audiences) for segment, audiences in sourced.items()]

    @dg.asset(
        key=["customerio", "people"],
        description="Everybody with the declared attributes, by export; one raw file per day.",
        check_specs=[
            _check("people", "raw", "rows fit the declared types; what does not is in quarantine"),
            _last_good("people", activation),
        ],
        **daily,
    )
    def people(context: dg.AssetExecutionContext, config: PullConfig) -> dg.MaterializeResult:
        from cio_activation.customerio.people import pull_people

        return _pull(
            activation,
            lanes,
            context,
            Lane.DAILY,
            "people",
            lambda r, w, p, run: pull_people(r, w, p, config.refresh, run_id=run),
        )

    @dg.asset(
        key=["customerio", "segments"],
        # After the people: theirs is the check that this is still the same workspace.
        deps=[people, *_segment_keys(activation, Lane.DAILY)],
        description="Members of the daily audiences' source segments.",
        check_specs=[
            _check("segments", "raw", "every segment was finished and its count agreed"),
            _unchanged_spec("segments"),
        ],
        **daily,
    )
    def segments(context: dg.AssetExecutionContext, config: PullConfig) -> dg.MaterializeResult:
        from cio_activation.customerio.segments import pull_segments

        return _pull(
            activation,
            lanes,
            context,
            Lane.DAILY,
            "segments",
            lambda r, w, p, run: pull_segments(r, w, p, config.refresh, run_id=run),
        )

    @dg.asset(
        key=MOMENTS_KEY,
        description="What webhooks brought, each event once and dated by itself; whom it was about is fetched next.",
        check_specs=[_check("moments", "raw", "every event could be read and names somebody")],
        **realtime,
    )
    def moments(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.customerio.moments import pull_moments

        return _pull(activation, lanes, context, Lane.REALTIME, "moments", lambda r, w, _p, _run: pull_moments(r, w))

    @dg.asset(
        key=["customerio", "segments_live"],
        deps=[moments, *_segment_keys(activation, Lane.REALTIME)],
        description="Members of the real-time audiences' segments, and attributes of the people who changed.",
        check_specs=[
            _check("segments_live", "raw", "every segment was finished and its count agreed"),
            _unchanged_spec("segments_live"),
            _last_good("segments_live", activation),
        ],
        **realtime,
    )
    def segments_live(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.customerio.live import pull_live

        # A cart can grow while its owner stays in the segment, so members are looked at again once a window.
        stale = activation.workspace.realtime_window
        time_slice = TimeSlice(lambda: is_awaited(context.instance))
        return _pull(
            activation,
            lanes,
            context,
            Lane.REALTIME,
            "segments_live",
            lambda r, w, p, run: pull_live(r, w, p, older_than=stale, run_id=run, time_slice=time_slice),
        )

    return [*specs, people, segments, moments, segments_live]


def _pull(
    activation: Activation,
    lanes: Lanes,
    context: dg.AssetExecutionContext,
    lane: Lane,
    name: str,
    use_case: Callable[[Runtime, Window, Pacer, str], Any],
) -> dg.MaterializeResult:
    runtime = runtime_of(activation, lane)
    journal = Journal(runtime.settings.journal)
    try:
        with failures(), runtime.warehouse.at_work():
            window = lanes.window(lane, context.partition_key)
            require_workspace(runtime, customerio_pacer(journal, lane))
            result = use_case(runtime, window, customerio_pacer(journal, lane), context.run.run_id)
    finally:
        journal.close()
    for reason in getattr(result, "set_aside", ()):
        context.log.warning(f"{reason}: the file is set aside ({FILES_SET_ASIDE}), and another one was asked for")
    if getattr(result, "defers", False):
        defer(context, f"customerio/{name}")
    if fingerprints := getattr(result, "fingerprints", None):
        note_fingerprints(context, fingerprints)
    found = metadata_of(result)
    rows = None if getattr(result, "superseded", False) else getattr(result, "rows", None)
    clean = not any(getattr(result, name, None) for name in ("quarantined", "retained", "set_aside"))
    checks = list(_checked(name, clean, found))
    if hasattr(result, "stale_overdue"):
        checks.append(_still_good(name, result))
    if hasattr(result, "segment_changes"):
        checks.append(_unchanged(name, result.segment_changes))
    return dg.MaterializeResult(
        metadata=found | ({"dagster/row_count": rows} if rows is not None else {}),
        check_results=checks,
    )


def _check(name: str, check: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(check, asset=dg.AssetKey(["customerio", name]), blocking=True, description=description)


def _unchanged_spec(name: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        UNCHANGED,
        asset=dg.AssetKey(["customerio", name]),
        description="no segment was renamed, got other conditions, or another size beyond limits.alerts",
    )


def _unchanged(name: str, changes: Sequence[str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=UNCHANGED,
        asset_key=dg.AssetKey(["customerio", name]),
        passed=not changes,
        severity=dg.AssetCheckSeverity.WARN,
        description=". ".join(changes) or None,
    )


def _last_good(name: str, activation: Activation) -> dg.AssetCheckSpec:
    span = format_duration(activation.workspace.last_good_for)
    return dg.AssetCheckSpec(
        LAST_GOOD,
        asset=dg.AssetKey(["customerio", name]),
        description=f"no value has stood at its last good one for more than {span}, because what came since "
        "cannot be read",
    )


def _still_good(name: str, result: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=LAST_GOOD,
        asset_key=dg.AssetKey(["customerio", name]),
        passed=not result.stale_overdue,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"stale_values": result.stale_values, "stale_overdue": result.stale_overdue},
    )


def _checked(name: str, clean: bool, found: dict[str, Any]) -> Iterator[dg.AssetCheckResult]:
    """What was quarantined, set aside or retained is a warning: the published table is sound, the rest is listed."""
    yield dg.AssetCheckResult(
        check_name="raw",
        asset_key=dg.AssetKey(["customerio", name]),
        passed=clean,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={k: v for k, v in found.items() if k in ("quarantined", "retained", "set_aside")},
    )
