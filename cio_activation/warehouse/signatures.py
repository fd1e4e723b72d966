"""Who signed that what an audience puts into the CRMs is right: an audience, a version, and the sample looked at.

Nothing waits for a signature. An audience that asks a human to act is warned of until its version has one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation, Audience
from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import LAUNCHES, SAMPLES, SIGNATURES


@dataclass(frozen=True)
class Signature:
    """The newest signature of an audience."""

    audience: str
    version: int
    signed_at: datetime
    """Naive UTC."""
    signed_by: str
    why: str
    sample_id: str

    def __str__(self) -> str:
        return (
            f"version {self.version} on {self.signed_at:%Y-%m-%d %H:%M} UTC by {self.signed_by} "
            f"(sample {self.sample_id}): {self.why}"
        )


def newest(con: Connection) -> Mapping[str, Signature]:
    """Return the newest signature of each audience that has one."""
    rows = con.execute(
        f"""SELECT audience, version, signed_at, signed_by, why, sample_id FROM {SIGNATURES}
        QUALIFY row_number() OVER (PARTITION BY audience ORDER BY signed_at DESC, version DESC) = 1 ORDER BY audience"""
    ).fetchall()
    return {str(row[0]): Signature(*row) for row in rows}


def told(signed: Mapping[str, Signature], audience: Audience) -> str | None:
    """Return who signed this version of ``audience``, or that nobody did; None where nobody has to, and nobody did.

    ``signed``: the newest signatures.
    """
    found = signed.get(audience.name)
    if found is not None and found.version == audience.version:
        return str(found)
    if not audience.asks():
        return None
    return f"not signed: version {audience.version}" + (f"; signed was {found}" if found else "")


def unsigned(con: Connection, activation: Activation) -> list[Audience]:
    """Return the audiences that ask a human to act, have begun to, and whose version nobody has signed."""
    signed = {name: found.version for name, found in newest(con).items()}
    begun = {str(name) for (name,) in con.execute(f"SELECT DISTINCT audience FROM {LAUNCHES}").fetchall()}
    return [
        a
        for a in activation.audiences.values()
        if a.asks() and a.name in begun and signed.get(a.name) != a.version
    ]  # fmt: skip


def advice(warehouse: Path, activation: Activation) -> list[str]:
    """Return a sentence where audiences that ask a human to act are unsigned; changes nothing."""
    if not warehouse.exists():
        return []
    with Warehouse(warehouse).read() as con:
        if not exists(con, SIGNATURES):
            return []  # a home of an earlier release that no run has opened since
        found = unsigned(con, activation)
    return [f"{sentence(found)}; {MEND}"] if found else []


MEND = "`cio-activation sample` writes the page to look at, `cio-activation sign AUDIENCE --why ...` keeps who signed"


def sentence(found: Sequence[Audience]) -> str:
    """Return what is to be said of audiences that are unsigned."""
    names = ", ".join(f"{a.name} (version {a.version})" for a in found)
    asks, them = ("asks", "it") if len(found) == 1 else ("ask", "them")
    return f"{names} {asks} a human to act, and nobody signed {them}"


def sign(
    con: Connection,
    activation: Activation,
    audiences: Sequence[str],
    *,
    now: datetime,
    who: str,
    why: str,
    sample_id: str | None = None,
) -> list[Signature]:
    """Sign the versions that ``audiences`` have now, on a sample (the newest one by default).

    Raises ConfigError for an audience that the activation does not have, without a reason, or where the sample is of
    no such version: what nobody could look at cannot be signed.
    """
    if unknown := [name for name in audiences if name not in activation.audiences]:
        there = ", ".join(activation.audiences) or "none"
        raise ConfigError(f"there is no audience {', '.join(unknown)}; there are: {there}")
    if not why.strip():
        raise ConfigError("say why: what was looked at, for whoever asks later")
    sample, shows = _sample(con, sample_id)
    if other := [n for n in audiences if shows.get(n) != activation.audiences[n].version]:
        listed = ", ".join(f"{name} version {activation.audiences[name].version}" for name in other)
        raise ConfigError(f"the sample {sample} does not show {listed}: `cio-activation sample` makes one that does")
    for name in dict.fromkeys(audiences):
        con.execute(
            f"INSERT INTO {SIGNATURES} VALUES (?, ?, ?, ?, ?, ?)",
            [name, activation.audiences[name].version, now, who, why, sample],
        )
    found = newest(con)
    return [found[name] for name in dict.fromkeys(audiences)]


def _sample(con: Connection, sample_id: str | None) -> tuple[str, dict[str, int]]:
    """Return a sample and which audience it shows in which version."""
    where, values = ("", []) if sample_id is None else ("WHERE sample_id = ?", [sample_id])
    rows = con.execute(
        f"SELECT sample_id, audiences FROM {SAMPLES} {where} ORDER BY made_at DESC LIMIT 1", values
    ).fetchall()
    if rows:
        return str(rows[0][0]), json.loads(rows[0][1])
    what = "there is no sample yet" if sample_id is None else f"there is no sample {sample_id}"
    raise ConfigError(f"{what}: `cio-activation sample` makes one, for whoever signs to look at")
