"""Where somebody stood in an audience at an instant of the past, by what was decided up to then."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from cio_activation.activation.expressions import gate_conditions
from cio_activation.activation.models import Activation
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.tables import SQL_TYPE
from cio_activation.why import values
from cio_activation.why.decisions import sentence
from cio_activation.why.facts import Asking, told


def place(asking: Asking, cio_id: str, audience: str) -> tuple[str, str, str | None]:
    """Return ``in``, ``code`` or ``then``, a sentence, and the code that was given, if any."""
    found = _last(asking, cio_id, audience)
    label, when = asking.label(audience), told(asking.as_of)
    if not found or found[0]["decision"] not in ("entered", "withheld"):
        failed = _failed(asking, cio_id, audience)
        last = (
            f"{_said(asking, found[0])}; since then" if found else f"had never been a candidate for {label} by {when}:"
        )
        why = (
            failed or "not in its source, or not past what its gate asks of attributes, of which no history is retained"
        )
        return "then", f"{last} {why}", found[0]["code"] if found else None
    because = "in" if found[0]["decision"] == "entered" else "code"
    return because, f"{_said(asking, found[0])}; nothing else was decided up to {when}", found[0]["code"]


def newest(asking: Asking, cio_id: str, audience: str) -> str:
    """Return in a sentence what was decided last."""
    found = _last(asking, cio_id, audience)
    return _said(asking, found[0]) if found else "nothing was decided yet"


def _said(asking: Asking, row: dict[str, Any]) -> str:
    return f"{sentence(asking, row)}, as of {told(row['as_of'])}"


def _last(asking: Asking, cio_id: str, audience: str) -> list[dict[str, Any]]:
    return asking.rows(
        f"""SELECT * FROM outcome.why_decisions WHERE cio_id = ? AND audience = ?{asking.until}
        ORDER BY as_of DESC, decision = 'entered' DESC LIMIT 1""",
        [cio_id, audience],
    )


def _failed(asking: Asking, cio_id: str, audience: str) -> str | None:
    """Return the first part of that day's gate that the person's properties of that day did not meet.

    Only parts that read properties: of attributes no history is retained.
    """
    activation = _of_the_day(asking, audience)
    stood = values.raw(asking, cio_id)
    for condition in gate_conditions(activation, activation.audiences[audience]):
        names = sorted(condition.columns)
        known = all(name in activation.properties and stood.get(name) != values.UNKNOWN for name in names)
        if not names or condition.moments or not known:
            continue
        types = [SQL_TYPE[activation.properties[name].type] for name in names]
        row = ", ".join(f"TRY_CAST(? AS {kind}) AS {identifier(name)}" for name, kind in zip(names, types, strict=True))
        given = [None if stood.get(name) is None else str(stood[name]) for name in names]
        if not asking.rows(f"SELECT {condition.sql} AS holds FROM (SELECT {row})", given)[0]["holds"]:
            read = asking.listed({name: stood.get(name) for name in names})
            return f"`{condition.text}` did not hold: {read}"
    return None


def _of_the_day(asking: Asking, audience: str) -> Activation:
    """Return the activation that was used at the instant; today's, where it is not retained or lacks the audience."""
    found = asking.rows(
        "SELECT rules FROM audience.activations WHERE first_used <= ? ORDER BY last_used DESC LIMIT 1", [asking.as_of]
    )
    try:
        kept = Activation.stored(found[0]["rules"]) if found else asking.activation
    except ValidationError:
        return asking.activation
    return kept if audience in kept.audiences else asking.activation
