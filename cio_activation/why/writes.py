"""What was sent for a person and what the vendors answered, what humans did, and what does not come through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cio_activation.delivery.release import plan_file
from cio_activation.journal.operations import End, Kind
from cio_activation.transport.reasons import told as reason_told
from cio_activation.warehouse.sql import literal
from cio_activation.why.facts import Asking, Fact, minute, parsed, told
from cio_activation.why.windows import window_of

_ENDS: Mapping[str, str] = {
    End.DELIVERED: "taken",
    End.UNNEEDED: "nothing was left to do",
    End.RETRY: "no certain answer, planned again",
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
_OBSTACLES: Mapping[str, str] = {
    "refused": "a value could not be read and was refused",
    "stale": "the last good value stands, since what came could not be read",
    "key_clash": "somebody else has the same match key",
    "gone": "the record was deleted or merged there, and none is made in its place",
    "rejected": "the vendor rejects it",
    "conflict": "a human changed the value, and it is left as it is",
    "deferred": "did not fit and goes first next time",
}
"""Obstacle -> what it is, of ``outcome.why_obstacles``."""
_NOT_SHOWN = frozenset(
    {"entry_id", "audience", "content", "shown", "evidence", "moments", "segment", "entered_at", "id"}
)
"""Of an action's payload what tells a person nothing, or what the decision tells already."""


def facts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return every attempt to change something for the person."""
    rows = asking.rows(f"SELECT * FROM outcome.why_writes WHERE cio_id = ?{asking.until} ORDER BY ended_at", [cio_id])
    return [
        Fact(
            what="write",
            sentence=f"{row['destination']}: {_done(asking, row)}: {_answer(row)}",
            as_of=row["as_of"],
            about=row["target"] if _kind(asking, row).writes_membership else parsed(row["payload"]).get("audience"),
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


def obstacles(asking: Asking, cio_id: str) -> list[Fact]:
    """Return what does not come through; for a time in the past, what was noted up to then."""
    found = [_obstacle(asking, row) for row in asking.rows("FROM outcome.why_obstacles WHERE cio_id = ?", [cio_id])]
    if asking.as_of is None:
        return found + _stopped(asking, cio_id)
    return [fact for fact in found if fact.as_of is not None and fact.as_of <= asking.as_of]


def _obstacle(asking: Asking, row: Mapping[str, Any]) -> Fact:
    as_of = row["as_of"]
    if as_of is None and row["obstacle"] == "refused":
        window = window_of(asking.activation, row["lane"], row["window_key"])
        as_of = window.as_of if window is not None else None
    about = f" {row['about']}" if row["about"] else ""
    reason = f": {reason_told(row['reason'])}" if row["reason"] else ""
    other = f" (owner: {row['other_cio_id']})" if row["other_cio_id"] else ""
    again = f"; tried again from {minute(row['until'])}" if row["until"] and row["until"].year > 1970 else ""
    return Fact(
        what="obstacle",
        sentence=f"{row['place']}{about}: {_OBSTACLES[row['obstacle']]}{reason}{other}{again}",
        as_of=as_of,
        about=row["about"],
        window_key=row["window_key"],
        values={name: row[name] for name in ("obstacle", "place", "reason", "other_cio_id", "until")},
    )


def _stopped(asking: Asking, cio_id: str) -> list[Fact]:
    """Return what the newest plan of a step held of the person's: by a guard, the budget, or as the run was stopped."""
    found = []
    for plan in asking.rows(
        """SELECT * FROM delivery.plans WHERE made_at IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC) = 1"""
    ):
        path = plan_file(asking.settings, plan["lane"], plan["window_key"], plan["plan_id"])
        if not plan["held"] or not path.is_file():
            continue
        unsent = asking.rows(
            f"""SELECT destination, kind, record_id, target, payload FROM (
                SELECT *, ? AS destination FROM read_parquet({literal(str(path))}) WHERE cio_id = ?) AS p
            WHERE NOT EXISTS (FROM delivery.ledger AS l WHERE l.cio_id = ? AND l.plan_id = ?
                AND l.operation_id = p.operation_id AND l."end" <> 'retry')""",
            [plan["destination"], cio_id, cio_id, plan["plan_id"]],
        )
        because = plan["note"] or "the run was stopped, or the day's budget was used up"
        found += [
            Fact(
                what="obstacle",
                sentence=f"{row['destination']}: not sent yet: {_done(asking, row)}: {because}",
                as_of=plan["window_end"],
                about=row["target"],
                destination=row["destination"],
                window_key=plan["window_key"],
                run_id=plan["run_id"],
                values={"obstacle": "held", "plan_id": plan["plan_id"], "guards": json.loads(plan["guards"] or "[]")},
            )
            for row in unsent
        ]
    return found


def _kind(asking: Asking, row: Mapping[str, Any]) -> Kind:
    return asking.kinds.get((row["destination"], row["kind"])) or Kind(name=row["kind"])


def _done(asking: Asking, row: Mapping[str, Any]) -> str:
    """Return what an operation does, with what it is done to."""
    kind, payload = _kind(asking, row), parsed(row["payload"])
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


def _answer(row: Mapping[str, Any]) -> str:
    """Return what the vendor answered, with what its support would ask for."""
    if row["end"] == End.REJECTED:
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
