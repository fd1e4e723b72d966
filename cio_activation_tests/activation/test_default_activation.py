"""The activation that comes with the package, and the schema that editors read."""

import json
from typing import Any

import jsonschema_rs
import pytest
from ruamel.yaml import YAML

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.schema import SCHEMA_FILE, activation_schema, schema_text
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.destinations import DESTINATIONS


@pytest.fixture(scope="module")
def activation() -> Activation:
    return load_activation(DEFAULT_ACTIVATION, DESTINATIONS)


def test_there_is_one_audience_per_job(activation: Activation) -> None:
    lanes = {audience.segment: audience.lane for audience in activation.audiences.values()}
    assert sorted(lanes) == list(range(1, 10))
    assert {segment for segment, lane in lanes.items() if lane is Lane.REALTIME} == {1, 2, 7}


def test_labels_read_as_instructions(activation: Activation) -> None:
    for audience in activation.audiences.values():
        job, who, what = audience.label.split(" - ")
        assert job == "RET"
        assert who
        assert what
        assert audience.description


def test_pipedrive_gets_few_fields_and_hubspot_all(activation: Activation) -> None:
    few = {p.name for p in activation.properties.values() if "pipedrive" in p.deliver}
    assert few == {
        "lapse_bucket",
        "ltv_tier",
        "reorder_window",
        "churn_risk",
        "cart_value_tier",
        "winback_status",
    }
    assert all("hubspot" in p.deliver for p in activation.properties.values())


def test_nobody_stays_flagged_for_a_human_for_ever(activation: Activation) -> None:
    flagged = activation.lane_audiences(Lane.DAILY, "pipedrive") + activation.lane_audiences(Lane.REALTIME, "pipedrive")
    assert len(flagged) == 5
    assert all(audience.expires_after is not None for audience in flagged)


def document() -> Any:
    return YAML(typ="safe", pure=True).load(DEFAULT_ACTIVATION.read_text(encoding="utf-8"))


def test_the_committed_schema_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "write schema_text() to activation.schema.json"


def test_the_default_activation_fits_the_schema() -> None:
    errors = jsonschema_rs.validator_for(activation_schema()).iter_errors(document())
    assert [error.message for error in errors] == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"audience": {}},
        {"workspace": {"realtime_window": "15 minutes"}},
        {"attributes": {"Last Order": {"type": "text"}}},
        {"attributes": {"x": {"type": "txt"}}},
        {"properties": {"x": {"flag": "a", "lane": "daily", "owner": "a@example.com", "min_dwell": "30 minutes"}}},
    ],
)
def test_the_schema_shows_mistakes_in_an_editor(mistake: dict[str, Any]) -> None:
    assert not jsonschema_rs.validator_for(activation_schema()).is_valid(document() | mistake)


def test_the_schema_writes_defaults_as_the_file_would() -> None:
    text = json.dumps(activation_schema())
    assert '"default": "15m"' in text
    assert "PT" not in text.replace("PTY", "")
