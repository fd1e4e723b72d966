"""Outcome assets: what the deliveries of the last days came to, for people to read."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.outcomes import Outcome
from cio_activation.errors import ConfigError
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import bars, owners, plain, table
from cio_activation.lanes.partitions import LANE_TAG, Lanes, across_lanes
from cio_activation.lanes.runs import runtime_of
from cio_activation.outcome.warning_kinds import MEANING, FoundWarning, Kind
from cio_activation.warehouse.sessions import Connection


def build_assets(
    activation: Activation, lanes: Lanes, delivered: Sequence[dg.AssetsDefinition | dg.AssetSpec]
) -> list[dg.AssetsDefinition]:
    """Return the outcome of what ``delivered``, the destinations' assets, did: they come first."""
    deps = [
        dg.AssetDep(key) if asset.partitions_def == lanes.daily else across_lanes(key)
        for asset in delivered
        if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is not None
        for key in sorted(asset.keys)
    ]

    @_daily(
        "write_volume",
        lanes,
        deps,
        "outcome.write_volume",
        owners(*(p.owner for p in activation.properties.values())),
        description=(
            "Writes per day, destination and audience, of both lanes and the last 30 days (UTC), by the ledger. "
            "The table `outcome.write_volume` has all days."
        ),
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
    measured = any(a.measure is not None for a in activation.audiences.values())
    made = [
        write_volume,
        _match_rates_asset(activation, lanes, deps),
        *([_actions_asset(activation, lanes, deps)] if asking else []),
        *([_audiences_asset(activation, lanes, deps)] if measured else []),
    ]
    return [*made, _warnings_asset(activation, lanes, [dg.AssetDep(key) for asset in made for key in asset.keys])]


def _daily(
    name: str, lanes: Lanes, deps: Sequence[dg.AssetDep], table_name: str, owned_by: Sequence[str], *, description: str
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Return what makes a function the daily asset ``outcome/<name>`` over the table ``table_name``."""
    return dg.asset(
        key=["outcome", name],
        deps=list(deps),
        partitions_def=lanes.daily,
        group_name="outcome",
        kinds={"duckdb"},
        owners=list(owned_by),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=description,
        metadata={"dagster/table_name": table_name},
    )


def _match_rates_asset(activation: Activation, lanes: Lanes, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return ``outcome/match_rates``: how everybody was matched at each destination, and how that moves."""

    @_daily(
        "match_rates",
        lanes,
        deps,
        "outcome.match_rates",
        owners(*(p.owner for p in activation.properties.values())),
        description=(
            "How everybody was matched with the records of each CRM: by our id, by e-mail, by phone, made, or why not. "
            "Each person once; the table `outcome.match_rates` has all windows."
        ),
    )
    def match_rates(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.outcome import match_rates as outcome

        window = lanes.window(Lane.DAILY, context.partition_key)
        with failures(), runtime_of(activation, Lane.DAILY).warehouse.write() as con:
            outcome.update(con, outcome.matched_at(con, list(activation.destinations)), window)
            found = outcome.newest(con)
        shares = outcome.matched_share(found)
        rows = [
            (r.destination, r.window_key, str(r.outcome), outcome.MEANING[r.outcome], r.people, r.in_audiences)
            for r in found
        ]
        metadata: dict[str, Any] = {
            "dagster/row_count": len(found),
            "by_outcome": table(("destination", "window", "outcome", "meaning", "people", "in an audience"), rows),
            "matched": bars({name: {k: round(100 * v) for k, v in one.items()} for name, one in shares.items()}, " %"),
        }
        return dg.MaterializeResult(metadata=metadata)

    return match_rates


def _actions_asset(activation: Activation, lanes: Lanes, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return ``outcome/actions``: what people are asked to do, and what keeps others from being asked for."""

    @_daily(
        "actions",
        lanes,
        deps,
        "delivery.actions",
        owners(*(a.owner for a in activation.audiences.values() if a.touch)),
        description=(
            "What people are asked to do: by audience, by who acts, what came of it, and by which codes others were "
            "withheld in the last 14 days. `cio-activation actions` lists them."
        ),
    )
    def actions(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.outcome import actions as outcome

        as_of = lanes.window(Lane.DAILY, context.partition_key).as_of
        with failures(), runtime_of(activation, Lane.DAILY).warehouse.read() as con:
            audiences, loads = outcome.by_audience(con, as_of), outcome.load(con, as_of)
            withheld, escalated = outcome.withheld_by_code(con, 14), outcome.escalated(con, as_of)
            came = outcome.outcomes(con, as_of)
        states = outcome.STATES
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(sum(counts.values()) for counts in audiences.values()),
            "open": sum(one.open for one in loads),
            "late": sum(one.late for one in loads),
            "escalated": sum(sum(counts.values()) for counts in escalated.values()),
            "by_audience": table(
                ("audience", *states),
                [(name, *(counts.get(s, 0) for s in states)) for name, counts in audiences.items()],
            ),
            "load": bars({"open": {one.owner: one.open for one in loads}}),
            "withheld": bars(withheld),
        }
        if activation.outreach_outcomes is not None:
            said = [one.value for one in Outcome]
            rows: list[list[str | int]] = [[name, *(counts.get(s, 0) for s in said)] for name, counts in came.items()]
            metadata["outcomes"] = table(("audience", *said), rows)
        return dg.MaterializeResult(metadata=metadata)

    return actions


def _audiences_asset(activation: Activation, lanes: Lanes, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return ``outcome/audiences``: what people did after they entered, those held out apart."""

    @_daily(
        "audiences",
        lanes,
        deps,
        "outcome.entries",
        owners(*(a.owner for a in activation.audiences.values() if a.measure is not None)),
        description=(
            "What each measured audience came to, by version: first entries whose span (`measure.within`) is over, "
            "everybody who was let in, those held out apart, and what the difference says."
        ),
    )
    def audiences(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from cio_activation.outcome import audiences as outcome
        from cio_activation.outcome import entries

        as_of = lanes.window(Lane.DAILY, context.partition_key).as_of
        warehouse = runtime_of(activation, Lane.DAILY).warehouse
        with failures():
            with warehouse.write() as con:
                reading = entries.read(con, activation, as_of)
            with warehouse.read() as con:
                found = outcome.outcomes(con)
                verdicts = _verdicts(con, activation, as_of)
        metadata: dict[str, Any] = {
            "dagster/row_count": sum(one.people + one.open for one in found),
            "entries_read": reading.read,
            "entries_closed": reading.closed,
            "outcomes": table(outcome.COLUMNS, [one.shown() for one in found]),
            "verdicts": verdicts,
        }
        return dg.MaterializeResult(metadata=metadata)

    return audiences


def _verdicts(con: Connection, activation: Activation, as_of: datetime) -> Any:
    """Return each audience's verdict as a table; where the statistics are not installed, what to install."""
    from cio_activation.outcome.comparing import compared
    from cio_activation.outcome.lift import judge

    try:
        lifts = judge(compared(con, activation, as_of))
    except ConfigError as error:
        return str(error)
    rows = [(f"{one.audience} v{one.version}", one.verdict.value, one.sentence) for one in lifts]
    return table(("audience", "verdict", "says"), rows)


def _warnings_asset(activation: Activation, lanes: Lanes, deps: Sequence[dg.AssetDep]) -> dg.AssetsDefinition:
    """Return ``outcome/warnings``: what a person should be told of, and one check per kind.

    It comes last, so a failed run does not get here: the sensor ``alert_on_warnings`` looks for itself.
    """
    key = dg.AssetKey(["outcome", "warnings"])

    @dg.asset(
        key=key,
        deps=list(deps),
        partitions_def=lanes.daily,
        group_name="outcome",
        kinds={"duckdb"},
        owners=owners(*(a.owner for a in activation.audiences.values())),
        tags={LANE_TAG: str(Lane.DAILY)},
        description=(
            "What a person should be told of, with the mend; limits are `limits.alerts` of the activation. Stops "
            "nothing. The sensor `alert_on_warnings` tells each when it begins and when it ends."
        ),
        metadata={"dagster/table_name": "outcome.warnings"},
        check_specs=[dg.AssetCheckSpec(kind.value, asset=key, description=plain(MEANING[kind])) for kind in Kind],
    )
    def warnings_now() -> dg.MaterializeResult:
        from cio_activation.outcome import warnings as outcome

        now = datetime.now(UTC).replace(tzinfo=None)
        warehouse = runtime_of(activation, Lane.DAILY).warehouse
        with failures():
            with warehouse.read() as con:
                found = outcome.warnings(con, activation, now)
            with warehouse.write() as con:
                outcome.replace(con, found, now)
        metadata: dict[str, Any] = {
            "dagster/row_count": len(found),
            "warnings": table(
                ("kind", "about", "sentence", "mend"), [(w.kind.value, w.about, w.sentence, w.mend) for w in found]
            ),
        }
        return dg.MaterializeResult(metadata=metadata, check_results=[_warned(kind, found) for kind in Kind])

    return warnings_now


def _warned(kind: Kind, found: Sequence[FoundWarning]) -> dg.AssetCheckResult:
    told = [f"{w.sentence}; {w.mend}" for w in found if w.kind is kind]
    return dg.AssetCheckResult(
        check_name=kind.value,
        passed=not told,
        severity=dg.AssetCheckSeverity.WARN,
        description=". ".join(told) or None,
    )


def report_asset(activation: Activation, assets: Sequence[dg.AssetsDefinition]) -> dg.AssetsDefinition:
    """Return ``outcome/report``, which reads what all of ``assets`` left.

    It is in no lane's job: drawing takes seconds, and a window does not wait for it. ``automation.reporting`` asks for
    it every morning.
    """

    @dg.asset(
        key=["outcome", "report"],
        deps=sorted({key for asset in assets for key in asset.keys}),
        group_name="outcome",
        kinds={"html"},
        owners=owners(*(a.owner for a in activation.audiences.values())),
        description=(
            "The report as one HTML file in the home: lanes, audiences, deliveries and what they brought. "
            "`cio-activation report` writes the same."
        ),
    )
    def report() -> dg.MaterializeResult:
        from cio_activation.outcome.report.build import write

        with failures():
            written = write(runtime_of(activation))
        return dg.MaterializeResult(
            metadata={
                "report": dg.MetadataValue.path(str(written.path)),
                "as_of": str(written.as_of),
                "bytes": written.bytes,
            }
        )

    return report
