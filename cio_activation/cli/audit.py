"""``cio-activation audit``: reads back what was delivered, and lists what lies there otherwise."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cio_activation.cli.output import Json, Personal, decided, emit, exit_codes, notes, shows_personal
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.audit.run import Audit
    from cio_activation.runtime import Runtime


def audit(
    destination: Annotated[list[str] | None, typer.Option(help="Only this destination; may be given again.")] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="So many people; `limits.audits.sample` of the activation by default.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Everybody who has a record, and whoever else is on our lists.")
    ] = False,
    calls: Annotated[
        int | None,
        typer.Option(min=1, help="At most about so many calls to each destination; what was read until then counts."),
    ] = None,
    findings: Annotated[
        bool, typer.Option("--findings", help="Read nothing back; list what the newest audits found.")
    ] = False,
    personal: Personal = False,
    json: Json = False,
) -> None:
    """Read back a sample of what was delivered, or all, and compare it with what was acknowledged; only reads.

    What is ours is written anew by the next run, what a human wrote is kept as `on_conflict` says. The same window
    draws the same people.
    """
    shows_personal("audit", personal)
    with exit_codes(json):
        if everybody and sample is not None:
            raise ConfigError("--all reads everybody, --sample so many: give one of them")
        runtime = decided()
        made = [] if findings else _audit(runtime, destination or [], sample, everybody, calls)
        told = _listed(
            runtime, destination or [], [one.audit_id for one in made] if made else None, masked=not personal
        )
    if json:
        audits = [dataclasses.asdict(one) for one in made] or told["audits"]
        emit({"ok": True, "audits": audits} | ({"findings": told["findings"]} if findings else {}))
        return
    if not told["audits"]:
        notes.print("nothing was audited yet: `cio-activation audit` does it")
        return
    for one in told["audits"]:
        _show(one)
    _show_findings(told["findings"], each=findings)


def _audit(runtime: Runtime, names: list[str], sample: int | None, everybody: bool, calls: int | None) -> list[Audit]:
    from cio_activation.audit.run import audit as read_back
    from cio_activation.audit.run import audited
    from cio_activation.destinations import DESTINATIONS

    declared = [d for d in DESTINATIONS if d.name in runtime.activation.destinations]
    _require(names, [d.name for d in declared])
    chosen = [d for d in declared if d.name in names] or audited(declared, [d.name for d in declared])
    size = None if everybody else sample or runtime.activation.limits.audits.sample
    run_id = f"cli-{uuid.uuid4().hex[:12]}"
    return [read_back(runtime, d, run_id, sample=size, calls=calls) for d in chosen]


def _require(names: list[str], known: list[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(f"--destination {', '.join(unknown)}: there is {', '.join(known) or 'none'}")


def _listed(runtime: Runtime, names: list[str], audits: list[str] | None, *, masked: bool) -> dict[str, Any]:
    from cio_activation.audit import findings as kept

    with runtime.warehouse.read() as con:
        newest = kept.newest(con, names or list(runtime.activation.destinations))
        chosen = [one for one in newest if audits is None or one["audit_id"] in audits]
        return {"audits": chosen, "findings": kept.findings(con, [one["audit_id"] for one in chosen], masked=masked)}


def _show(one: dict[str, Any]) -> None:
    share = one["deviating"] / one["compared"] if one["compared"] else 0.0
    between = "" if one["low"] == one["high"] else f", so {one['low']:.2%} to {one['high']:.2%} of all"
    notes.print(
        f"{one['destination']}, window {one['window_key']}: {one['deviating']:,} of {one['compared']:,} records "
        f"deviate ({share:.2%}{between}); {one['population']:,} people have a record; {one['calls']:,} calls",
        markup=False,
    )
    if one["note"]:
        notes.print(one["note"], markup=False)


def _show_findings(found: list[dict[str, Any]], *, each: bool) -> None:
    from cio_activation.audit.kinds import DONE, MEANING, Kind, Treatment

    counts: dict[tuple[str, ...], int] = {}
    for one in found:
        key = (one["destination"], one["kind"], one["subject"], one["name"] or "", one["treatment"])
        counts[key] = counts.get(key, 0) + 1
    if not counts:
        notes.print("nothing lies otherwise than it was acknowledged")
        return
    table = Table("destination", "found", "what", "name", "how many", "meaning", "becomes of it")
    for (where, kind, subject, name, treatment), count in counts.items():
        table.add_row(where, kind, subject, name, f"{count:,}", MEANING[Kind(kind)], DONE[Treatment(treatment)])
    notes.print(table)
    for one in found if each else ():
        who = " ".join(w for w in (one["cio_id"], one["email"]) if w) or "nobody of ours"
        values = f": {one['ours'] or ''!r} -> {one['theirs'] or ''!r}" if one["subject"] in ("field", "key") else ""
        what = " ".join(w for w in (one["subject"], one["name"]) if w)
        print(f"{one['destination']} {one['kind']} {what} {who} record {one['record_id']}{values} ({one['treatment']})")
