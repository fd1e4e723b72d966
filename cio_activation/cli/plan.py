"""``cio-activation plan``: what the next run of a lane would do, computed without calling a vendor."""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cio_activation.activation.models import Lane
from cio_activation.cli.output import Json, decided, emit, exit_codes, notes

if TYPE_CHECKING:
    from cio_activation.journal.days import Allowance


def plan(
    lane: Annotated[Lane | None, typer.Option(help="Only this lane.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Window that contains this instant (UTC); the newest decided one by default."),
    ] = None,
    people: Annotated[bool, typer.Option("--people", help="List every operation: person, field, new value.")] = False,
    json: Json = False,
) -> None:
    """Show the exact operations of the next run, from what was last decided; no vendor is called, nothing changed."""
    with exit_codes(json):
        steps = _plans(lane, as_of.replace(tzinfo=UTC) if as_of else None, people)
    if json:
        emit({"ok": True, "steps": steps})
        return
    names = ("destination", "step", "window", "operations", "kinds", "calls (at least)", "tokens", "left today", "held")
    table = Table(*names)
    for s in steps:
        kinds = ", ".join(f"{k} {n:,}" for k, n in s["kinds"].items())
        counts = (f"{s['operations']:,}", kinds, f"{s['calls']:,}", f"{s['tokens']:,}", _shown(s["budget"]))
        over = s["budget"]["over"] if s["budget"] else 0
        table.add_row(
            s["destination"], s["step"], s["window"], *counts, "held" if s["held"] else f"{over:,}" if over else ""
        )
    notes.print(table)
    _show_effects(steps)
    for s in steps:
        if s["held"]:
            notes.print(f"{s['destination']}/{s['step']} {s['held']}", markup=False)
        for o in s.get("people", []):
            changes = ", ".join(f"{n}: {o['before'].get(n)!r} -> {v!r}" for n, v in o["change"].items())
            print(f"{s['destination']}/{s['step']} {o['kind']} {o['person']} {changes}")


def _show_effects(steps: list[dict[str, Any]]) -> None:
    """Print what all of it comes to for the people in the CRMs, and whose work it makes on which day."""
    effects: Counter[str] = Counter()
    work: Counter[tuple[str, str, str]] = Counter()
    for s in steps:
        effects.update(s["effects"])
        work.update({(s["destination"], w["email"] or w["owner"], w["due"]): w["actions"] for w in s["work"]})
    if effects:
        notes.print("In all: " + ", ".join(f"{effect} {count:,}" for effect, count in effects.items()), markup=False)
    if work:
        table = Table("destination", "who acts", "due", "actions")
        for (destination, owner, due), count in sorted(work.items()):
            table.add_row(destination, owner, due, f"{count:,}")
        notes.print(table)


def _shown(budget: dict[str, Any] | None) -> str:
    return f"{budget['left']:,.0f} {budget['unit']}" if budget and budget["left"] is not None else ""


def _plans(lane: Lane | None, instant: datetime | None, people: bool) -> list[dict[str, Any]]:
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.lanes.partitions import Lanes

    runtime = decided()
    activation = runtime.activation
    lanes = Lanes.of(activation)
    found: list[dict[str, Any]] = []
    for chosen in [lane] if lane else list(Lane):
        key = lanes.window_at(chosen, instant).key if instant else _newest_decided(runtime, chosen)
        if key is None:
            continue
        for destination in DESTINATIONS:
            if destination.name in activation.destinations:
                found += [
                    _one(runtime, destination, step, lanes.window(chosen, key), people)
                    for step in destination.steps(activation)
                    if step.lane is chosen
                ]
    return found


def _left(runtime: Any, destination: Any, window: Any, catalog: Any) -> Allowance | None:
    """Return what the lane may still use of the vendor's day, as the journal knows it; no vendor is asked."""
    from cio_activation.delivery.pacing import pacer_for
    from cio_activation.journal.attempts import Journal

    journal = Journal(runtime.settings.journal)
    try:
        return pacer_for(runtime.activation, journal, destination, str(window.lane), catalog).allowance(
            destination.name
        )
    finally:
        journal.close()


def _budget(made: Any, left: Allowance | None) -> dict[str, Any] | None:
    """Return what the plan takes of the vendor's day, what is left, and how many operations do not fit."""
    if left is None:
        return None
    return {
        "unit": left.unit,
        "predicted": made.units,
        "left": left.others if isfinite(left.others) else None,
        "left_for_exits": left.exits if isfinite(left.exits) else None,
        "resets_at": left.resets_at.isoformat(),
        "over": made.over_budget,
    }


def _newest_decided(runtime: Any, lane: Lane) -> str | None:
    with runtime.warehouse.read() as con:
        rows = con.execute(
            "SELECT window_key FROM meta.published WHERE lane = ? ORDER BY window_end DESC LIMIT 1", [str(lane)]
        ).fetchall()
    return rows[0][0] if rows else None


def _one(runtime: Any, destination: Any, step: Any, window: Any, people: bool) -> dict[str, Any]:
    from cio_activation.delivery import catalog
    from cio_activation.delivery.destination import Context
    from cio_activation.delivery.effects import Effect, effect_of
    from cio_activation.delivery.plan import batches, make_plan
    from cio_activation.warehouse.tables import OWNERS

    known = catalog.load(runtime.warehouse, destination.name)
    context = Context(runtime.settings, runtime.activation, window, known)
    left = _left(runtime, destination, window, known)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.parquet"
        with runtime.warehouse.preview() as con:
            made = make_plan(con, step, destination.name, context, window, "preview", path, left)
            users = dict(
                con.execute(
                    f"SELECT owner_id, email FROM {OWNERS} WHERE destination = ?", [destination.name]
                ).fetchall()
            )
        sizes: Counter[str] = Counter()
        effects: Counter[str] = Counter()
        work: Counter[tuple[str, str]] = Counter()
        listed: list[dict[str, Any]] = []
        if made.operations:
            for batch in batches(path, step, whole=True):
                sizes["calls"] += 1
                for o in batch:
                    effect = effect_of(o, step.flags)
                    effects[str(effect)] += 1
                    if effect is Effect.CREATES_WORK:
                        due = str(o.payload.get("due_at") or "")[:10]
                        work[str(o.payload.get("owner_id") or o.payload.get("queue") or "(nobody)"), due] += 1
                if people:
                    listed += [
                        {"operation_id": o.operation_id, "kind": o.kind.name, "person": o.cio_id,
                         "record": o.record_id, "target": o.target,
                         "before": dict(o.before), "change": dict(o.payload)}
                        for o in batch
                    ]  # fmt: skip
    row = {
        "destination": destination.name,
        "step": step.name,
        "window": window.key,
        "operations": made.operations,
        "kinds": made.by_kind,
        "calls": sizes["calls"],
        "tokens": sizes["calls"] * step.tokens_per_call,
        "effects": {str(e): effects[str(e)] for e in Effect if effects[str(e)]},
        "work": [
            {"owner": owner, "email": users.get(owner), "due": due, "actions": n}
            for (owner, due), n in sorted(work.items())
        ],
        "waiting": made.waiting,
        "budget": _budget(made, left),
        "held": made.held_because,
        "guards": [v.as_row() for v in made.verdicts],
    }
    return row | ({"people": listed} if people else {})
