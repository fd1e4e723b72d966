"""``cio-activation actions``: what people are asked to do, and taking it back."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from cio_activation.cli.output import Json, decided, emit, exit_codes, notes

actions = typer.Typer(name="actions", help="What people are asked to do in the CRMs.", invoke_without_command=True)

_Audience = Annotated[str | None, typer.Option(help="Of this audience only.")]


@actions.callback()
def listed(
    context: typer.Context,
    audience: _Audience = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="open, late, taken_up, done, withdrawn, expired or deleted; may be given again. By default "
                     "all that is not ended."),
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """List the actions that are open, by when they are due; how many of each audience, and outcomes; who has them."""
    if context.invoked_subcommand is not None:
        return
    from cio_activation.outcome import actions as outcome

    now = datetime.now(UTC).replace(tzinfo=None)
    with exit_codes(json), decided().warehouse.read() as con:
        found = outcome.actions(con, now, audience=audience, states=state or ())
        audiences, loads, came = outcome.by_audience(con, now), outcome.load(con, now), outcome.outcomes(con, now)
    if json:
        shown = {"actions": found, "audiences": audiences, "outcomes": came}
        emit({"ok": True, **shown, "load": [vars(one) for one in loads]})
        return
    _show(found)
    _show_audiences(audiences)
    _show_outcomes(came)
    _show_load(loads)


@actions.command("withdraw")
def withdraw(
    audience: Annotated[str, typer.Option(help="Whose open actions are taken back.")],
    why: Annotated[str, typer.Option(help="Why; kept with every one of them.")],
    who: Annotated[str | None, typer.Option(help="Who wants it; the user of this machine by default.")] = None,
    json: Json = False,
) -> None:
    """Take back the open actions of an audience that nobody took up: the next run of its lane does it, as any plan.

    Their entries end and the cooldown begins. What a human has begun stays.
    """
    from cio_activation.outcome import actions as outcome

    with exit_codes(json):
        runtime = decided()
        with runtime.warehouse.write() as con:
            now = datetime.now(UTC).replace(tzinfo=None)
            found = outcome.take_back(con, audience, now, why, who or getpass.getuser())
    if json:
        emit({"ok": True, "audience": audience, "to_withdraw": dict(found)})
        return
    for destination, count in found.items():
        notes.print(f"{count:,} actions of {audience} in {destination} are taken back with the next run of its lane")
    notes.print("`cio-activation plan` shows the calls; nothing was sent yet")


def _show(found: list[dict[str, Any]]) -> None:
    if not found:
        notes.print("nobody is asked to do anything")
        return
    table = Table("due (UTC)", "state", "outcome", "audience", "where", "id", "person", "who", "escalated")
    for one in found:
        due = f"{one['due_at']:%Y-%m-%d %H:%M}" if one["due_at"] else ""
        where = f"{one['destination']} {one['kind']}"
        told = (one["record_id"], one["cio_id"], one["owner"] or "", one["escalated"] or "")
        table.add_row(due, one["state"], one["outcome"] or "", one["audience"], where, *told)
    notes.print(table)


def _show_audiences(audiences: dict[str, dict[str, int]]) -> None:
    from cio_activation.outcome.actions import STATES

    if audiences:
        table = Table("audience", *STATES)
        for name, counts in audiences.items():
            table.add_row(name, *(f"{counts.get(state, 0):,}" for state in STATES))
        notes.print(table)


def _show_outcomes(came: dict[str, dict[str, int]]) -> None:
    from cio_activation.activation.outcomes import Outcome

    if came:
        said = [one.value for one in Outcome]
        table = Table("what came of it", *said)
        for name, counts in came.items():
            table.add_row(name, *(f"{counts.get(one, 0):,}" for one in said))
        notes.print(table)


def _show_load(loads: list[Any]) -> None:
    if loads:
        table = Table("who", "open", "of these late", "done")
        for one in loads:
            table.add_row(one.owner, f"{one.open:,}", f"{one.late:,}", f"{one.done:,}")
        notes.print(table)
