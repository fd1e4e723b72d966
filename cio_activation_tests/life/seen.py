"""What the stand-ins show after a run: their state, their log of requests, and what humans did meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers.town import Town
from cio_activation_tests.life.rules import Rules

Key = tuple[str, str]
"""The place, and the record's id there."""
_MARK = re.compile(r"\[(?:task|activity):[0-9A-Za-z]+:(\d+)\]")
_OUTCOMES = ("cio_outreach_outcome", "cio_outreach_outcome_on", "cio_cx_outreach_active")
"""The fields that only humans write."""
_TASKS = re.compile(r"/(?:tasks|0-27)(?:/|$)")


@dataclass(frozen=True)
class Item:
    """A task or an activity as its CRM shows it."""

    audience: str | None
    """Whose subject it has; None: it is nothing of ours by its text."""
    marked: bool
    person: str | None
    """``cio_id`` of whom it is about."""
    owner: str | None
    """E-mail of who has it."""
    due: float
    created: float
    status: str
    """``open``, ``taken_up``, ``done`` or ``deleted``."""
    attempt: int = 1
    """The how manieth of its entry, as its mark says."""


@dataclass(frozen=True)
class Deed:
    """What a human did with an item, or (``contacted``) with a person."""

    place: str
    item: str
    did: str
    at: float
    said: str | None = None
    """What the human wrote of it on the person's record."""


@dataclass
class Seen:
    """Everything the judge gets to see after one run of one lane."""

    lane: str
    window_end: float
    began: float
    at: float
    items: Mapping[Key, Item] = field(default_factory=dict)
    shown: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """(place, audience) -> who is on its list or carries its flag."""
    segments: Mapping[int, frozenset[str]] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of everybody in Customer.io: what gates, purchases and unsubscribing are read from."""
    fields: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    """(place, ``cio_id``) -> the fields of the person's record there, by their names."""
    outreach: frozenset[str] = frozenset()
    """Who is told to have active outreach in Customer.io."""
    created: frozenset[Key] = frozenset()
    written: frozenset[Key] = frozenset()
    """Records that requests of ours made, and those that they named otherwise."""
    deeds: tuple[Deed, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)
    emptied: int = 0
    """Writes of ours that emptied fields of outcomes."""
    outcomes_written: tuple[str, ...] = ()
    """What requests of ours wrote into them otherwise."""


def look(town: Town, rules: Rules, lane: str, window_end: float, began: float, deeds: list[Deed]) -> Seen:
    """Read the stand-ins, and forget the requests until here."""
    log = town.sandbox.shared.log
    entries = list(log.entries)
    log.clear()
    there = town.there
    items, shown = _hubspot(there["hubspot"], rules)
    more, flags = _pipedrive(there["pipedrive"], rules)
    created, written = _requests(entries)
    ours = _outcomes(entries, _names(town))
    snapshot = town.world.at(town.now.timestamp())
    rows = snapshot.facts.to_pylist()
    attributes = snapshot.attributes([row["cio_id"] for row in rows]) if rules.writes_back else {}
    calls: dict[str, int] = {}
    for entry in entries:
        calls[entry.vendor] = calls.get(entry.vendor, 0) + 1
    return Seen(
        lane=lane,
        window_end=window_end,
        began=began,
        at=town.sandbox.shared.clock.now(),
        items={**items, **more},
        shown={**shown, **flags},
        segments={a.segment: frozenset(snapshot.members(a.segment)) for a in rules.audiences.values()},
        facts={row["cio_id"]: row for row in rows},
        fields=_fields(there),
        outreach=frozenset(c for c, held in attributes.items() if held.get("cx_outreach_active") == "true"),
        created=created,
        written=written,
        deeds=tuple(deeds),
        calls=calls,
        emptied=sum(not value for value in ours),
        outcomes_written=tuple(str(value) for value in ours if value),
    )


