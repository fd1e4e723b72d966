"""The assets ``delivery/rejected`` and ``delivery/conflicts``: in both jobs, with counts and a warning, no people."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest

from cio_activation.activation.models import Activation
from cio_activation.delivery.assets import build_assets
from cio_activation.delivery.destination import Context
from cio_activation.lanes.partitions import LANE_TAG, Lanes
from cio_activation.warehouse.sessions import Connection
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.listing import ListBench, ToyList
from cio_activation_tests.drivers.toy import ToyDestination

REJECTED, CONFLICTS = dg.AssetKey(["delivery", "rejected"]), dg.AssetKey(["delivery", "conflicts"])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ListBench:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    return ListBench(tmp_path)


def listings(activation: Activation) -> list[dg.AssetsDefinition]:
    built = build_assets(activation, Lanes.of(activation), (ToyDestination(),), {})
    assets = [a for a in built if isinstance(a, dg.AssetsDefinition)]
    return [a for a in assets if a.keys & {REJECTED, CONFLICTS}]


def materialize(bench: ListBench) -> dg.ExecuteInProcessResult:
    return dg.materialize(listings(bench.runtime.activation), raise_on_error=True)


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, object]:
    found = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    return {k: v.value for k, v in found[0].materialization.metadata.items()}


def refuse(bench: ListBench, next_try: str, attempts: int = 1) -> None:
    bench.sql(
        f"""INSERT INTO delivery.rejected (operation_id, destination, step, reason, cio_id, attempts, next_try_at)
        SELECT 'o' || i, 'toy', 'list/vip', '400 BAD', 'p' || i, {attempts}, {next_try} FROM range(3) AS t(i)"""
    )


def test_an_empty_queue_passes_its_check(bench: ListBench) -> None:
    result = materialize(bench)
    assert metadata(result, REJECTED)["dagster/row_count"] == 0
    assert [e.passed for e in result.get_asset_check_evaluations()] == [True]


def test_refused_operations_are_counted_by_reason_without_their_people(bench: ListBench) -> None:
    refuse(bench, "TIMESTAMP '2026-11-05 00:00:00'")
    result = materialize(bench)
    found = metadata(result, REJECTED)
    assert (found["dagster/row_count"], found["parked"]) == (3, 0)
    reasons = found["reasons"]
    assert isinstance(reasons, dg.TableMetadataValue)
    assert reasons.records[0].data == {
        "destination": "toy", "step": "list/vip", "field": "", "reason": "400 BAD", "operations": 3, "people": 3,
        "parked": 0,
        "next try (UTC)": "2026-11-05 00:00:00",
    }  # fmt: skip
    assert [e.passed for e in result.get_asset_check_evaluations()] == [True]
    assert "p1" not in str(found)


def test_a_parked_operation_warns_and_does_not_fail_the_run(bench: ListBench) -> None:
    refuse(bench, "TIMESTAMP '2026-12-05 00:00:00'", attempts=5)
    result = materialize(bench)
    check = result.get_asset_check_evaluations()[0]
    assert result.success
    assert (check.passed, check.severity, check.check_name) == (False, dg.AssetCheckSeverity.WARN, "none_parked")
    assert check.metadata["parked"].value == 3


def test_conflicts_are_counted_by_field_and_never_shown(bench: ListBench) -> None:
    bench.sql(
        """INSERT INTO delivery.conflicts (destination, step, cio_id, field, ours, theirs, found_at) VALUES
        ('toy', 'people_daily', 'p1', 'tier', 'high', 'secret words', TIMESTAMP '2026-11-05 00:00:00'),
        ('toy', 'people_daily', 'p2', 'tier', 'high', 'more words', TIMESTAMP '2026-11-06 00:00:00')"""
    )
    found = metadata(materialize(bench), CONFLICTS)
    assert found["dagster/row_count"] == 2
    fields = found["fields"]
    assert isinstance(fields, dg.TableMetadataValue)
    assert fields.records[0].data == {
        "destination": "toy", "step": "people_daily", "field": "tier", "people": 2,
        "newest (UTC)": "2026-11-06 00:00:00",
    }  # fmt: skip
    assert "words" not in str(found)


def test_both_are_in_both_jobs_and_come_last() -> None:
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import DEFAULT_ACTIVATION
    from cio_activation.definitions import build_definitions
    from cio_activation.destinations import DESTINATIONS

    definitions = build_definitions(load_activation(DEFAULT_ACTIVATION, DESTINATIONS))
    for lane in ("daily", "realtime"):
        assert {REJECTED, CONFLICTS} <= set(definitions.resolve_job_def(lane).asset_layer.executable_asset_keys)
    specs = {s.key: s for s in definitions.resolve_all_asset_specs()}
    # An audit reads back what the deliveries wrote: it comes after them, in a job of its own.
    steps = {k for k, s in specs.items() if s.group_name in ("hubspot", "pipedrive") and k.path[-1] != "audit"}
    steps |= {dg.AssetKey(["customerio", n]) for n in ("schema", "outreach_flags_daily", "outreach_flags_realtime")}
    assert {d.asset_key for d in specs[REJECTED].deps} == steps


def test_a_held_plan_fails_its_check_and_the_run_and_lets_the_other_steps_work(
    bench: ListBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Quiet(ToyList):
        name = "list/quiet"

        def plan(self, con: Connection, context: Context) -> str | None:  # type: ignore[override]
            return None

    bench.members(range(50))
    bench.run()
    bench.members(range(10))
    monkeypatch.setattr(bench.toy, "steps", lambda activation: [ToyList(), Quiet()])
    activation = bench.runtime.activation
    result = dg.materialize(
        build_assets(activation, Lanes.of(activation), (bench.toy,), {}),
        partition_key=builders.window(2).key, raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip
    assert not result.success
    checks = {e.asset_key.to_user_string(): e for e in result.get_asset_check_evaluations()}
    assert "40 people leave audience vip" in (checks["toy/list/vip"].description or "")
    assert not checks["toy/list/vip"].passed
    assert checks["toy/list/quiet"].passed
    assert bench.there == set(range(50))


@pytest.mark.parametrize(("lane", "awaited"), [("realtime", True), ("realtime", False), ("daily", True)])
def test_a_real_time_run_ends_by_handing_the_warehouse_on_if_another_one_waits(
    bench: ListBench, lane: str, awaited: bool
) -> None:
    stamp = Path(f"{bench.runtime.warehouse.path}.urgent")
    with dg.DagsterInstance.ephemeral() as instance:
        if awaited:
            instance.create_run_for_job(waiting, status=dg.DagsterRunStatus.NOT_STARTED, tags={LANE_TAG: "realtime"})
        dg.materialize(listings(bench.runtime.activation), instance=instance, tags={LANE_TAG: lane})
    assert stamp.exists() is (lane == "realtime")
    if lane == "realtime":
        assert (stamp.stat().st_mtime > time.time() + 1) is awaited


@dg.op
def works() -> None:
    """Stand in for the lane's assets."""


@dg.job
def waiting() -> None:
    works()
