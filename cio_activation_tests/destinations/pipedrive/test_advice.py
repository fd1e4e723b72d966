"""The check ``advice`` of the schema asset warns of what a person should know, with its reason, and stops nothing."""

from __future__ import annotations

import dagster as dg
import pytest

from cio_activation.delivery.assets import build_assets
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.lanes.partitions import Lanes
from cio_activation_tests.drivers.pipedrive import PipedriveBench


def test_an_address_that_differs_is_a_warning_of_the_schema_asset(
    bench: PipedriveBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(bench.home))
    for name, value in bench.stand_in.settings.items():
        monkeypatch.setenv(name.upper(), str(value))
    assets = build_assets(bench.activation, Lanes.of(bench.activation), [DESTINATION], {})
    key = dg.AssetKey(["pipedrive", "schema"])
    [schema] = [a for a in assets if isinstance(a, dg.AssetsDefinition) and key in a.keys]

    def check() -> tuple[bool, str]:
        [found] = dg.materialize([schema]).get_asset_check_evaluations()
        return found.passed, found.description or ""

    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="low")
    bench.lane()
    assert check() == (True, "")
    bench.person("c1", "ann.lee@example.com", name="Ann Lee", bucket="low")
    bench.lane()
    passed, told = check()
    assert not passed
    assert "1 person has another e-mail address in Pipedrive than in Customer.io: c1." in told
