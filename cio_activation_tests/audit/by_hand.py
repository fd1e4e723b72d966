"""What people do by hand in both CRMs, and, from the stand-ins before and after, what an audit has to find: no more.

Shares nothing with the audit: it compares what the stand-ins held with what they hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

Finding = tuple[str, str, str, str]
"""Kind, subject, name, and the person's ``cio_id``."""
MANY = 5
"""Pipedrive has no list to count: an audience is emptied if so many had its flag and nobody has."""
TASK = re.compile(r"\[(task|activity):")


def hubspot(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> set[Finding]:
    """Return what was done in HubSpot to records that carried our key; ``names``: list's name -> audience."""
    merged = after["merged"]
    found: set[Finding] = set()
    ours = {i: c["cio_id"] for i, c in before["contacts"].items() if c.get("cio_id")}
    for record_id, cio_id in ours.items():
        now = after["contacts"].get(record_id)
        if now is None:
            found.add(("merged" if record_id in merged else "deleted", "record", "", cio_id))
            continue
        found |= _fields(before["contacts"][record_id], now, cio_id)
    lists = {one["id"]: one for one in after["lists"]}
    for one in before["lists"]:
        there = set(lists[one["id"]]["members"])
        gone, new = set(one["members"]) - there, there - set(one["members"])
        kind = "cleared" if there else "emptied"
        found |= {(kind, "list", names[one["name"]], ours[i]) for i in gone if i in after["contacts"] and i in ours}
        found |= {("foreign", "list", names[one["name"]], ours.get(i, "")) for i in new}
    return found | _deleted_tasks(before["tasks"], after["tasks"], ours)


def pipedrive(before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]) -> set[Finding]:
    """Return the same of Pipedrive; ``names``: label of an option -> audience."""
    found: set[Finding] = set()
    there = {str(p["id"]): p for p in after["persons"].values()}
    were, are = (_flagged(one["persons"]) for one in (before, after))
    emptied = {label for label, many in were.items() if many >= MANY and label not in are}
    for person in before["persons"].values():
        fields, now = person["custom_fields"], there.get(str(person["id"]))
        cio_id = fields.get("cio_id")
        if not cio_id:
            continue
        if now is None or now.get("is_deleted"):
            found.add(("merged" if str(person["id"]) in after["merged_persons"] else "deleted", "record", "", cio_id))
            continue
        flags, flags_now = (set(p["custom_fields"].get("cio_audiences") or ()) for p in (person, now))
        gone = {label: "emptied" if label in emptied else "cleared" for label in flags - flags_now if label in names}
        found |= {(kind, "list", names[label], cio_id) for label, kind in gone.items()}
        found |= {("foreign", "list", names[label], cio_id) for label in flags_now - flags if label in names}
        plain = [{k: v for k, v in p["custom_fields"].items() if k != "cio_audiences"} for p in (person, now)]
        found |= _fields(plain[0], plain[1], cio_id)
    return found


def _flagged(persons: Mapping[str, Any]) -> Counter[str]:
    there = [p["custom_fields"].get("cio_audiences") or () for p in persons.values() if not p.get("is_deleted")]
    return Counter(label for labels in there for label in labels)


def _fields(before: Mapping[str, Any], now: Mapping[str, Any], cio_id: str) -> set[Finding]:
    found: set[Finding] = set()
    for name in {n for n in (*before, *now) if n.startswith("cio_")}:
        was, is_ = before.get(name) or "", now.get(name) or ""
        if was != is_:
            kind = "foreign" if not was else "edited" if is_ else "cleared"
            key = name == "cio_id"
            found.add((kind, "key" if key else "field", name if key else name.removeprefix("cio_"), cio_id))
    return found


def _deleted_tasks(before: list[Any], after: list[Any], ours: Mapping[str, str]) -> set[Finding]:
    gone = {t["id"] for t in after if t.get("archived")}
    return {
        ("deleted", "action", "task", ours[str(t["contacts"][0])])
        for t in before
        if t["id"] in gone and not t.get("archived") and TASK.search(str(t["properties"].get("hs_task_body")))
    }
