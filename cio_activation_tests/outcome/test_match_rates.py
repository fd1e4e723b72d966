"""How people were matched: everybody under one outcome, newest window last written, as a table and a trend."""

from __future__ import annotations

import dagster as dg
import pytest

from cio_activation.lanes.partitions import Lanes
from cio_activation.outcome.assets import build_assets
from cio_activation.outcome.match_rates import newest, update
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.pipedrive import Make
from cio_activation_tests.drivers.pipedrive import make as make


def test_everybody_is_counted_under_one_outcome_and_an_older_window_changes_nothing(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make(names=("bucket",))
    bench.schema()
    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="low")
    bench.person("c2", "bob@example.com", name="Bob Ray", bucket="low")
    bench.person("c3", "new@example.com", name="New One", bucket="low")
    bench.person("c4", "else@example.com", name="No Audience", bucket="low")
    bench.person("c5", None, name="No Address", deliverable=False, bucket="low")
    bench.inside["vip"] = {"c1", "c3"}
    bench.lane()
    bench.edit("delete_person", person=bench.there["bob@example.com"]["id"])
    # A whole walk calls nobody gone who may have changed in the second in which it began: times there are whole seconds.
    bench.shared.clock.advance(2)
    with bench.runtime.warehouse.write() as con:
        con.execute("DELETE FROM delivery.pipedrive_mirror_state")  # a whole walk sees the deletion
    bench.lane()
    monkeypatch.setenv("ACTIVATION_HOME", str(bench.home))
    assets = build_assets(bench.activation, Lanes.of(bench.activation), [])
    asset = next(a for a in assets if a.key.path[-1] == "match_rates")
    result = dg.materialize([asset], partition_key="2026-11-02")
    shown = result.asset_materializations_for_node("outcome__match_rates")[0].metadata
    rows = [(r.data["outcome"], r.data["people"], r.data["in an audience"]) for r in shown["by_outcome"].value.records]
    assert rows == [
        ("email", 1, 1), ("created", 1, 1), ("no_identifier", 1, 0), ("gone", 1, 0), ("not_found", 1, 0),
    ]  # fmt: skip
    assert str(shown["matched"].value).startswith("![pipedrive: 2026-11-02 20 %")
    with bench.runtime.warehouse.write() as con:
        assert update(con, ["pipedrive"], window(1)) is False
        assert {one.window_key for one in newest(con)} == {"2026-11-02"}
