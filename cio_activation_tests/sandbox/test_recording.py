"""Stand-ins that are given what others were asked hold what those held, to the letter."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cio_activation.activation.models import Lane
from cio_activation.sandbox.server.recording import Recording
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation_tests.drivers.town import DESTINATIONS, Town, build_town_sandbox

HABITS = {"complete": 0.5, "snooze": 0.2, "take_up": 0.1, "delete": 0.1, "ignore": 0.1}


def begun(recording: Path) -> RunningSandbox:
    return build_town_sandbox(40, 3, recording=Recording(recording))


def held(sandbox: RunningSandbox) -> dict[str, Any]:
    """Return what all three hold, in what JSON can say; but for the tokens that reads took, which are not kept."""
    found = {name: json.loads(json.dumps(v.state(), default=str)) for name, v in sandbox.vendors.items()}
    del found["pipedrive"]["tokens"]
    return found


def post(sandbox: RunningSandbox, path: str, **body: Any) -> None:
    with httpx.Client(base_url=sandbox.urls["hubspot"], verify=False) as client:
        assert client.post(f"/_sandbox/{path}", json=body).status_code == 200


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], float]:
    """Two days of both lanes, with edits by hand; return the recording, what was held then, and when."""
    folder = tmp_path_factory.mktemp("recorded")
    sandbox = begun(folder / "changes.jsonl")
    town = Town(folder / "home", sandbox)
    for vendor in DESTINATIONS:
        owner = next(iter(sandbox.vendors[vendor].state()["owners" if vendor == "hubspot" else "users"]), None)
        number = str(owner["id"] if isinstance(owner, dict) else owner)
        post(sandbox, "agents", vendor=vendor, seed=1, agents=[{"owner": number, "zone": "UTC", "does": HABITS}])
    for _ in range(2):
        town.run(Lane.DAILY)
        town.run(Lane.REALTIME)
        town.wait(timedelta(days=1))
        for vendor in DESTINATIONS:
            post(sandbox, "agents/work", vendor=vendor)
    someone = town.people()[0]
    post(sandbox, "edit", vendor="customerio", action="fill_cart", cio_id=someone, value=321)
    post(sandbox, "edit", vendor="hubspot", action="add_owner", email="new@example.com")
    town.run(Lane.REALTIME)
    found = held(sandbox), sandbox.shared.clock.now()
    sandbox.stop()
    return folder / "changes.jsonl", *found


def test_what_was_asked_brings_others_to_the_same_state(lived: tuple[Path, dict[str, Any], float]) -> None:
    recording, before, now = lived
    sandbox = begun(recording)
    try:
        sandbox.shared.clock.set(now)
        sandbox.vendors["customerio"].edit({"action": "freeze", "at": now})
        after = held(sandbox)
        assert sandbox.shared.log.counts == {}
    finally:
        sandbox.stop()
    for vendor in DESTINATIONS:
        assert after[vendor] == before[vendor], vendor
    assert before["hubspot"]["contacts"]


def test_reads_refusals_and_a_cut_off_line_are_no_changes(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    recording = Recording(path)
    scope = {"path": "/crm/objects/2026-09/contacts/batch/read", "query_string": b"", "headers": []}
    for method, where, status in (
        ("GET", "/crm/owners/2026-09", 200),
        ("POST", "/crm/objects/2026-09/contacts/batch/read", 200),
        ("POST", "/crm/objects/2026-09/contacts/batch/create", 409),
        ("POST", "/_sandbox/clock", 200),
    ):
        recording.note("hubspot", {**scope, "method": method, "path": where}, b"{}", 1.0, status)
    assert recording.changes() == []
    given = {
        **scope,
        "method": "POST",
        "path": "/api/v2/persons",
        "headers": [(b"x-api-token", b"t"), (b"cookie", b"c")],
    }
    recording.note("pipedrive", given, b'{"name": "A"}', 2.0, 201)
    with path.open("a") as file:
        file.write('{"vendor": "hub')
    (one,) = recording.changes()
    assert (one.vendor, one.at, one.headers) == ("pipedrive", 2.0, {"x-api-token": ""})


def test_other_stand_ins_than_those_that_were_asked_say_so(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    given = {
        "method": "DELETE",
        "path": "/api/v2/activities/77",
        "query_string": b"",
        "headers": [(b"x-api-token", b"no")],
    }
    Recording(path).note("pipedrive", given, b"", 1.0, 200)
    with pytest.raises(ValueError, match=r"cannot be brought back .*: pipedrive answers 404"):
        begun(path)
