"""I12: no secret and no unmasked person in any log, error, Dagster event or metadata, nor in what a plan lists."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.errors import CioActivationError
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.histories import play
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
TROUBLE: list[dict[str, Any]] = [
    {"kind": "status", "status": 400, "path": "*/contacts/batch/*", "times": 3},
    {"kind": "status", "status": 409, "path": "*/contacts/batch/*", "times": 3},
    {"kind": "status", "status": 401, "path": "*", "vendor": "hubspot"},
    {"kind": "html", "path": "/api/v2/*", "vendor": "pipedrive"},
    {"kind": "status", "status": 400, "path": "/api/v2/persons*", "times": 2},
    {"kind": "reset", "path": "*", "times": 9, "vendor": "customerio"},
    {"kind": "truncate", "path": "*", "times": 9, "vendor": "hubspot"},
    {"kind": "status", "status": 401, "path": "*", "vendor": "customerio"},
    {"kind": "status", "status": 422, "path": "*/memberships/*", "times": 2},
]


def unspeakable(town: Town) -> set[str]:
    """Return what must not be said: every secret, and everybody's e-mail, phone and name, as the vendors hold them."""
    environment = town.sandbox.environment()
    found = {v for k, v in environment.items() if not k.endswith("_URL")}
    facts = town.world.at(town.now.timestamp()).facts.to_pylist()
    for person in facts:
        for name in ("email", "phone"):
            value = str(person.get(name) or "").strip()
            if len(value) > 5:
                found |= {value, value.lower()}
    assert len(found) > 40
    return found


def quoted(town: Town) -> Any:
    """Return an error body that repeats what was sent, as the vendors' do."""
    people = town.world.at(town.now.timestamp()).facts.to_pylist()
    emails = [str(p["email"]) for p in people if p["email"]]
    return {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": f"Invalid input: {emails} +12025550101",
        "error": emails[0],
    }


def spoken(text: str, forbidden: set[str]) -> list[str]:
    low = text.lower()
    return sorted(f for f in forbidden if f.lower() in low)


@contextmanager
def listening() -> Iterator[io.StringIO]:
    """Collect every log record of every logger, down to debug, and all that is printed."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    ours = [
        logging.getLogger(n)
        for n in list(logging.root.manager.loggerDict)
        if n.startswith(("cio_activation", "sqlalchemy", "httpx", "httpcore"))
    ]
    levels = [(one, one.level) for one in ours]
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for one in ours:
        one.setLevel(logging.INFO)
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        for one, before in levels:
            one.setLevel(before)


def test_runs_in_trouble_say_nothing_personal(make_town: MakeTown) -> None:
    town = make_town()
    forbidden = unspeakable(town)
    told: list[str] = []
    with listening() as heard:
        for fault in TROUBLE:
            body = quoted(town) if fault.get("kind") == "status" else None
            town.fault(**fault, body=body)
            for lane in Lane:
                try:
                    run = town.run(lane)
                    told.append(repr(run))
                except CioActivationError as error:
                    told += _everything(error)
            town.clear_faults()
            play(town, [("order", 3, 15.0), ("cart", 5, 90.0), ("ask", 7), ("add", len(told) % 9), ("wait", 20)])
    assert len(told) >= 2 * len(TROUBLE)
    assert any("Error" in t or "answered" in t for t in told)
    assert spoken("\n".join(told), forbidden) == []
    assert spoken(heard.getvalue(), forbidden) == []
    reasons = town.query(
        "SELECT reason FROM delivery.rejected UNION SELECT reason FROM delivery.ledger UNION SELECT note FROM delivery.plans"
    )
    assert spoken(json.dumps(reasons), forbidden) == []


def _everything(error: BaseException) -> list[str]:
    """Return an error's text and its whole chain, as a log would print them."""
    found = [f"Error {type(error).__name__}: {error} {error.args!r}"]
    for other in (error.__cause__, None if error.__suppress_context__ else error.__context__):
        if other is not None:
            found += _everything(other)
    return found


def test_dagster_keeps_nothing_personal(make_town: MakeTown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dagster as dg

    from cio_activation.definitions import build_definitions

    town = make_town()
    forbidden = unspeakable(town)
    for name, value in town.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACTIVATION_HOME", str(town.home))
    monkeypatch.setenv("VENDOR_BACKOFF_S", "0.005")
    definitions = build_definitions(town.activation)
    kept: list[str] = []
    failures = 0
    with dg.DagsterInstance.ephemeral() as instance, listening() as heard:
        for fault in (None, TROUBLE[0], TROUBLE[2], TROUBLE[3]):
            if fault is not None:
                town.fault(**fault, body=quoted(town) if fault["kind"] == "status" else None)
                play(town, [("order", 3, 15.0), ("ask", 7), ("add", 1)])
            job = definitions.resolve_job_def("daily")
            ended = job.execute_in_process(
                partition_key=town.window(Lane.DAILY).key, instance=instance, raise_on_error=False
            )
            failures += not ended.success
            kept += [repr(entry) + entry.to_json() for entry in instance.all_logs(ended.run_id)]
            town.clear_faults()
    assert len(kept) > 100
    assert failures >= 2
    assert spoken("\n".join(kept), forbidden) == []
    assert spoken(heard.getvalue(), forbidden) == []


def test_a_plan_lists_nobody_by_default(make_town: MakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    town = make_town()
    forbidden = unspeakable(town)
    for lane in Lane:
        lanes.decide_lane(town.runtime, lane, town.window(lane))
    for name, value in town.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACTIVATION_HOME", str(town.home))
    monkeypatch.setenv("ACTIVATION_FILE", str(town.home / "activation.yaml"))
    for extra in ([], ["--people"], ["--json"], ["--json", "--people"]):
        shown = CliRunner().invoke(app, ["plan", *extra])
        assert shown.exit_code == 0, shown.output
        assert "--json" not in extra or "contact_links_daily" in shown.output
        assert spoken(shown.output, forbidden) == []


def test_the_ears_hear() -> None:
    with listening() as heard:
        logging.getLogger("cio_activation.somewhere").warning("for ada@example.com")
        print("sandbox-hubspot-token")
    assert spoken(heard.getvalue(), {"Ada@example.com", "sandbox-hubspot-token", "absent"}) == [
        "Ada@example.com", "sandbox-hubspot-token",
    ]  # fmt: skip
