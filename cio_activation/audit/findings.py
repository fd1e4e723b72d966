"""What audits found, for people to read: the newest audits, their findings, with e-mail addresses masked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

_ADDRESS = re.compile(r"([^\s@<>,;]{1,64})@([^\s@<>,;]+\.[^\s@<>,;]+)")
AUDIT_COLUMNS = (
    "audit_id", "run_id", "destination", "window_key", "started_at", "ended_at", "population", "records", "compared",
    "deviating", "low", "high", "actions", "calls", "note",
)  # fmt: skip
FINDING_COLUMNS = (
    "audit_id", "run_id", "destination", "window_key", "found_at", "kind", "treatment", "subject", "name", "cio_id",
    "record_id", "ours", "theirs",
)  # fmt: skip


def newest(con: Connection, destinations: Sequence[str]) -> list[dict[str, Any]]:
    """Return the newest audit of each destination."""
    rows = con.execute(
        f"""SELECT {", ".join(AUDIT_COLUMNS)} FROM delivery.audits WHERE destination IN ({_listed(destinations)})
        QUALIFY row_number() OVER (PARTITION BY destination ORDER BY ended_at DESC) = 1 ORDER BY destination"""
    ).fetchall()
    return [dict(zip(AUDIT_COLUMNS, row, strict=True)) for row in rows]


def findings(con: Connection, audits: Sequence[str], *, masked: bool = True) -> list[dict[str, Any]]:
    """Return the findings of these audits, each with its person's e-mail address; addresses are masked by default."""
    columns = ", ".join(f"f.{column}" for column in FINDING_COLUMNS)
    rows = con.execute(
        f"""SELECT {columns}, p.email FROM delivery.audit_findings AS f
        LEFT JOIN identity.persons AS p ON p.cio_id = f.cio_id
        WHERE f.audit_id IN ({_listed(audits)})
        ORDER BY f.destination, f.kind, f.subject, f.name, f.cio_id, f.record_id"""
    ).fetchall()
    found = [dict(zip((*FINDING_COLUMNS, "email"), row, strict=True)) for row in rows]
    if masked:
        for one in found:
            one |= {name: mask(one[name]) for name in ("email", "ours", "theirs")}
    return found


def mask(text: str | None) -> str | None:
    """Return ``text`` with the names of e-mail addresses in it hidden: ``a***@example.com``."""
    return None if text is None else _ADDRESS.sub(lambda m: f"{m[1][0]}***@{m[2]}", text)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(literal, names)) or "NULL"
