"""What HubSpot and Pipedrive should hold, worked out from the deciding tables alone, against what they do hold.

Reads neither shadow nor links nor ledger: whatever delivery believes, only what the stand-ins show counts. The
vendors' values are written here a second time, in Python, on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cio_activation.activation.models import Activation, Lane, Property, PropertyType
from cio_activation.runtime import Runtime

KEY = "cio_id"
AUDIENCES = "cio_audiences"


@dataclass
class Decided:
    """The deciding rooms' present answer."""

    persons: dict[str, dict[str, Any]]
    values: dict[Lane, dict[str, dict[str, Any]]]
    inside: dict[str, set[str]]
    excused: dict[str, set[str]] = field(default_factory=dict)
    """Destination -> people it refuses, and says so: in ``delivery.rejected``, or an e-mail that is taken."""


def decided(runtime: Runtime) -> Decided:
    """Read persons, states and members."""
    with runtime.warehouse.read() as con:
        persons = con.execute("SELECT cio_id, email, deliverable FROM identity.persons").fetchall()
        values: dict[Lane, dict[str, dict[str, Any]]] = {}
        for lane in Lane:
            names = [p.name for p in runtime.activation.lane_properties(lane)]
            listed = ", ".join(f'"{n}"' for n in names)
            rows = con.execute(f"SELECT cio_id, {listed} FROM state.{lane}_properties").fetchall()
            values[lane] = {r[0]: dict(zip(names, r[1:], strict=True)) for r in rows}
        # Of a held-out person nothing is delivered.
        members = con.execute(
            "SELECT audience, cio_id FROM audience.memberships WHERE exited_at IS NULL AND ghost IS NOT TRUE"
        ).fetchall()
        refused = con.execute(
            """SELECT destination, cio_id FROM delivery.rejected UNION
            SELECT destination, cio_id FROM delivery.links WHERE matched_by = 'email_taken'"""
        ).fetchall()
    inside: dict[str, set[str]] = {name: set() for name in runtime.activation.audiences}
    for name, cio_id in members:
        inside[name].add(cio_id)
    excused: dict[str, set[str]] = {}
    for destination, cio_id in refused:
        excused.setdefault(destination, set()).add(cio_id)
    return Decided({c: {"email": e, "deliverable": d} for c, e, d in persons}, values, inside, excused)


def differences(
    runtime: Runtime, there: Mapping[str, Mapping[str, Any]], lanes: Sequence[Lane] = tuple(Lane)
) -> list[str]:
    """Return in words where ``there`` (state of both vendors) differs from what ``lanes`` decided. Empty: converged."""
    wanted = decided(runtime)
    return [
        *_hubspot(runtime.activation, wanted, there["hubspot"], lanes),
        *_pipedrive(runtime.activation, wanted, there["pipedrive"], lanes),
    ]


def doubles(there: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return records that carry the same ``cio_id``, or the same e-mail, as another one."""
    found: list[str] = []
    contacts = list(there["hubspot"]["contacts"].values())
    found += _twice("hubspot cio_id", (c.get(KEY) for c in contacts))
    found += _twice("hubspot e-mail", ((c.get("email") or "").lower() for c in contacts))
    persons = list(there["pipedrive"]["persons"].values())
    found += _twice("pipedrive cio_id", (p["custom_fields"].get(KEY) for p in persons))
    found += _twice("pipedrive e-mail", (e.lower() for p in persons for e in set(p["emails"])))
    return found


def _twice(what: str, values: Iterable[Any]) -> list[str]:
    return [
        f"{what} {value} on {count} records" for value, count in Counter(v for v in values if v).items() if count > 1
    ]


def _hubspot(activation: Activation, wanted: Decided, there: Mapping[str, Any], lanes: Sequence[Lane]) -> list[str]:
    found: list[str] = []
    by_person = {c[KEY]: (i, c) for i, c in there["contacts"].items() if c.get(KEY)}
    excused = wanted.excused.get("hubspot", set())
    for cio_id, person in wanted.persons.items():
        if person["deliverable"] and cio_id not in by_person and cio_id not in excused:
            found.append(f"hubspot has no contact of {cio_id}")
    properties = [p for lane in lanes for p in activation.lane_properties(lane, "hubspot")]
    for record_id, contact in there["contacts"].items():
        cio_id = contact.get(KEY)
        for prop in properties:
            value = _wire(prop, wanted.values[prop.lane].get(cio_id, {}).get(prop.name) if cio_id else None)
            shown = contact.get(f"cio_{prop.name}") or None
            if shown != value and cio_id not in excused:
                found.append(f"hubspot contact {record_id} ({cio_id}) {prop.name}: {shown!r}, not {value!r}")
    lists = {one["name"]: set(one["members"]) for one in there["lists"] if not one["deleted"]}
    for lane in lanes:
        for audience in activation.lane_audiences(lane, "hubspot"):
            members = {by_person[c][0] for c in wanted.inside[audience.name] if c in by_person and c not in excused}
            held = lists.get(f"{audience.label} [v{audience.version}]", set())
            held -= {by_person[c][0] for c in excused if c in by_person}
            if held != members:
                found.append(f"hubspot list {audience.name}: {sorted(held)}, not {sorted(members)}")
    return found


def _pipedrive(activation: Activation, wanted: Decided, there: Mapping[str, Any], lanes: Sequence[Lane]) -> list[str]:
    found: list[str] = []
    by_person = {p["custom_fields"][KEY]: p for p in there["persons"].values() if p["custom_fields"].get(KEY)}
    excused = wanted.excused.get("pipedrive", set())
    audiences = [a for lane in lanes for a in activation.lane_audiences(lane, "pipedrive")]
    labels = {a.name: a.label for a in audiences}
    emails = {e.lower(): p for p in there["persons"].values() for e in p["emails"]}
    for cio_id, person in wanted.persons.items():
        due = any(cio_id in wanted.inside[name] for name in labels) or person["email"] in emails
        if person["deliverable"] and due and cio_id not in by_person and cio_id not in excused:
            found.append(f"pipedrive has no person of {cio_id}")
    properties = [p for lane in lanes for p in activation.lane_properties(lane, "pipedrive")]
    for person in there["persons"].values():
        held = person["custom_fields"]
        cio_id = held.get(KEY)
        if cio_id in excused:
            continue
        if cio_id and cio_id not in wanted.persons:
            found.append(f"pipedrive person {person['id']} still carries {cio_id}, who is no more")
        for prop in properties:
            value = _wire(prop, wanted.values[prop.lane].get(cio_id, {}).get(prop.name) if cio_id else None)
            if (held.get(f"cio_{prop.name}") or None) != value:
                found.append(
                    f"pipedrive person {person['id']} ({cio_id}) {prop.name}: {held.get(f'cio_{prop.name}')!r}, not {value!r}"
                )
        ours = set(held.get(AUDIENCES) or ()) & set(labels.values())
        due_in = {label for name, label in labels.items() if cio_id in wanted.inside[name]}
        if ours != due_in:
            found.append(f"pipedrive person {person['id']} ({cio_id}) audiences: {sorted(ours)}, not {sorted(due_in)}")
    return found


def _wire(prop: Property, value: Any) -> str | None:
    if value is None:
        return None
    if prop.type is PropertyType.FLAG:
        return "true" if value else "false"
    if prop.type is PropertyType.NUMBER:
        return format(value, ".15g")
    return str(value)