def _fields(there: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    contacts, persons = there["hubspot"]["contacts"].values(), there["pipedrive"]["persons"].values()
    found: dict[tuple[str, str], Mapping[str, Any]] = {("hubspot", c["cio_id"]): c for c in contacts if c.get("cio_id")}
    held = (p["custom_fields"] for p in persons)
    return found | {("pipedrive", h["cio_id"]): h for h in held if h.get("cio_id")}


def _names(town: Town) -> frozenset[str]:
    """Return what the fields of outcomes are called in requests, in both CRMs."""
    fields = town.sandbox.vendors["pipedrive"].company.fields.custom.values()  # type: ignore[attr-defined]
    return frozenset(_OUTCOMES) | {field.code for field in fields if field.name in _OUTCOMES}


def _outcomes(entries: Iterable[Entry], names: frozenset[str]) -> list[Any]:
    """Return the values that writes of ours gave these fields."""
    return [
        value
        for entry in entries
        if entry.vendor != "customerio" and entry.method in ("POST", "PATCH", "PUT")
        for value in _values(entry.request, names)
    ]


def _values(found: Any, names: frozenset[str]) -> list[Any]:
    if isinstance(found, list):
        return [value for one in found for value in _values(one, names)]
    if not isinstance(found, dict):
        return []
    return [v for k, v in found.items() if k in names] + [x for v in found.values() for x in _values(v, names)]


def _attempt(text: str) -> int:
    match = _MARK.search(text)
    return int(match[1]) if match else 1


def _hubspot(there: Mapping[str, Any], rules: Rules) -> tuple[dict[Key, Item], dict[tuple[str, str], frozenset[str]]]:
    owners = {owner["id"]: owner["email"] for owner in there["owners"]}
    who = {i: contact.get("cio_id") for i, contact in there["contacts"].items()}
    items = {}
    for task in there["tasks"]:
        held = task["properties"]
        status = held.get("hs_task_status", "NOT_STARTED")
        items["hubspot", task["id"]] = Item(
            audience=rules.audience_of("hubspot", held.get("hs_task_subject", "")),
            marked=bool(_MARK.search(held.get("hs_task_body", ""))),
            person=next((who[c] for c in task["contacts"] if who.get(c)), None),
            owner=owners.get(held.get("hubspot_owner_id", "")),
            due=_instant(held["hs_timestamp"]),
            created=_instant(task["created"]),
            status="deleted"
            if task["archived"]
            else {"NOT_STARTED": "open", "COMPLETED": "done"}.get(status, "taken_up"),
            attempt=_attempt(held.get("hs_task_body", "")),
        )
    lists = {one["name"]: one["members"] for one in there["lists"] if not one["deleted"]}
    shown = {
        ("hubspot", a.name): frozenset(str(who[m]) for m in lists.get(f"{a.label} [v1]", ()) if who.get(m))
        for a in rules.audiences.values()
        if "hubspot" in a.shown_in
    }
    return items, shown


def _pipedrive(there: Mapping[str, Any], rules: Rules) -> tuple[dict[Key, Item], dict[tuple[str, str], frozenset[str]]]:
    owners = {user["id"]: user["email"] for user in there["users"]}
    persons = {p["id"]: p["custom_fields"] for p in there["persons"].values()}
    items = {}
    for activity in there["activities"]:
        due = f"{activity['due_date']}T{activity['due_time'] or '00:00'}"
        items["pipedrive", str(activity["id"])] = Item(
            audience=rules.audience_of("pipedrive", activity["subject"] or ""),
            marked=bool(_MARK.search(activity["note"] or "")),
            person=(persons.get(activity["person_id"]) or {}).get("cio_id"),
            owner=owners.get(activity["owner_id"]),
            due=_instant(due) if activity["due_date"] else 0.0,
            created=_instant(activity["add_time"]),
            status="done" if activity["done"] else "open",
            attempt=_attempt(activity["note"] or ""),
        )
    shown = {
        ("pipedrive", a.name): frozenset(
            held["cio_id"]
            for held in persons.values()
            if held.get("cio_id") and a.label in (held.get("cio_audiences") or ())
        )
        for a in rules.audiences.values()
        if "pipedrive" in a.shown_in
    }
    return items, shown


def _requests(entries: list[Entry]) -> tuple[frozenset[Key], frozenset[Key]]:
    """Return the tasks and activities that requests made, and those that they changed, deleted or linked."""
    created: set[Key] = set()
    written: set[Key] = set()
    for entry in entries:
        if entry.method == "GET" or entry.vendor not in ("hubspot", "pipedrive"):
            continue
        if entry.vendor == "pipedrive":
            if "/activities" not in entry.path:
                continue
            last = entry.path.rstrip("/").rsplit("/", 1)[-1]
            if entry.method == "POST" and isinstance(entry.response, dict) and entry.response.get("data"):
                created.add(("pipedrive", str(entry.response["data"]["id"])))
            elif last.isdigit():
                written.add(("pipedrive", last))
        elif _TASKS.search(entry.path) and not entry.path.endswith(("/read", "/search")):
            body = entry.request if isinstance(entry.request, dict) else {}
            inputs = [one for one in body.get("inputs", ()) if isinstance(one, dict)]
            if entry.path.endswith("/create") and "associations" not in entry.path:
                answer = entry.response if isinstance(entry.response, dict) else {}
                created |= {("hubspot", str(one["id"])) for one in answer.get("results", ())}
                continue
            ids = [one.get("id") or (one.get("from") or {}).get("id") for one in inputs]
            written |= {("hubspot", str(i)) for i in ids if i}
            last = entry.path.rstrip("/").rsplit("/", 1)[-1]
            if last.isdigit():
                written.add(("hubspot", last))
    return frozenset(created), frozenset(written)


def _instant(text: str) -> float:
    at = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "T"))
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
