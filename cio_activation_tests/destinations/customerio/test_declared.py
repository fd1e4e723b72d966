"""What an activation says of the way back, where it stands in the lineage, and what ``check`` tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Audience, Lane
from cio_activation.cli.main import app
from cio_activation.definitions import build_definitions
from cio_activation.delivery.destination import AbsoluteStep
from cio_activation.destinations.customerio import DESTINATION
from cio_activation.errors import ConfigError
from cio_activation.journal.operations import Kind
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy import ToyDestination, ToyOptions
from cio_activation_tests.drivers.write_back import WriteBackBench, model

TEXT = """
attributes:
  amount: {{from: amount, type: money}}
properties:
  size: {{label: Size, owner: a@example.com, lane: daily, tiers: amount, edges: [10], labels: [low, high]{deliver}}}
audiences:
  vip:
    {{label: VIP, description: Call., owner: a@example.com, lane: daily, segment: 1, deliver: {audience}}}
destinations:
  hubspot:
  customerio: {settings}
"""


def loaded(folder: Path, deliver: str = "", audience: str = "{hubspot: {}}", settings: str = "") -> Any:
    return builders.load(folder, TEXT.format(deliver=deliver, audience=audience, settings=settings))


def test_it_is_given_no_properties_and_no_audiences(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found.properties["size"].deliver == ("hubspot",)
    assert list(found.destinations) == ["hubspot", "customerio"]
    for wrong in ({"deliver": ", deliver: [customerio]"}, {"audience": "{customerio: {}}"}):
        with pytest.raises(ConfigError, match="'customerio' is given no properties and no audiences; remove it here"):
            loaded(tmp_path, **wrong)


@pytest.mark.parametrize(
    "settings", ["{attribute_prefix: Cx}", "{audience: id}", "{rate_share: 2}", "{suppress: true}"]
)
def test_a_mistake_in_its_settings_is_told(tmp_path: Path, settings: str) -> None:
    with pytest.raises(ConfigError, match="customerio"):
        loaded(tmp_path, settings=settings)


class Asking(AbsoluteStep):
    """A step that asks humans to act, as those of the CRMs will."""

    kinds = (Kind(name="task", creates=True),)
    batch_size, concurrency = 10, 1
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    description = "Tasks."

    def __init__(self, audience: Audience) -> None:
        self.lane: Lane | None = audience.lane
        self.name = f"task/{audience.name}"


class ToyThatAsks(ToyDestination):
    """The toy, with a step an audience."""

    def steps(self, activation: Any) -> list[Any]:
        return [Asking(a) for a in activation.audiences.values() if a.touch]


def keys(activation: Any) -> dict[str, set[str]]:
    """Return the assets of the way back -> what they come after."""
    graph = build_definitions(activation, (ToyThatAsks(), DESTINATION)).resolve_asset_graph()
    return {
        key.to_user_string(): {k.to_user_string() for k in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
        if key.path[0] == "customerio" and "outreach_flags" in key.path[1]
    }


def test_its_steps_come_after_whatever_asks_a_human_in_their_lane_and_after_nothing_that_is_not_there() -> None:
    alone = model()
    assert keys(alone) == {
        "customerio/outreach_flags_daily": {"customerio/schema"},
        "customerio/outreach_flags_realtime": {"customerio/schema"},
    }
    both = alone.model_copy(update={"destinations": {"toy": ToyOptions(), **alone.destinations}})
    assert keys(both) == {
        "customerio/outreach_flags_daily": {"customerio/schema", "toy/task/vip", "toy/task/open_ended"},
        "customerio/outreach_flags_realtime": {"customerio/schema", "toy/task/cart"},
    }
    dg.Definitions.validate_loadable(build_definitions(both, (ToyThatAsks(), DESTINATION)))


def test_without_it_in_the_activation_nothing_is_there(tmp_path: Path) -> None:
    assert DESTINATION.steps(builders.activation()) == []
    quiet = model().model_copy(update={"audiences": {}})
    assert [step.lane for step in DESTINATION.steps(quiet)] == [Lane.DAILY]


def check(bench: WriteBackBench, monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    """Run ``check``; HubSpot, which the activation needs for its audience, is not there."""
    given = {**bench.stand_in.running.environment(), "VENDOR_BACKOFF_S": "0", "ACTIVATION_HOME": str(bench.home)}
    for name, value in {**given, **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(bench.home)
    path = bench.home / "activation.yaml"
    path.write_text(TEXT.format(deliver="", audience="{hubspot: {}}", settings=""))
    result = CliRunner().invoke(app, ["check", "--activation", str(path), "--json"])
    told: dict[str, Any] = json.loads(result.stdout)
    return told


def test_check_advises_on_a_source_segment_that_asks_for_what_we_write(
    bench: WriteBackBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its people would leave when they are marked, and enter when they are not, for ever."""
    assert check(bench, monkeypatch)["advice"]["customerio"] == [], "conditions are not shown, so nothing is said"
    asked = {"not": {"attribute": {"field": "cx_outreach_active", "operator": "eq", "value": "true"}}}
    for segment in (1, 3):
        bench.edit("save_segment", segment=segment, conditions={"and": [asked]})
    told = check(bench, monkeypatch)
    assert told["problems"]["customerio"] == []
    (sentence,) = told["advice"]["customerio"]
    for said in ("segment 1", "vip", "cx_outreach_active", "Take the condition out"):
        assert said in sentence


def test_check_names_the_settings_of_a_wrong_credential_and_of_another_region(
    bench: WriteBackBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = check(bench, monkeypatch, CUSTOMERIO_TRACK_API_KEY="wrong")["problems"]["customerio"]
    assert any("CUSTOMERIO_TRACK_API_KEY" in problem for problem in told)
    assert not any("sandbox-track-key" in problem for problem in told)
    (region,) = check(bench, monkeypatch, CUSTOMERIO_REGION="eu")["problems"]["customerio"]
    assert "CUSTOMERIO_REGION=us" in region, "told once, although source and destination both ask"
