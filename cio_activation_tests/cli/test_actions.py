"""``cio-activation actions``: who is asked to do what, what is late, and what a person takes back."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.cli.main import app
from cio_activation.warehouse.sessions import Warehouse

FAR = datetime(2199, 1, 1)
LONG_AGO = datetime(2020, 1, 1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home in which three people are asked for in two CRMs."""
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    monkeypatch.setenv("ACTIVATION_FILE", str(DEFAULT_ACTIVATION))
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.migrate()
    rows = [
        ("hubspot", "task", "e1", "vip_cart_abandoners", "a", "1", "7", FAR, "open", None),
        ("hubspot", "task", "e2", "vip_cart_abandoners", "b", "2", "7", LONG_AGO, "taken_up", None),
        ("pipedrive", "activity", "e3", "vip_churn_risk", "c", "3", "9", LONG_AGO, "done", LONG_AGO),
    ]
    with warehouse.write() as con:
        con.execute(
            "INSERT INTO feedback.owners (destination, owner_id, email, active) VALUES ('hubspot', '7', 'ada@example.com', true)"
        )
        for row in rows:
            con.execute(
                """INSERT INTO delivery.actions (destination, kind, entry_id, audience, cio_id, record_id, owner_id, due_at,
                status, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                row,
            )


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["actions", *arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_lists_what_is_not_ended_with_who_has_it_what_is_late_and_outcomes(tmp_path: Path) -> None:
    found = told()
    assert [(one["record_id"], one["state"], one["owner"]) for one in found["actions"]] == [
        ("2", "late", "ada@example.com"), ("1", "open", "ada@example.com"),
    ]  # fmt: skip
    assert found["audiences"] == {"vip_cart_abandoners": {"late": 1, "open": 1}, "vip_churn_risk": {"done": 1}}
    assert found["load"][0] == {"owner": "ada@example.com", "open": 2, "late": 1, "done": 0}
    with Warehouse(tmp_path / "warehouse.duckdb").write() as con:
        for outcome, at in (("no_answer", datetime(2020, 1, 2)), ("converted", datetime(2020, 1, 3))):
            con.execute(
                """INSERT INTO feedback.acts BY NAME SELECT 'pipedrive' AS destination, 'activity' AS kind,
                '3' AS record_id, 'outcome' AS act, ? AS detail, CAST(? AS TIMESTAMP) AS happened_at""",
                [outcome, at],
            )
    done = told("--state", "done")
    assert [(one["record_id"], one["outcome"]) for one in done["actions"]] == [("3", "converted")]
    assert done["outcomes"] == {"vip_churn_risk": {"converted": 1}}
    assert told("--audience", "vip_churn_risk")["actions"] == []
    assert "no such state" in told("--state", "gone", code=2)["problems"][0]


def test_what_nobody_took_up_is_taken_back_with_who_and_why(tmp_path: Path) -> None:
    found = told("withdraw", "--audience", "vip_cart_abandoners", "--why", "wrong list", "--who", "Cleo")
    assert found["to_withdraw"] == {"hubspot": 1}
    with Warehouse(tmp_path / "warehouse.duckdb").read() as con:
        acts = con.execute("SELECT cio_id, act, detail, seen_at FROM feedback.acts").fetchall()
    assert [row[:3] for row in acts] == [("a", "withdrawn", "Cleo: wrong list")]
    assert datetime.now() - acts[0][3] < timedelta(days=1)
    assert "no open action" in told("withdraw", "--audience", "vip_churn_risk", "--why", "x", code=2)["problems"][0]
