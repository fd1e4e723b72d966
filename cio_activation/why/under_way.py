"""What was sent for a person and is in no ledger yet: on its way, without an answer, or of a run that was killed.

The ledger has an attempt once it is folded; until then the journal knows more than the warehouse, and a story without
it would say that nothing was sent.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from cio_activation.journal.inspection import attempts_of
from cio_activation.why.facts import Asking

Key = tuple[str, str]
"""Plan and operation: a plan sends an operation once."""


def attempts(asking: Asking, cio_id: str, known: Collection[Key] = ()) -> list[dict[str, Any]]:
    """Return the attempts as rows of ``outcome.why_writes``, without those ``known`` to the ledger."""
    if cio_id not in asking.under_way:
        asking.under_way[cio_id] = [_row(found) for found in attempts_of(asking.settings.journal, cio_id)]
    return [
        row
        for row in asking.under_way[cio_id]
        if key_of(row) not in known and (asking.as_of is None or row["as_of"] <= asking.as_of)
    ]


def key_of(row: dict[str, Any]) -> Key:
    """Return the plan and the operation of a row."""
    return str(row["plan_id"]), str(row["operation_id"])


def _row(found: dict[str, Any]) -> dict[str, Any]:
    instants = {name: _instant(found[name]) for name in ("intent_at", "ended_at")}
    record = found["result_record_id"] or found["record_id"]
    return found | instants | {"as_of": _instant(found["window_end"]), "record_id": record}


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
