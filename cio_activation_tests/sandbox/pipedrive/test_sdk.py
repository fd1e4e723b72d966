"""Pipedrive's own client for node, an independent reader, finds what the project left in the stand-in.

Runs where node and the client are; nothing else needs them::

    npm install --prefix cio_activation_tests/sandbox/pipedrive/node --no-save --no-package-lock --ignore-scripts \\
        pipedrive@33.7.0
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Audience, Lane
from cio_activation.destinations.common.actions.note_options import NoteOptions
from cio_activation.destinations.pipedrive.config import ActivityOptions, DealOptions, PipedriveAudience
from cio_activation_tests.destinations.pipedrive.desk import SINCE, desk
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.stand_ins.pipedrive import TOKEN

FOLDER = Path(__file__).parent / "node"
CLIENT = FOLDER / "node_modules" / "pipedrive" / "dist" / "versions"
pytestmark = pytest.mark.skipif(
    not CLIENT.is_dir() or shutil.which("node") is None, reason="node or Pipedrive's client is not installed"
)
Found = dict[str, Any]
BEYOND = {"deal": {"archive_time", "creator_user_id", "local_close_date", "local_lost_date", "local_won_date"}}
"""Fields that the API's document has in its examples of deals and not in its schema, which the types are made from."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Return what the client reads about one person whom people are asked to act for."""
    deal = DealOptions(mode="create", pipeline="retention", stage="In conversation", value="spent")
    asked: dict[str, PipedriveAudience] = {
        "call": PipedriveAudience(activity=ActivityOptions(subject="Call them")),
        "mail": PipedriveAudience(activity=ActivityOptions(subject="Write to them", type="email")),
        "tell": PipedriveAudience(note=NoteOptions(body="They asked for help.")),
        "save": PipedriveAudience(deal=deal),
    }
    audiences: list[Audience] = [
        builders.audience(name, Lane.DAILY, label=f"RET - {name.title()}", deliver={"pipedrive": one})
        for name, one in asked.items()
    ]
    with desk(tmp_path_factory.mktemp("desk"), 2, *audiences) as its:
        its.bench.edit(
            "set_person", person="c1@example.com", org_id=its.bench.edit("add_organization", name="Lee")["id"]
        )
        for name in asked:
            its.enter(name, "c1", destination="pipedrive" if name in ("call", "mail") else "", evidence=SINCE)
        its.run()
        person = its.bench.there["c1@example.com"]["id"]
        command = ["node", str(FOLDER / "read.cjs"), its.bench.stand_in.url, TOKEN, str(person)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        yield json.loads(ran.stdout) | {"person_id": person, "entries": dict(its.entry_ids)}


def test_it_reads_activities_page_by_page_with_their_person(found: Found) -> None:
    assert {a["subject"] for a in found["activities"]} == {"Call them", "Write to them"}
    one = found["activity"]
    assert one == next(a for a in found["activities"] if a["id"] == one["id"])
    assert one["participants"] == [{"person_id": found["person_id"], "primary": True}]
    assert (one["owner_id"], one["done"], one["due_date"], one["due_time"][:5]) == (2, False, "2026-11-03", "15:30")


def test_it_reads_deals_and_notes_with_their_person(found: Found) -> None:
    assert [(d["title"], d["person_id"], d["status"]) for d in found["deals"]] == [
        ("RET - Save", found["person_id"], "open")
    ]
    assert found["deal"]["stage_id"] in {s["id"] for s in found["stages"]}
    assert found["deal"]["pipeline_id"] in {p["id"] for p in found["pipelines"]}
    (note,) = found["notes"]
    assert "They asked for help." in note["content"]
    assert (found["note"]["id"], note["person_id"]) == (note["id"], found["person_id"])


def test_it_reads_what_is_open_about_them_and_who_can_act(found: Found) -> None:
    assert [one["undone_activities_count"] for one in found["open"]] == [2]
    assert found["activity"]["owner_id"] in {user["id"] for user in found["users"]}
    assert {a["type"] for a in found["activities"]} <= {kind["key_string"] for kind in found["types"]}


def test_it_makes_changes_and_deletes(found: Found) -> None:
    assert (found["made"]["done"], found["changed"]["done"]) == (False, True)
    assert found["gone"]["is_deleted"] is True
    assert (found["nobody"]["success"], "not found" in found["nobody"]["error"]) == (False, True)
    assert found["note_made"]["content"] == "<p>By the SDK</p>"


@pytest.mark.parametrize(
    ("row", "model"),
    [("activity", "v2/models/activity-item"), ("deal", "v2/models/deal"), ("note", "v1/models/note"),
     ("person", "v2/models/person"), ("pipeline", "v2/models/get-pipelines-response-all-of-data-inner"), ("stage", "v2/models/stage-item")],
)  # fmt: skip
def test_answers_have_the_fields_and_types_that_the_client_declares(found: Found, row: str, model: str) -> None:
    declared = _declared(model)
    answered = found[row] if row in found else found[f"{row}s"][0]
    assert {name for name in answered if name not in declared} == BEYOND.get(row, set())
    known = {name: value for name, value in answered.items() if name in declared}
    wrong = {name: (value, declared[name]) for name, value in known.items() if not _fits(value, declared[name])}
    assert wrong == {}


def _declared(model: str) -> Mapping[str, str]:
    """Return the fields of one of the client's models, and their types as TypeScript names them."""
    text = (CLIENT / f"{model}.d.ts").read_text(encoding="utf-8")
    return dict(re.findall(r"^ {4}'(\w+)'\??: ([^;\n]+)", text, flags=re.MULTILINE))


def _fits(value: Any, kind: str) -> bool:
    if value is None:
        return True  # the client's types leave out nearly all nulls that Pipedrive answers
    python = {"number": (int, float), "string": str, "boolean": bool}.get(kind.removesuffix(" | null"))
    return python is None or (isinstance(value, python) and (kind.startswith("boolean") or not isinstance(value, bool)))
