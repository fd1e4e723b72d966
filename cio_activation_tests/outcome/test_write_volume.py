"""Writes per day, destination and audience: each write once under each audience it moved somebody into or out of."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from cio_activation.lanes.partitions import Lanes
from cio_activation.outcome.assets import build_assets
from cio_activation.outcome.volume import by_day, write_volume
from cio_activation_tests.drivers.pipedrive import Make
from cio_activation_tests.drivers.pipedrive import make as make


def test_one_field_of_audiences_is_told_apart_by_what_moved(make: Make) -> None:
    bench = make(names=("bucket",))
    bench.schema()
    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="low")
    bench.person("c2", "bob@example.com", name="Bob Ray", bucket="low")
    bench.inside["vip"] = {"c1"}
    bench.lane()  # Ann enters, Bob's fields only
    bench.inside["vip"], bench.inside["cart"] = {"c2"}, {"c1"}
    bench.lane()  # Ann changes places, Bob enters
    with bench.runtime.warehouse.read() as con:
        found = write_volume(con)
    assert {(v.audience, v.delivered, v.people) for v in found} == {
        ("vip", 3, 2), ("cart", 1, 1), ("(fields only)", 1, 1)
    }  # fmt: skip
    today = date.fromisoformat(bench.query("SELECT max(ended_at)::DATE::VARCHAR FROM delivery.ledger")[0][0])
    assert by_day(found) == {"pipedrive": {today.isoformat(): 5}}


def test_the_asset_shows_it_as_a_table_and_a_plot(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make()
    bench.schema()
    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="low")
    bench.inside["vip"] = {"c1"}
    bench.lane()
    monkeypatch.setenv("ACTIVATION_HOME", str(bench.home))
    asset, *_ = build_assets(bench.activation, Lanes.of(bench.activation), [])
    result = dg.materialize([asset], partition_key="2026-11-02")
    shown = result.asset_materializations_for_node("outcome__write_volume")[0].metadata
    assert shown["writes"].value == 1
    assert [r.data["audience"] for r in shown["by_audience"].value.records] == ["vip"]
    assert str(shown["by_day"].value).startswith("![pipedrive: 20")
