"""What people should be asked to do, worked out from the deciding tables alone, against what lies in the CRMs.

Knows our actions by their marker and nothing of ``delivery.actions``: whatever delivery believes, only the stand-ins count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime

MARKER = re.compile(r"\[(?:task|activity):([0-9a-zA-Z_-]+):1\]")


@dataclass(frozen=True)
class Action:
    """One action of ours, as it lies there."""

    entry: str
    open: bool


def tasks(there: Mapping[str, Mapping[str, Any]]) -> dict[str, Action]:
    """Return HubSpot's tasks of ours by id; deleted ones are not open."""
    found = {}
    for one in there["hubspot"]["tasks"]:
        values = one["properties"]
        if match := MARKER.search(values.get("hs_task_body") or ""):
            is_open = values["hs_task_status"] != "COMPLETED" and not one["archived"]
            found[str(one["id"])] = Action(match[1], is_open)
    return found


def activities(there: Mapping[str, Mapping[str, Any]]) -> dict[str, Action]:
    """Return Pipedrive's activities of ours by id; deleted ones are not open."""
    found = {}
    for one in there["pipedrive"]["activities"]:
        if match := MARKER.search(one.get("note") or ""):
            found[str(one["id"])] = Action(match[1], not one["done"] and not one.get("is_deleted"))
    return found


def doubles(there: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return entries for which there is more than one action in a CRM, open or not."""
    counts = {"task": Counter(a.entry for a in tasks(there).values())}
    counts["activity"] = Counter(a.entry for a in activities(there).values())
    return [f"{n} {word}s for entry {entry}" for word, by in counts.items() for entry, n in by.items() if n > 1]


def differences(
    runtime: Runtime, there: Mapping[str, Mapping[str, Any]], lanes: Sequence[Lane] = tuple(Lane)
) -> list[str]:
    """Return entries of ``lanes`` with nothing there, and what is open there without a reason. Empty: converged.

    A human may have done or deleted what an entry is open for since it was decided: that is there, and is not open.
    """
    names = {a.name for lane in lanes for a in runtime.activation.lane_audiences(lane) if a.asks()}
    with runtime.warehouse.read() as con:
        rows = con.execute(
            """SELECT m.entry_id, m.audience, a.destination, m.exited_at IS NULL AS inside, m.cio_id
            FROM audience.memberships AS m JOIN audience.assignments AS a ON a.entry_id = m.entry_id
            WHERE m.touch AND NOT m.ghost AND NOT m.baseline"""
        ).fetchall()
        linked = set(
            con.execute("SELECT destination, cio_id FROM delivery.links WHERE record_id IS NOT NULL").fetchall()
        )
    placed = {"hubspot": tasks(there), "pipedrive": activities(there)}
    made = {place: {a.entry for a in found.values()} for place, found in placed.items()}
    is_open = {place: {a.entry for a in found.values() if a.open} for place, found in placed.items()}
    wrong = []
    for entry, audience, place, inside, cio_id in rows:
        if audience not in names:
            continue
        if inside and entry not in made[place] and (place, cio_id) in linked:
            wrong.append(f"{place} asks nobody for {cio_id} in {audience} (entry {entry})")
        if not inside and entry in is_open[place]:
            wrong.append(f"{place} still asks for {cio_id}, who left {audience} (entry {entry})")
    known = {row[0] for row in rows}
    return wrong + [f"{place} asks for an entry nobody decided: {e}" for place, es in made.items() for e in es - known]
