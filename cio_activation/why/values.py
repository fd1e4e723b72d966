"""What a person's properties were, and why they changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import groupby
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.state.columns import table
from cio_activation.warehouse.sql import exists
from cio_activation.why.facts import HIDDEN, Asking, Fact, parsed

_WHY: Mapping[str, str] = {
    "clock": "by the clock alone",
    "attribute": "since what it is derived from changed",
    "rule": "since its rule changed",
    "last_good": "since it could be read again; until then the last good value stood",
}
UNKNOWN = "(not known)"
"""Shown for a value of a time of which no history is retained."""


def facts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return every change of a property; who came or went is one fact, with all values."""
    rows = asking.rows(
        f"SELECT * FROM outcome.why_values WHERE cio_id = ?{asking.until} ORDER BY derivation, property", [cio_id]
    )
    found = []
    for (_, why), group in groupby(rows, key=lambda row: (row["derivation"], _together(row))):
        changes = list(group)
        first = changes[0]
        if why == "arrived":
            listed = ", ".join(asking.shown(one["property"], one["value"]) for one in changes)
            sentence = f"was first known, with {listed}"
        elif why == "departed":
            sentence = "Customer.io has the person no more; all values are gone"
        else:
            sentence = _changed(asking, first)
        found.append(
            Fact(
                what="value",
                sentence=sentence,
                as_of=first["as_of"],
                about=None if why in ("arrived", "departed") else first["property"],
                window_key=first["window_key"],
                run_id=first["run_id"],
                activation=first["activation"],
                values={one["property"]: _interval(asking, one) for one in changes},
            )
        )
    return found


def now(asking: Asking, cio_id: str) -> dict[str, Any]:
    """Return the person's properties to be shown, of both lanes; as of an instant, if that is asked for."""
    return {name: _hidden(asking, name, value) for name, value in raw(asking, cio_id).items()}


def raw(asking: Asking, cio_id: str) -> dict[str, Any]:
    """Return the same, with personal data."""
    found: dict[str, Any] = {}
    for lane in Lane:
        if not exists(asking.con, table(lane)):
            continue
        names = [p.name for p in asking.activation.lane_properties(lane)]
        rows = asking.rows(f"FROM {table(lane)} WHERE cio_id = ?", [cio_id])
        present = {name: rows[0].get(name) if rows else None for name in names}
        found |= present if asking.as_of is None else _at(asking, cio_id, lane, present, asking.as_of)
    return found


def _at(asking: Asking, cio_id: str, lane: Lane, present: dict[str, Any], instant: datetime) -> dict[str, Any]:
    """Return what stood at ``instant``: the value before the first change since, else the present one."""
    begun = asking.rows(
        """SELECT property, min(as_of) AS since
        FROM (SELECT unnest(begins) AS property, as_of FROM state.derivations WHERE lane = ?) GROUP BY property""",
        [lane.value],
    )
    oldest = asking.rows("SELECT min(as_of) AS at FROM state.derivations WHERE lane = ?", [lane.value])[0]["at"]
    since = {row["property"]: row["since"] for row in begun}
    changed = asking.rows(
        """SELECT property, arg_min(coalesce(before, ''), derivation) AS before FROM outcome.why_values
        WHERE cio_id = ? AND lane = ? AND as_of > ? GROUP BY property""",
        [cio_id, lane.value, instant],
    )
    then = {row["property"]: row["before"] or None for row in changed}
    known = {name: since.get(name, oldest) for name in {*present, *then}}
    return {
        name: UNKNOWN if known[name] is None or instant < known[name] else then.get(name, present.get(name))
        for name in known
    }


def _together(row: Mapping[str, Any]) -> str:
    return str(row["why"] if row["why"] in ("arrived", "departed") else row["property"])


def _changed(asking: Asking, row: Mapping[str, Any]) -> str:
    name = row["property"]
    was, became = (_hidden(asking, name, row[part]) for part in ("before", "value"))
    read = asking.listed(parsed(row["inputs"]))
    told = f"{name} went from {was or 'no value'} to {became or 'no value'} {_WHY[row['why']]}"
    return f"{told} ({read})" if read else told


def _interval(asking: Asking, row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {part: _hidden(asking, row["property"], row[part]) for part in ("before", "value")}
    inputs = {name: _hidden(asking, name, value) for name, value in parsed(row["inputs"]).items()}
    return {**shown, "why": row["why"], "inputs": inputs, "until": row["until"]}


def _hidden(asking: Asking, name: str, value: Any) -> Any:
    return HIDDEN if value is not None and name in asking.private and not asking.personal else value
