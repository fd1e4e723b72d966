"""``cio-activation rejected``: what destinations reject, why, and when it is tried again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes

if TYPE_CHECKING:
    from cio_activation.delivery.rejected import Refused
    from cio_activation.delivery.unmatched import Unmatched


def rejected(
    people: Annotated[
        bool, typer.Option("--people", help="Also list every operation with its person's cio_id.")
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Have the next run of each step try everything that is rejected once more.")
    ] = False,
    destination: Annotated[str | None, typer.Option(help="With --retry: of this destination only.")] = None,
    json: Json = False,
) -> None:
    """List the rejected operations and fields that are still wanted, and people who have no record; calls nobody.

    Beside them: how many people are withheld from all destinations, as nothing identifies them there.
    """
    from cio_activation.delivery import unmatched
    from cio_activation.delivery.rejected import operations, queue_anew, summary
    from cio_activation.identity.withheld import undeliverable
    from cio_activation.transport.reasons import meaning_of

    with exit_codes(json):
        warehouse = decided().warehouse
        queued = None
        if retry:
            with warehouse.write() as con:
                queued = queue_anew(con, destination)
        with warehouse.read() as con:
            found = summary(con)
            withheld = undeliverable(con)
            listed: list[dict[str, Any]] = operations(con) if people else []
            without = unmatched.summary(con)
            lost: list[dict[str, Any]] = unmatched.people(con) if people else []
    if json:
        rows = [dataclasses.asdict(r) | {"meaning": meaning_of(r.reason)} for r in found]
        result: dict[str, Any] = {"ok": True, "rejected": rows, "undeliverable": withheld}
        result |= {} if queued is None else {"queued_anew": queued}
        result["unmatched"] = [dataclasses.asdict(u) for u in without]
        emit(result | ({"people": listed, "unmatched_people": lost} if people else {}))
        return
    if queued is not None:
        notes.print(f"{queued:,} rejections are due with the next run of their step")
    _show(found, listed)
    _show_unmatched(without, lost)
    for reason, count in withheld.items():
        notes.print(f"{count:,} people are not delivered to any destination: {reason}", markup=False)


def _show_unmatched(found: list[Unmatched], listed: list[dict[str, Any]]) -> None:
    """Print who has no record at a destination, why, and what mends it."""
    if not found:
        return
    table = Table("destination", "no record of theirs, because", "people", "in an audience", "mend")
    for u in found:
        table.add_row(u.destination, u.reason, f"{u.people:,}", f"{u.in_audiences:,}", u.mend)
    notes.print(table)
    for p in listed:
        owner = f", which is {p['owner_cio_id']}'s" if p["owner_cio_id"] else ""
        print(f"{p['destination']} {p['cio_id']} record {p['record_id']}{owner}: {p['reason']}")


def _show(found: list[Refused], listed: list[dict[str, Any]]) -> None:
    from cio_activation.transport.reasons import told

    table = Table("destination", "step", "field", "reason", "operations", "people", "parked", "next try (UTC)")
    for r in found:
        next_try = f"{r.next_try_at:%Y-%m-%d %H:%M}" if r.next_try_at and r.next_try_at.year > 1970 else "next run"
        counts = (f"{r.operations:,}", f"{r.people:,}", f"{r.parked:,}")
        table.add_row(r.destination, r.step, r.field or "", told(r.reason), *counts, next_try)
    notes.print(table if found else "nothing is rejected")
    for o in listed:
        where, what = f"{o['destination']}/{o['step']}", " ".join(w for w in (o["kind"], o["field"]) if w)
        print(f"{where} {what} {o['cio_id']} tried {o['attempts']}, next {o['next_try_at']}: {told(o['reason'])}")
