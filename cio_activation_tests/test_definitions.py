"""The code location as Dagster loads it: which assets there are, in which lane, and how lineage runs."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from cio_activation.activation.loader import load_activation
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.definitions import build_definitions, defs
from cio_activation.destinations import DESTINATIONS
from cio_activation.errors import ConfigError
from cio_activation.lanes.partitions import LANE_TAG


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(load_activation(DEFAULT_ACTIVATION, DESTINATIONS))


def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {s.key.to_user_string(): s for s in definitions.resolve_all_asset_specs()}


def test_the_location_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert {j.name for j in definitions.resolve_all_job_defs()} >= {"daily", "realtime"}


def test_every_room_has_its_group_and_every_asset_says_who_owns_it_and_what_it_is(definitions: dg.Definitions) -> None:
    found = specs(definitions)
    groups = {s.group_name for s in found.values()}
    assert {"customerio", "identity", "state", "audience", "hubspot", "pipedrive"} <= groups
    for name, spec in found.items():
        assert spec.owners, name
        assert spec.description, name
        assert spec.kinds, name


def test_lineage_reads_from_segment_to_list(definitions: dg.Definitions) -> None:
    found = specs(definitions)
    audience = {d.asset_key.to_user_string() for d in found["audience/vip_churn_risk"].deps}
    assert {"customerio/segment_6", "customerio/segments", "state/daily_properties"} <= audience
    assert "audience/vip_churn_risk" in {
        d.asset_key.to_user_string() for d in found["hubspot/list/vip_churn_risk"].deps
    }


def test_two_audiences_may_have_one_segment(tmp_path: Path) -> None:
    """``check`` advises against it; it is no mistake."""
    path = tmp_path / "activation.yaml"
    path.write_text(DEFAULT_ACTIVATION.read_text().replace("segment: 9\n", "segment: 6\n"))
    found = specs(build_definitions(load_activation(path, DESTINATIONS)))
    assert "the audiences vip_churn_risk, asked_where_is_my_order" in str(found["customerio/segment_6"].description)


def test_each_asset_is_in_the_job_of_its_lane_and_in_no_other(definitions: dg.Definitions) -> None:
    selected = {
        lane: {k.to_user_string() for k in definitions.resolve_job_def(lane).asset_layer.executable_asset_keys}
        for lane in ("daily", "realtime")
    }
    for name, spec in specs(definitions).items():
        lane = spec.tags.get(LANE_TAG)
        if lane:
            assert name in selected[lane], name
            assert name not in selected["realtime" if lane == "daily" else "daily"], name


def test_the_location_is_built_again_when_the_file_says_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forked run uses what the warm process built, but only for the very same text."""
    path = tmp_path / "activation.yaml"
    path.write_text(DEFAULT_ACTIVATION.read_text())
    monkeypatch.setenv("ACTIVATION_FILE", str(path))
    first = defs()
    assert defs() is first
    path.write_text(DEFAULT_ACTIVATION.read_text().replace("cart_value_tier", "cart_size_tier"))
    second = defs()
    assert "cart_size_tier" in str(specs(second)["state/realtime_properties"].metadata)
    assert "cart_size_tier" not in str(specs(first)["state/realtime_properties"].metadata)
    path.unlink()
    with pytest.raises(ConfigError, match=r"activation\.yaml"):
        defs()
    path.write_text(DEFAULT_ACTIVATION.read_text())
    assert specs(defs()).keys() == specs(first).keys()


def test_no_description_begins_with_marks_that_lists_show_as_they_are(definitions: dg.Definitions) -> None:
    begins = {name: (spec.description or "").partition("\n")[0] for name, spec in specs(definitions).items()}
    for asset in definitions.assets or ():
        for check in getattr(asset, "check_specs", ()):
            begins[check.key.to_user_string()] = (check.description or "").partition("\n")[0]
    assert len(begins) > 60
    assert {name: text for name, text in begins.items() if "`" in text or "**" in text or "](" in text} == {}
