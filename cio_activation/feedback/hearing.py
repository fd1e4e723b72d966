"""A destination is asked before a window is decided: what became of our actions, who can act, who is being handled.

    open actions -> (vendor) -> acts -> candidates -> (vendor) -> contexts

A destination that does not answer stops nothing: nobody enters a touch audience by what was known before, and
everything else, above all every exit, is decided and delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import Context, Destination
from cio_activation.delivery.outcomes import HearsOutcomes, OutcomeFields, OutcomesAsked
from cio_activation.delivery.outreach import HearsBack, OpenAction, Owner, SeenAction
from cio_activation.delivery.pacing import pacer_for
from cio_activation.feedback import acts, contexts, outcomes, records
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.errors import VendorError
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection


@dataclass(frozen=True)
class Heard:
    """What one look came to."""

    destination: str
    actions_read: int = 0
    acts: Mapping[str, int] = field(default_factory=dict)
    """What humans did since the last look, by act."""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    """What humans wrote on records since then, by outcome."""
    owners: int = 0
    """Users of the CRM, deactivated ones too; 0 if they were not asked for."""
    entrants: int = 0
    """People who are about to enter a touch audience."""
    being_handled: int = 0
    """Of these, whom somebody is on."""
    calls: int = 0
    superseded: bool = False
    """A newer window was looked at already."""
    problem: str | None = None
    """Why the destination could not be asked."""


def hear(runtime: Runtime, destination: Destination, window: Window) -> Heard:
    """Ask ``destination`` what deciding ``window`` needs, and land it. Raises ConfigError for another account's key."""
    assert isinstance(destination, HearsBack)
    with runtime.warehouse.read() as con:
        if _newest(con, destination.name, window.lane) > window.as_of:
            return Heard(destination.name, superseded=True)
        known = catalog.read(con, destination.name)
        # The real-time lane runs many times a window, and what humans did is asked for once.
        again = window.lane is Lane.REALTIME and _was_read(con, destination.name, window)
        open_now = [] if again else acts.open_actions(con, runtime.activation, destination.name, window.lane)
        said = None if again else outcomes.asked(con, runtime.activation, destination.name, window.lane, window.as_of)
    context = Context(runtime.settings, runtime.activation, window, known)
    with closing(Journal(runtime.settings.journal)) as journal:
        # Of what a run died over nobody knows yet what it wrote: another text there is no human's.
        at_work = journal.records_at_work(destination.name)
        open_now = [replace(one, shown=None) if one.record_id in at_work else one for one in open_now]
        pacer = pacer_for(runtime.activation, journal, destination, str(window.lane), known)

        async def work() -> Heard:
            async with destination.connect(runtime.settings, pacer) as client:
                found = Heard(destination.name)
                try:
                    await require_account(runtime, destination, client, context)
                    found = await _ask(runtime, destination, client, context, window, open_now, said)
                except VendorError as error:
                    found = replace(found, problem=str(error))
                return replace(found, calls=sum(client.calls.made.values()))

        found = event_loop.run(work())
    with runtime.warehouse.write() as con:
        _note(con, window, found)
    return found


async def _ask(
    runtime: Runtime,
    destination: Destination,
    client: VendorClient,
    context: Context,
    window: Window,
    open_now: list[OpenAction],
    said: OutcomesAsked | None,
) -> Heard:
    assert isinstance(destination, HearsBack)
    name = destination.name
    found = Heard(name)
    if said is not None:
        owners: list[Owner] = await destination.owners(client, context)
        seen: list[SeenAction] = await destination.actions(client, context, open_now) if open_now else []
        written = await _outcomes(destination, client, context, said)
        with runtime.warehouse.write() as con:
            acts.land_owners(con, name, owners, _now())
            told = acts.land_acts(con, name, seen, window.as_of) if seen else {}
            came = outcomes.land(con, runtime.activation, name, written, window.as_of, _now()) if written else {}
        found = Heard(name, actions_read=len(seen), acts=told, outcomes=came, owners=len(owners))
        await _ask_of_records(runtime, destination, client, context, window)
    with runtime.warehouse.read() as con:
        people = contexts.wanted(con, runtime.activation, name, window, _now())
    asked = sorted({record for record in people.records.values() if record is not None})
    read = await destination.contexts(client, context, asked, people.ours) if asked else []
    with runtime.warehouse.write() as con:
        handled = contexts.land(con, name, window, people, read, _now())
        if beside := [one.said for one in read if one.said is not None]:
            outcomes.land(con, runtime.activation, name, beside, window.as_of, _now())
    return replace(found, entrants=len(people.records) + len(people.known), being_handled=handled)


async def _ask_of_records(
    runtime: Runtime, destination: Destination, client: VendorClient, context: Context, window: Window
) -> None:
    """Ask about records whose open actions follow their owner, or wait too long; once a window, as about actions."""
    assert isinstance(destination, HearsBack)
    with runtime.warehouse.read() as con:
        people = records.wanted(con, runtime.activation, destination.name, window)
    asked = sorted({record for record in people.records.values() if record is not None})
    if asked:
        read = await destination.contexts(client, context, asked, people.ours)
        with runtime.warehouse.write() as con:
            contexts.land(con, destination.name, window, people, read, _now(), records.RECORDS)


async def _outcomes(
    destination: Destination, client: VendorClient, context: Context, asked: OutcomesAsked
) -> list[OutcomeFields]:
    """Return what the fields of outcomes hold, where the activation reads them."""
    if context.activation.outreach_outcomes is None or not isinstance(destination, HearsOutcomes):
        return []
    return await destination.outcomes(client, context, asked)


def _was_read(con: Connection, destination: str, window: Window) -> bool:
    return bool(
        con.execute(
            "SELECT 1 FROM feedback.readings WHERE destination = ? AND lane = ? AND window_key = ? AND problem IS NULL",
            [destination, window.lane.value, window.key],
        ).fetchall()
    )


def _newest(con: Connection, destination: str, lane: Lane) -> datetime:
    found = con.execute(
        "SELECT max(window_end) FROM feedback.readings WHERE destination = ? AND lane = ?", [destination, lane.value]
    ).fetchall()[0][0]
    return found if isinstance(found, datetime) else datetime.min


def _note(con: Connection, window: Window, found: Heard) -> None:
    """Keep the last look of the lane: what was known before counts no more."""
    con.execute(
        "DELETE FROM feedback.readings WHERE destination = ? AND lane = ?", [found.destination, window.lane.value]
    )
    con.execute(
        "INSERT INTO feedback.readings VALUES (?, ?, ?, ?, ?, ?, ?)",
        [found.destination, window.lane.value, window.key, window.as_of, _now(), found.actions_read, found.problem],
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
