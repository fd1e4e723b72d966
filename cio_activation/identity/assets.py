"""Identity assets: who a profile is to a CRM, and who stands in the way of whom."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation, Lane
from cio_activation.lanes.failures import failures
from cio_activation.lanes.metadata import columns, metadata_of, owners
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.lanes.runs import runtime_of

AGREES = "agrees"
"""Name of the check that resolving few gives what resolving everybody does."""
_PERSONS = columns(
    [
        ("cio_id", "VARCHAR", "Customer.io's own immutable key; the key everywhere"),
        ("external_id", "VARCHAR", "the shop's customer id, as Customer.io holds it"),
        ("email", "VARCHAR", "trimmed, Unicode NFC, lower case; NULL if it is no e-mail address"),
        ("phone", "VARCHAR", "E.164, NULL if it cannot be one"),
        ("email_owner", "BOOLEAN", "of all people with this e-mail, the one that may use it as a match key"),
        ("phone_owner", "BOOLEAN", "nobody else has this phone, and match.phone makes it a match key"),
        ("deliverable", "BOOLEAN", "owns a key a CRM record could be made with"),
        ("undeliverable_reason", "VARCHAR", "why not, if not"),
    ]
)


def build_assets(activation: Activation, lanes: Lanes) -> list[dg.AssetsDefinition]:
    """Return ``identity/persons`` with ``identity/key_clashes`` (daily) and ``identity/persons_live`` (real-time)."""
    everyone = owners(*(p.owner for p in activation.properties.values()))
    common: dict[str, Any] = {"group_name": "identity", "kinds": {"duckdb"}, "owners": everyone}
    persons = dg.AssetSpec(
        ["identity", "persons"],
        deps=[dg.AssetKey(["customerio", "people"])],
        description="Normalized match keys, one canonical owner each.",
        metadata={"dagster/column_schema": _PERSONS, "dagster/table_name": "identity.persons"},
        tags={LANE_TAG: "daily"},
        **common,
    )
    key_clashes = dg.AssetSpec(
        ["identity", "key_clashes"],
        deps=[dg.AssetKey(["customerio", "people"])],
        description="People who share a match key with its owner, and why they lost; their values are hashed.",
        tags={LANE_TAG: "daily"},
        **common,
    )
    live = dg.AssetSpec(
        ["identity", "persons_live"],
        deps=[dg.AssetKey(["customerio", "segments_live"])],
        description="The same table, brought up to the people the real-time lane fetched.",
        tags={LANE_TAG: "realtime"},
        **common,
    )

    def resolve_window(context: dg.AssetExecutionContext, lane: Lane) -> tuple[dict[str, Any], bool]:
        from cio_activation.identity.resolve import resolve

        with failures():
            result = resolve(
                runtime_of(activation, lane), lanes.window(lane, context.partition_key), context.run.run_id
            )
        return metadata_of(result), not result.quarantined

    @dg.multi_asset(
        name="identity_daily",
        specs=[persons, key_clashes],
        partitions_def=lanes.daily,
        check_specs=[_check(persons), _agrees(persons)],
    )
    def identity_daily(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        found, clean = resolve_window(context, Lane.DAILY)
        missed = found.get("missed", 0)
        agrees = dg.AssetCheckResult(
            check_name=AGREES,
            asset_key=persons.key,
            passed=not missed,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"missed": missed},
        )
        yield dg.MaterializeResult(
            asset_key=persons.key, metadata=found, check_results=[_checked(persons, clean, found), agrees]
        )
        yield dg.MaterializeResult(asset_key=key_clashes.key, metadata={"key_clashes": found.get("key_clashes", 0)})

    @dg.multi_asset(name="identity_realtime", specs=[live], partitions_def=lanes.realtime, check_specs=[_check(live)])
    def identity_realtime(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        found, clean = resolve_window(context, Lane.REALTIME)
        yield dg.MaterializeResult(asset_key=live.key, metadata=found, check_results=[_checked(live, clean, found)])

    return [identity_daily, identity_realtime]


def _check(spec: dg.AssetSpec) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        "identity", asset=spec.key, blocking=True, description="e-mails and phones are what they claim to be"
    )


def _agrees(spec: dg.AssetSpec) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        AGREES,
        asset=spec.key,
        description="whom changes touched gives what resolving everybody gives; compared every four weeks, and mended",
    )


def _checked(spec: dg.AssetSpec, clean: bool, found: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="identity",
        asset_key=spec.key,
        passed=clean,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={k: v for k, v in found.items() if k == "quarantined"},
    )
