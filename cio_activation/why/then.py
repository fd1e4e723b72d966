"""Where somebody stood in an audience at an instant of the past, by what was decided up to then."""

from __future__ import annotations

from typing import Any

from cio_activation.why.decisions import sentence
from cio_activation.why.facts import Asking, told


def place(asking: Asking, cio_id: str, audience: str) -> tuple[str, str, str | None]:
    """Return ``in``, ``code`` or ``then``, a sentence, and the code that was given, if any."""
    found = _last(asking, cio_id, audience)
    label, when = asking.label(audience), told(asking.as_of)
    if not found:
        return (
            "then",
            f"had never been a candidate for {label} by {when}: not in its source, or not past its gate",
            None,
        )
    said = f"{sentence(asking, found[0])}, as of {told(found[0]['as_of'])}; nothing else was decided up to {when}"
    because = {"entered": "in", "withheld": "code"}.get(found[0]["decision"], "then")
    return because, said, found[0]["code"]


def newest(asking: Asking, cio_id: str, audience: str) -> str:
    """Return in a sentence what was decided last."""
    found = _last(asking, cio_id, audience)
    return f"{sentence(asking, found[0])}, as of {told(found[0]['as_of'])}" if found else "nothing was decided yet"


def _last(asking: Asking, cio_id: str, audience: str) -> list[dict[str, Any]]:
    return asking.rows(
        f"""SELECT * FROM outcome.why_decisions WHERE cio_id = ? AND audience = ?{asking.until}
        ORDER BY as_of DESC, decision = 'entered' DESC LIMIT 1""",
        [cio_id, audience],
    )
