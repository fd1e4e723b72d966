"""The small parts: values, reasons, options, what the destination declares."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from cio_activation.activation.models import Lane, PropertyType
from cio_activation.destinations.hubspot import DESTINATION, errors
from cio_activation.destinations.hubspot.config import HubSpotAudience, HubSpotSettings, list_name, listed_audiences
from cio_activation.destinations.hubspot.property_definitions import drift, merged_options
from cio_activation.destinations.hubspot.values import value_sql, wire
from cio_activation.errors import ConfigError
from cio_activation.transport.http import Unpaced
from cio_activation.warehouse.sessions import scratch
from cio_activation_tests.drivers.builders import runtime
from cio_activation_tests.drivers.hubspot import AUDIENCES, DAILY, audience, make_activation, prop


@pytest.mark.parametrize(
    ("kind", "given", "sent"),
    [
        (PropertyType.NUMBER, "0.1 + CAST(0.2 AS DOUBLE)", "0.3"),
        (PropertyType.NUMBER, "CAST(12 AS DOUBLE)", "12"),
        (PropertyType.NUMBER, "CAST(-1234.5 AS DOUBLE)", "-1234.5"),
        (PropertyType.NUMBER, "CAST(1e21 AS DOUBLE)", "1000000000000000000000"),
        (PropertyType.NUMBER, "CAST(1e-5 AS DOUBLE)", "0.00001"),
        (PropertyType.NUMBER, "CAST('-0.0' AS DOUBLE)", "0"),
        (PropertyType.NUMBER, "CAST('nan' AS DOUBLE)", ""),
        (PropertyType.NUMBER, "CAST(NULL AS DOUBLE)", ""),
        (PropertyType.FLAG, "true", "true"),
        (PropertyType.FLAG, "false", "false"),
        (PropertyType.FLAG, "CAST(NULL AS BOOLEAN)", ""),
        (PropertyType.DATE, "DATE '0987-01-02'", "0987-01-02"),
        (PropertyType.DATE, "DATE '2026-10-03'", "2026-10-03"),
        (PropertyType.ENUM, "' 0-30 '", "0-30"),
        (PropertyType.TEXT, "' Käse 🧀 '", " Käse 🧀 "),
        (PropertyType.TEXT, "''", ""),
    ],
)
def test_values_are_canonical(kind: PropertyType, given: str, sent: str) -> None:
    with scratch() as con:
        [(value,)] = con.execute(f"SELECT {value_sql(prop('x', kind), 'v')} FROM (SELECT {given} AS v)").fetchall()
    assert wire(value) == sent


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"category": "CONFLICT", "message": "person@example.com is taken"}, "409 CONFLICT"),
        (
            {
                "category": "VALIDATION_ERROR",
                "errors": [{"code": "INVALID_OPTION", "context": {"propertyName": ["cio_a"]}}],
            },
            "VALIDATION_ERROR INVALID_OPTION cio_a",
        ),
        (
            {"category": "VALIDATION_ERROR", "message": 'Property values were not valid: [{"isValid":false,"error":'
             '"INVALID_EMAIL","name":"email","message":"Email address x@ is invalid"}]'},
            "VALIDATION_ERROR INVALID_EMAIL email",
        ),
        ({"message": "value [1 is odd"}, "refused"),
        ({}, "refused"),
    ],
)  # fmt: skip
def test_reasons_name_code_and_property_but_no_value(entry: dict[str, Any], text: str) -> None:
    assert errors.reason(entry) == text


def test_missing_ids_are_only_those_named_as_not_found() -> None:
    entries = [
        {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["A@Example.com"]}},
        {"category": "INTERNAL_ERROR", "context": {"ids": ["b@example.com"]}},
        {"category": "OBJECT_NOT_FOUND"},
    ]
    assert errors.missing_ids(entries) == {"a@example.com"}


def test_options_are_only_written_when_one_is_missing() -> None:
    bucket = DAILY[0]
    present = [{"value": v, "label": v, "displayOrder": i} for i, v in enumerate(bucket.labels)]
    assert merged_options(present, bucket) is None
    assert [o["value"] for o in merged_options(present[:1], bucket) or ()] == ["0-30", "31-90", "91+"]
    assert merged_options([], DAILY[1]) is None


def test_read_only_properties_are_drift() -> None:
    found = {"type": "number", "modificationMetadata": {"readOnlyValue": True}}
    assert "read-only" in (drift("cio_ltv", DAILY[4], found) or "")
    assert drift("cio_ltv", DAILY[4], {"type": "number"}) is None


def test_options_refuse_what_they_do_not_know() -> None:
    for values in ({"rate_share": 0}, {"rate_share": 1.1}, {"create_people": "some"}, {"color": "red"}):
        with pytest.raises(ValidationError):
            HubSpotSettings.model_validate(values)
    with pytest.raises(ValidationError):
        HubSpotAudience.model_validate({"task": {"subject": ""}})
    assert HubSpotAudience.model_validate({"note": {}}).asks_somebody
    assert HubSpotSettings.model_validate({"on_conflict": "keep"}).on_conflict == "keep"


def test_steps_come_in_order_and_only_for_what_is_delivered() -> None:
    model = make_activation()
    steps = DESTINATION.steps(model)
    assert [s.name for s in steps] == [
        "contact_links_daily", "properties_daily", "list/winback",
        "contact_links_realtime", "properties_realtime", "list/hot_cart",
        "removed_fields", "retired_lists", "retired_tasks", "retired_notes",
    ]  # fmt: skip
    done = {"schema"}
    for step in steps:
        assert set(step.after) <= done
        done.add(step.name)
    assert steps[0].needs == ("state/daily_properties", "identity/persons")
    assert steps[4].needs == ("state/realtime_properties", "identity/persons_live")
    assert steps[5].needs == ("audience/hot_cart",)
    only_daily = make_activation(DAILY, (audience("winback", Lane.DAILY, "x", list=False),))
    assert [s.name for s in DESTINATION.steps(only_daily)] == [
        "contact_links_daily",
        "properties_daily",
        "removed_fields",
        "retired_lists",
        "retired_tasks",
        "retired_notes",
    ]
    assert listed_audiences(only_daily) == ()
    waiting = make_activation(create_people="audience_members")
    assert "audience/winback" in DESTINATION.steps(waiting)[1].needs


def test_limits_are_our_share_of_the_accounts() -> None:
    assert DESTINATION.limits(make_activation(rate_share=0.5, requests_per_10s=100)) == {
        "default": (50.0, 10.0),
        "search": (2.5, 1.0),
    }
    assert HubSpotSettings().requests_per_10s * HubSpotSettings().rate_share == 152


def test_list_names_carry_the_version() -> None:
    assert list_name(AUDIENCES[1]) == "RET - Hot Cart - Help Now [v1]"


def test_a_missing_token_is_a_config_error(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUBSPOT_ACCESS_TOKEN", raising=False)
    settings = runtime(tmp_path, make_activation()).settings
    with pytest.raises(ConfigError, match="HUBSPOT_ACCESS_TOKEN"):
        DESTINATION.connect(settings, Unpaced())


def test_importing_the_destination_stays_light() -> None:
    code = "import sys, cio_activation.destinations.hubspot; print([m for m in ('pandas', 'pandera', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
