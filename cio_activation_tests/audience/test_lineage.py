"""An audience's lineage in the asset graph: what its gate reads, however the gate is written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.life_cycle import Launch
from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.moment_source import MomentSource
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.audience.assets import build_assets
from cio_activation.destinations import DESTINATIONS
from cio_activation.lanes.partitions import Lanes

NAME = "high_intent_cart"


def deps_of(**changes: Any) -> set[dg.AssetKey]:
    """Return what an audience with these changes depends on."""
    loaded = load_activation(DEFAULT_ACTIVATION, DESTINATIONS)
    audience = loaded.audiences[NAME].model_copy(update=changes)
    activation = loaded.model_copy(update={"audiences": {**loaded.audiences, NAME: audience}})
    assets = build_assets(activation, Lanes.of(activation), {lane: [] for lane in Lane})
    specs = {spec.key: spec for asset in assets for spec in asset.specs}
    return {dep.asset_key for dep in specs[dg.AssetKey(["audience", NAME])].deps}


def reads_daily_state(gate: str | None, **more: Any) -> bool:
    """Tell whether a real-time audience with this gate depends on the daily lane's properties."""
    return dg.AssetKey(["state", "daily_properties"]) in deps_of(gate=gate, **more)


def test_the_audience_is_of_the_real_time_lane() -> None:
    assert load_activation(DEFAULT_ACTIVATION, DESTINATIONS).audiences[NAME].lane is Lane.REALTIME


@pytest.mark.parametrize(
    "gate", ["ltv_tier IN ('gold')", "LTV_TIER IN ('gold')", "cart_value > 1 AND \"ltv_tier\" = 'gold'"]
)
def test_a_gate_over_a_daily_property_depends_on_the_daily_state(gate: str) -> None:
    assert reads_daily_state(gate)


@pytest.mark.parametrize("gate", [None, "cart_value >= 200", "last_product = 'ltv_tier'"])
def test_a_gate_that_only_mentions_its_name_or_reads_nothing_daily_does_not(gate: str | None) -> None:
    assert not reads_daily_state(gate)


@pytest.mark.parametrize(
    "rule",
    [{"hold_while": "vip"}, {"launch": Launch(only="ltv_tier = 'gold'")}, {"rank": "cart_value DESC, ltv_tier DESC"}],
    ids=lambda rule: next(iter(rule)),
)
def test_so_do_the_other_rules_of_an_audience_with_a_human_act(rule: dict[str, Any]) -> None:
    assert reads_daily_state(None, touch=True, **rule)
    assert not reads_daily_state(None, touch=True)


@pytest.mark.parametrize("lane", list(Lane))
def test_an_audience_that_asks_for_moments_or_starts_from_one_depends_on_them(lane: Lane) -> None:
    segment, came = dg.AssetKey(["customerio", "segment_2"]), dg.AssetKey(["customerio", "moments"])
    gate = "happened('clicked', within 1d)"
    assert {segment, came} & deps_of(gate=None, lane=lane, segment=2) == {segment}
    assert {segment, came} & deps_of(gate=gate, lane=lane, segment=2) == {segment, came}
    source = MomentSource(name="asked")
    assert {segment, came} & deps_of(segment=None, moment=source, expires_after=timedelta(days=1)) == {came}
