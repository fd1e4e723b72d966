"""The people of the demo's CRMs: they work in the stand-ins, and what they are asked to do is read back there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.request import Request, urlopen

from cio_activation.activation.actions import AUDIENCE_OWNER, Rotation
from cio_activation.activation.models import Activation
from cio_activation.activation.outcomes import DATE_FIELD, OUTCOME_FIELD
from cio_activation.cli.readback import control

OURS = re.compile(r"\[(task|activity):")
"""What our actions carry in their text; whatever does not is some human's own."""
HABITS = {"complete": 0.45, "snooze": 0.15, "take_up": 0.1, "reassign": 0.05, "delete": 0.05, "ignore": 0.2}
OUTCOMES = {"converted": 3, "not_interested": 2, "bad_timing": 2, "no_answer": 2, "wrong_person": 0.3}
SEED = 7
_SHOWN = 200
"""Actions told of each CRM at most, the newest."""


def named(activation: Activation) -> dict[str, set[str]]:
    """Return vendor -> e-mail addresses that the activation's actions name."""
    found: dict[str, set[str]] = {"hubspot": set(), "pipedrive": set()}
    for audience in activation.audiences.values():
        for place, ask in audience.asks().items():
            for owner in ask.owners:
                if isinstance(owner, Rotation):
                    found[place].update(owner.rotate)
                elif owner == AUDIENCE_OWNER:
                    found[place].add(audience.owner)
                elif isinstance(owner, str) and "@" in owner:
                    found[place].add(owner)
    return found


def outcome_fields(activation: Activation) -> dict[str, str]:
    """Return what agents are told of where to say what came of it; nothing where outcomes are not read."""
    if activation.outreach_outcomes is None:
        return {}
    prefix = activation.workspace.prefix
    return {"outcome": f"{prefix}{OUTCOME_FIELD}", "outcome_at": f"{prefix}{DATE_FIELD}"}


def outcomes(urls: dict[str, str], field: str) -> dict[str, dict[str, int]]:
    """Return vendor -> outcome -> on how many records it stands in the stand-in."""
    contacts = control(urls["hubspot"], "state?vendor=hubspot")["hubspot"]["contacts"]
    persons = control(urls["pipedrive"], "state?vendor=pipedrive")["pipedrive"]["persons"]
    said = {
        "hubspot": [one.get(field) for one in _rows(contacts)],
        "pipedrive": [(one.get("custom_fields") or {}).get(field) for one in _rows(persons)],
    }
    return {vendor: dict(sorted(Counter(str(one) for one in there if one).items())) for vendor, there in said.items()}


def hire(urls: dict[str, str], wanted: Mapping[str, Collection[str]], fields: Mapping[str, str]) -> None:
    """Give every owner and user of the stand-ins working hours and habits; who of ``wanted`` is not there joins.

    ``fields``: where they say what came of it, as the stand-ins' agents are told; empty where nobody reads that.
    """
    there = _owners(urls)
    for email in sorted(set(wanted["hubspot"]) - set(there["hubspot"].values())):
        _post(urls["hubspot"], "edit", {"vendor": "hubspot", "action": "add_owner", "email": email})
    for email in sorted(set(wanted["pipedrive"]) - set(there["pipedrive"].values())):
        name = email.split("@")[0].capitalize()
        _post(urls["pipedrive"], "edit", {"vendor": "pipedrive", "action": "add_user", "name": name, "email": email})
    for vendor, owners in _owners(urls).items():
        habits = {"zone": "America/New_York", "does": HABITS, **({"outcomes": OUTCOMES} if fields else {})}
        agents = [{"owner": str(owner), **habits} for owner in owners]
        _post(urls[vendor], "agents", {"vendor": vendor, "seed": SEED, "agents": agents, **fields})


def work(urls: dict[str, str]) -> None:
    """Let them work up to the vendors' present."""
    for vendor in ("hubspot", "pipedrive"):
        _post(urls[vendor], "agents/work", {"vendor": vendor})


def asked_for(urls: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return vendor -> our actions as they lie in the stand-in: state, who, until when, and what it says."""
    owners = _owners(urls)
    hubspot = control(urls["hubspot"], "state?vendor=hubspot")["hubspot"]["tasks"]
    pipedrive = control(urls["pipedrive"], "state?vendor=pipedrive")["pipedrive"]["activities"]
    tasks = [_task(one, owners["hubspot"]) for one in _rows(hubspot) if OURS.search(_text(one, "hs_task_body"))]
    activities = [_activity(one, owners["pipedrive"]) for one in _rows(pipedrive) if OURS.search(one.get("note") or "")]
    return {"hubspot": tasks[-_SHOWN:], "pipedrive": activities[-_SHOWN:]}


def _owners(urls: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return vendor -> id -> e-mail address of whoever can be given work."""
    hubspot = control(urls["hubspot"], "state?vendor=hubspot")["hubspot"]["owners"]
    pipedrive = control(urls["pipedrive"], "state?vendor=pipedrive")["pipedrive"]["users"]
    return {
        "hubspot": {str(o["id"]): str(o["email"]) for o in _rows(hubspot)},
        "pipedrive": {str(u["id"]): str(u["email"]) for u in _rows(pipedrive)},
    }


def _rows(found: Any) -> list[dict[str, Any]]:
    return list(found.values()) if isinstance(found, dict) else list(found)


def _text(task: dict[str, Any], name: str) -> str:
    return str((task.get("properties") or task).get(name) or "")


def _task(one: dict[str, Any], owners: dict[str, str]) -> dict[str, Any]:
    status = _text(one, "hs_task_status")
    state = {"NOT_STARTED": "open", "COMPLETED": "done"}.get(status, "taken up")
    due = _text(one, "hs_timestamp")
    return {
        "state": state,
        "owner": owners.get(_text(one, "hubspot_owner_id")),
        "due": _instant(due) if due else None,
        "subject": _text(one, "hs_task_subject"),
    }


def _activity(one: dict[str, Any], owners: dict[str, str]) -> dict[str, Any]:
    return {
        "state": "deleted" if one.get("is_deleted") else "done" if one["done"] else "open",
        "owner": owners.get(str(one.get("owner_id"))),
        "due": " ".join(part for part in (one.get("due_date"), (one.get("due_time") or "")[:5]) if part) or None,
        "subject": one["subject"],
    }


def _instant(text: str) -> str:
    at = datetime.fromtimestamp(int(text) / 1000, UTC) if text.isdigit() else datetime.fromisoformat(text)
    return f"{at:%Y-%m-%d %H:%M}"


def _post(url: str, path: str, body: dict[str, Any]) -> None:
    asked = Request(f"{url}/_sandbox/{path}", json.dumps(body).encode(), {"content-type": "application/json"})
    with urlopen(asked, timeout=60) as answer:
        answer.read()
