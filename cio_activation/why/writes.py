"""What was sent for a person and what the vendors answered, and what humans did with what they were asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cio_activation.journal.operations import End, Kind
from cio_activation.journal.statements import SENDING
from cio_activation.transport.reasons import told as reason_told
from cio_activation.why.facts import Asking, Fact, minute, parsed, told
from cio_activation.why.under_way import attempts, key_of

_ENDS: Mapping[str, str] = {
    End.DELIVERED: "taken",
    End.UNNEEDED: "nothing was left to do",
    End.RETRY: "no certain answer, planned again",
    End.UNKNOWN: "sent, and what came of it is not known; the next run looks",
    SENDING: "on its way, or the run was killed; the next run looks",
}
_ACTS: Mapping[str, str] = {
    "done": "was done",
    "deleted": "was deleted by a human",
    "snoozed": "was put off",
    "taken_up": "was taken up by a human",
    "reassigned": "was given to somebody else",
    "outcome": "has the outcome",
    "withdrawn": "was taken back by a person of ours",
}
_NOT_SHOWN = frozenset(
    {"entry_id", "audience", "content", "shown", "evidence", "moments", "segment", "entered_at", "id"}
)
"""Of an action's payload what tells a person nothing, or what the decision tells already."""


def facts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return every attempt to change something for the person."""
    rows = asking.rows(f"SELECT * FROM outcome.why_writes WHERE cio_id = ?{asking.until} ORDER BY ended_at", [cio_id])
    rows += attempts(asking, cio_id, {key_of(row) for row in rows})
    return [
        Fact(
            what="write",
            sentence=f"{row['destination']}: {done(asking, row)}: {_answer(row, kind_of(asking, row))}",
            as_of=row["as_of"],
            about=row["target"] if kind_of(asking, row).writes_membership else parsed(row["payload"]).get("audience"),
            destination=row["destination"],
            window_key=row["window_key"],
            run_id=row["run_id"],
            values={
                "kind": row["kind"], "step": row["step"], "end": row["end"], "reason": row["reason"],
                "status": row["status"], "record_id": row["record_id"], "correlation_id": row["request_id"],
                "operation_id": row["operation_id"], "plan_id": row["plan_id"], "ended_at": row["ended_at"],
            },
        )
        for row in rows
    ]  # fmt: skip


def acts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return what humans did with what they were asked to do for the person."""
    rows = asking.rows(f"SELECT * FROM outcome.why_acts WHERE cio_id = ?{asking.until}", [cio_id])
    return [
        Fact(
            what="act",
            sentence=f"{row['destination']}: the {row['kind']} {row['record_id']} for {asking.label(row['audience'])} "
            f"{_ACTS.get(row['act'], row['act'])}"
            + (f" until {minute(row['until'])}" if row["until"] else "")
            + (f": {row['detail']}" if row["detail"] else ""),
            as_of=row["as_of"],
            about=row["audience"],
            destination=row["destination"],
            values={name: row[name] for name in ("act", "kind", "record_id", "detail", "until", "seen_at")},
        )
        for row in rows
    ]


def kind_of(asking: Asking, row: Mapping[str, Any]) -> Kind:
    """Return the kind of a row's operation; of one that no step declares any more, what its name says."""
    return asking.kinds.get((row["destination"], row["kind"])) or Kind(name=row["kind"])


def done(asking: Asking, row: Mapping[str, Any]) -> str:
    """Return what an operation does, with what it is done to."""
    kind, payload = kind_of(asking, row), parsed(row["payload"])
    words = kind.told or kind.name.replace("_", " ")
    if kind.writes_membership:
        return f"{words} {asking.label(row['target'])}"
    if "audience" in payload and "entry_id" in payload:
        words += f" for {asking.label(payload['audience'])}"
    if kind.writes_fields and (inside := _inside(payload)) is not None:
        payload = payload | {"audiences": ", ".join(inside) or "none"}
    values = {name: value for name, value in payload.items() if name not in _NOT_SHOWN and value not in (None, "")}
    values |= {name: None for name, value in payload.items() if kind.writes_fields and value in (None, "")}
    if kind.empties:
        return f"{words} {', '.join(payload)}"
    listed = asking.listed(values)
    if not listed:
        return words
    return f"{words} {listed}" if kind.writes_fields else f"{words} ({listed})"


def _inside(payload: Mapping[str, Any]) -> list[str] | None:
    """Return the audiences that a flag says the person is in; None where none is written."""
    flag = payload.get("audiences")
    if not isinstance(flag, str) or not flag.startswith("{"):
        return None
    return [str(name) for name in json.loads(flag).get("in", [])]


def _answer(row: Mapping[str, Any], kind: Kind) -> str:
    """Return what the vendor answered, with what its support would ask for."""
    if kind.links and row["end"] == End.DELIVERED:
        said = "found" if row["record_id"] else "none is there"
    elif row["end"] == End.REJECTED:
        said = f"rejected: {reason_told(row['reason'] or 'no reason given')}"
    else:
        said = _ENDS.get(row["end"], row["end"]) + (f": {row['reason']}" if row["reason"] else "")
    ids = [
        f"{name} {told(value)}"
        for name, value in (
            ("HTTP", row["status"]),
            ("record", row["record_id"]),
            ("correlation id", row["request_id"]),
        )
        if value
    ]
    return f"{said} ({', '.join(ids)})" if ids else said
