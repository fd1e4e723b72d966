"""``cio-activation why``: the story of one person, and why somebody is not in an audience."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cio_activation.cli.output import Json, Personal, decided, emit, exit_codes, notes, shows_personal
from cio_activation.errors import ConfigError

if TYPE_CHECKING:
    from cio_activation.why.facts import Asking
    from cio_activation.why.not_in import WhyNot
    from cio_activation.why.story import Story


def why(
    person: Annotated[
        str,
        typer.Argument(
            help="E-mail address, external id, cio_id, record id of a CRM (also as hubspot:ID), or the address of the "
            "record's page."
        ),
    ],
    as_of: Annotated[
        datetime | None, typer.Option(help="As it was then (UTC), by the windows that had ended; now by default.")
    ] = None,
    why_not: Annotated[
        str | None, typer.Option(help="Only why the person is not in this audience: the first condition that failed.")
    ] = None,
    personal: Personal = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Facts at most, the newest.")] = 100,
    json: Json = False,
) -> None:  # fmt: skip
    """Tell why a person is where they are: decided by which rule and values, sent, answered, kept out; calls nobody."""
    shows_personal("why", personal)
    with exit_codes(json), _asking(as_of, personal) as asking:
        from cio_activation.why.not_in import why_not_in
        from cio_activation.why.story import tell

        meant = _meant(asking, person)
        if why_not is not None:
            _show_why_not(why_not_in(asking, meant, why_not), json)
            return
        story = tell(asking, meant)
    facts = story.facts[:limit]
    if json:
        told = {name: value for name, value in asdict(story).items() if name != "facts"}
        emit(
            {"ok": True, "as_of": as_of}
            | told
            | {"facts": [asdict(f) for f in facts], "more": len(story.facts) > limit}
        )
        return
    _show(story, as_of)
    for fact in facts:
        when = f"{fact.as_of:%Y-%m-%d %H:%M}" if fact.as_of else "now             "
        typer.echo(f"{when}  {fact.sentence}")
    if len(story.facts) > limit:
        notes.print(f"There are {len(story.facts) - limit:,} older facts; ask for them with --limit.")


@contextmanager
def _asking(as_of: datetime | None, personal: bool) -> Iterator[Asking]:
    """Yield what answers are made from, in one short read-only session; it waits its turn among the lanes'."""
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.why.facts import Asking

    runtime = decided()
    instant = as_of.astimezone(UTC).replace(tzinfo=None) if as_of is not None and as_of.tzinfo else as_of
    with runtime.warehouse.read() as con:
        yield Asking(con, runtime.settings, runtime.activation, DESTINATIONS, instant, personal)


def _meant(asking: Asking, person: str) -> str:
    """Return the one ``cio_id`` that is meant; ConfigError says where was looked, or lists who can be meant.

    What was asked for is never repeated: it may be somebody's address.
    """
    from cio_activation.why.people import PLACES, find

    found = find(asking.con, person, asking.destinations)
    if len(found) == 1:
        return found[0].cio_id
    if not found:
        raise ConfigError(f"nobody is known by that; looked in {PLACES}")
    listed = [f"{one.cio_id} (by {', '.join(one.by)})" for one in found[:20]]
    raise ConfigError(f"{len(found)} people can be meant; ask for one by cio_id: {'; '.join(listed)}")


def _show_why_not(answer: WhyNot, as_json: bool) -> None:
    if as_json:
        emit({"ok": True} | asdict(answer))
        return
    typer.echo(answer.sentence)
    for note in answer.notes:
        typer.echo(note)


def _show(story: Story, as_of: datetime | None) -> None:
    """Print where the person is."""
    ids = ", ".join(f"{name} {value}" for name, value in story.identifiers.items())
    typer.echo(f"Person {story.cio_id}{f' ({ids})' if ids else ''}")
    if not story.known:
        typer.echo("Customer.io had no such person when it was last read.")
    if story.undeliverable:
        typer.echo(f"Is withheld from every destination: {story.undeliverable}.")
    for record in story.records:
        number = f"record {record['record_id']}" if record["record_id"] else "no record"
        by = f", found by {record['matched_by']}" if record["matched_by"] and record["record_id"] else ""
        typer.echo(f"In {record['destination']}: {number}{by}.")
    for place in story.places:
        typer.echo(f"Is {place.sentence}.")
    if not story.places:
        typer.echo(f"Is in no audience{' then' if as_of else ''}.")
    for action in story.actions:
        due = f", due {action['due_at']:%Y-%m-%d %H:%M}" if action["due_at"] else ""
        typer.echo(
            f"A human is asked: {action['kind']} {action['record_id']} in {action['destination']} for "
            f"{action['audience']} ({action['owner'] or 'nobody'}{due}; {action['status']})."
        )
    if story.values:
        typer.echo("Has " + ", ".join(f"{n} = {'-' if v is None else v}" for n, v in story.values.items()) + ".")
    typer.echo("")
