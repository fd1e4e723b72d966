"""``cio-activation check``: activation, credentials, scopes, limits, property and field drift; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.errors import CioActivationError, ConfigError
from cio_activation.transport import event_loop


def check(
    activation: Annotated[Path | None, typer.Option(help="Activation file; ACTIVATION_FILE by default.")] = None,
    offline: Annotated[bool, typer.Option(help="Only the activation file and its expressions; call nobody.")] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="AUDIENCE", help="Say in sentences what applies to an audience; call nobody."),
    ] = None,
    json: Json = False,
) -> None:
    """Check the activation file, then that every vendor lets us in and still has what we write to."""
    from cio_activation.activation.advice import advice as advice_of
    from cio_activation.activation.loader import load_activation
    from cio_activation.customerio.moment_names import never_received
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.outcome.expected import answers
    from cio_activation.outcome.summary import delivered_before
    from cio_activation.state.expressions import check_expressions
    from cio_activation.warehouse import signatures

    with exit_codes(json):
        settings = Settings()
        path = activation or settings.activation_file
        loaded = load_activation(path, DESTINATIONS)
        check_expressions(loaded)
        applies = None if explain is None else _explained(loaded, explain)
    if applies is not None:
        if json:
            emit({"ok": True, "activation": str(path), "audience": explain, "applies": applies})
        else:
            typer.echo("\n".join(applies))
        return
    home = str(settings.activation_home.absolute())
    there: dict[str, Any] = {}
    problems, advice = ({}, {}) if offline else _vendors(settings, loaded, there)
    own = advice_of(loaded, starting=not delivered_before(settings.warehouse_path))
    own += never_received(settings.warehouse_path, loaded)
    own += signatures.advice(settings.warehouse_path, loaded)
    if own := own + answers(settings.warehouse_path, loaded, datetime.now(UTC).replace(tzinfo=None)):
        advice = {"activation": own, **advice}
    if not offline and (governance := _governed(settings, loaded, there, advice)):
        advice["governance"] = governance
    failed = any(problems.values())
    if json:
        emit({"ok": not failed, "activation": str(path), "home": home, "problems": problems, "advice": advice})
    else:
        notes.print(f"home {home}", markup=False)
        notes.print(f"[green]ok[/] {path}: {len(loaded.properties)} properties, {len(loaded.audiences)} audiences")
        for sentence in advice.get("activation", ()):
            notes.print(f"   advice: {sentence}", markup=False)
        for vendor, found in problems.items():
            notes.print(f"[{'red' if found else 'green'}]{'failed' if found else 'ok'}[/] {vendor}")
            for problem in found:
                notes.print(f"   {problem}", markup=False)
            for sentence in advice.get(vendor, ()):
                notes.print(f"   advice: {sentence}", markup=False)
        for sentence in advice.get("governance", ()):
            notes.print(f"governance: {sentence}", markup=False)
    if failed:
        raise typer.Exit(1)


def _explained(activation: Activation, name: str) -> list[str]:
    from cio_activation.audience.explain import sentences

    audience = activation.audiences.get(name)
    if audience is None:
        raise ConfigError(f"--explain {name}: there is {', '.join(activation.audiences) or 'no audience'}")
    return sentences(activation, audience)


Told = dict[str, list[str]]


def _governed(settings: Settings, activation: Activation, there: dict[str, Any], told: Told) -> list[str]:
    """Return what should be looked at, but for what the vendors' advice has told already."""
    from cio_activation.governance.checking import present

    found = present(settings.warehouse_path, activation, there)
    said = " ".join(sentence for sentences in told.values() for sentence in sentences)
    return [str(one) for one in found if one.sentence not in said]


def _vendors(settings: Settings, activation: Activation, there: dict[str, Any]) -> tuple[Told, Told]:
    """Return what is wrong at every vendor, and what else there is to say where nothing is.

    ``there`` takes in what those have of ours where nothing is wrong.
    """
    from cio_activation.customerio.check import check_customerio
    from cio_activation.customerio.limits import customerio_pacer
    from cio_activation.delivery.accounts import compared
    from cio_activation.delivery.definitions import Defining
    from cio_activation.delivery.destination import Advising, Context, Destination
    from cio_activation.delivery.pacing import pacer_for
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.journal.engine import JournalDatabase
    from cio_activation.warehouse.accounts import all_known

    accounts = all_known(settings.warehouse_path)
    # The rate is shared with the lanes' runs. Where there is no home yet none is made: then it is kept in memory.
    journal = JournalDatabase(settings.journal if settings.warehouse_path.exists() else "sqlite://")

    advice: Told = {}

    async def ask(destination: Destination) -> list[str]:
        context = Context(settings, activation, None, _catalog(settings, destination.name))
        pacer = pacer_for(activation, journal, destination, str(Lane.DAILY), context.catalog)
        async with destination.connect(settings, pacer) as client:
            found = await destination.check(client, context)
            try:
                other, note = await compared(destination, client, context, accounts.get(destination.name))
            except CioActivationError:
                if found:
                    return found
                raise
            if other or found:
                return [other] if other else found  # in another account everything else is wrong too
            advice[destination.name] = [note] if note else []
            if isinstance(destination, Advising):
                advice[destination.name] += await destination.advise(client, context)
            if isinstance(destination, Defining):
                there[destination.name] = await destination.definitions(client, context)
            return []

    def safely(call: Any) -> list[str]:
        try:
            return list(call())
        except CioActivationError as error:
            return str(error).splitlines()

    def source() -> list[str]:
        return check_customerio(
            settings, activation, customerio_pacer(journal, str(Lane.DAILY)), accounts.get("customerio")
        )

    try:
        found = {"customerio": safely(source)}
        for destination in DESTINATIONS:
            if destination.name in activation.destinations:
                # Customer.io is the source, and may be a destination too.
                told = safely(lambda d=destination: event_loop.run(ask(d)))
                found[destination.name] = list(dict.fromkeys([*found.get(destination.name, ()), *told]))
    finally:
        journal.close()
    return found, advice


def _catalog(settings: Settings, destination: str) -> Mapping[str, Any]:
    """Return the vendor ids that an earlier run stored; none where there is no home yet, and none is made."""
    from cio_activation.delivery import catalog
    from cio_activation.warehouse.sessions import Warehouse

    if not settings.warehouse_path.exists():
        return {}
    warehouse = Warehouse(settings.warehouse_path, memory_limit=settings.activation_duckdb_memory)
    return catalog.load(warehouse, destination)
