"""What a Prometheus is told: read back by its own parser, compared with the tables, and with what the dashboard asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

import cio_activation
from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.outcome.metrics import GAUGES, PREFIX
from cio_activation_tests.drivers.town import Town, town

DASHBOARD = Path(cio_activation.__file__).parents[1] / "deploy" / "grafana-dashboard.json"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("metrics") / "home", people=30, warm=False) as made:
        made.run(Lane.DAILY)
        made.run(Lane.REALTIME)
        yield made


def told(ran: Town, monkeypatch: pytest.MonkeyPatch, *options: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return gauge -> values of its labels -> number, as Prometheus reads what the command prints."""
    monkeypatch.setenv("ACTIVATION_HOME", str(ran.home))
    result = CliRunner().invoke(app, ["metrics", *options])
    assert result.exit_code == 0, result.output
    return parsed(result.stdout)


def parsed(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name.removeprefix(PREFIX): {tuple(s.labels.values()): s.value for s in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_it_says_what_the_tables_hold(ran: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(ran, monkeypatch)
    assert set(found) == {g.name for g in GAUGES} | {"day_used", "day_left"}
    members = "SELECT audience, count(*) FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost GROUP BY ALL"
    assert {audience: n for (audience,), n in found["members"].items()} == dict(ran.query(members))
    assert found["newest_window_timestamp_seconds"][("daily",)] == ran.window(Lane.DAILY).end.timestamp()
    delivered = ran.query("SELECT sum(delivered) FROM delivery.plans")[0][0]
    ends = {"delivered": 0.0}
    for labels, number in found["plan_operations"].items():
        end = next(label for label in labels if label in ("planned", "delivered", "rejected", "unneeded", "held"))
        ends[end] = ends.get(end, 0.0) + number
    assert 0 < ends["delivered"] <= delivered
    assert sum(found["decisions"].values()) > 0


def test_nobody_is_named(ran: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {label for samples in told(ran, monkeypatch).values() for values in samples for label in values}
    people = {value for row in ran.query("SELECT cio_id, email, phone FROM identity.persons") for value in row if value}
    assert people
    assert labels.isdisjoint(people)


def test_a_file_is_written_whole(ran: Town, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(ran.home))
    out = tmp_path / "cio_activation.prom"
    assert CliRunner().invoke(app, ["metrics", "--out", str(out)]).exit_code == 0
    assert parsed(out.read_text()) == told(ran, monkeypatch)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_the_dashboard_asks_for_what_there_is() -> None:
    asked = set(re.findall(rf"{PREFIX}(\\w+)", DASHBOARD.read_text()))
    assert asked <= {g.name for g in GAUGES} | {"day_used", "day_left"}
    assert len(json.loads(DASHBOARD.read_text())["panels"]) == 10
