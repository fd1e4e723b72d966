"""``cio-activation init``: the first activation, drafted from what the accounts show of themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.cli.progress import bars

if TYPE_CHECKING:
    from cio_activation.onboarding.draft import Draft


def init(
    out: Annotated[Path, typer.Option(help="File to write; one that is there is never touched.")] = Path(
        "activation.yaml"
    ),
    sample: Annotated[
        int, typer.Option(min=100, max=10_000, help="So many people's profiles are looked at, 100 a call.")
    ] = 1_000,
    segment: Annotated[
        int | None, typer.Option(min=1, help="Segment (id) they are drawn from; the largest by default.")
    ] = None,
    json: Json = False,
) -> None:
    """Write a first activation from the workspace's own segments and attributes, and the CRMs' fields and users.

    Only reads, and asks nothing that it can read. What was guessed says so in a comment; what is yours to decide
    stands at the top.
    """
    with exit_codes(json), bars(json):
        from cio_activation.activation.settings import Settings
        from cio_activation.destinations import DESTINATIONS
        from cio_activation.onboarding.draft import draft
        from cio_activation.onboarding.inventory import summary
        from cio_activation.onboarding.reading import read
        from cio_activation.onboarding.writing import require_free, write

        require_free(out)  # said before anybody is called
        found = read(Settings(), DESTINATIONS, people=sample, segment=segment)
        made = draft(found, DESTINATIONS)
        write(made, out, DESTINATIONS)
    if json:
        emit({"ok": True, "activation": str(out), **summary(made)})
    else:
        _print(made, out)


def _print(made: Draft, out: Path) -> None:
    from rich.table import Table

    from cio_activation.onboarding.inventory import counted

    found = made.found
    began = {one.source.segment.id: f"audience {one.purpose.name}" for one in made.audiences}
    table = Table("segment", "name", "people", "becomes", box=None)
    for one in found.segments:
        fate = began.get(one.segment.id) or f"- {made.why_not[one.segment.id]}"
        table.add_row(str(one.segment.id), one.segment.name, counted(one).removesuffix(" people"), fate)
    notes.print(table)
    notes.print(
        f"Customer.io: {len(found.segments):,} segments; {len(found.attributes):,} attributes of "
        f"{found.sample.people:,} people "
        f"of segment {found.sample.segment.id}",
        markup=False,
    )
    for name, survey in found.surveys.items():
        pipelines = f"{len(survey.pipelines)} pipelines"
        fields = f"{len(survey.fields):,} fields of one's own"
        notes.print(f"{name}: {survey.account}, {len(survey.owners)} users, {fields}, {pipelines}", markup=False)
        for what, why in survey.unread.items():
            notes.print(f"   {what} could not be read: {why}", markup=False)
    for name, why in found.missing.items():
        notes.print(f"{name}: left out, {why}", markup=False)
    properties = ", ".join(p.name for p in made.properties) or "none"
    audiences = ", ".join(a.purpose.name for a in made.audiences) or "none"
    notes.print(
        f"[green]wrote[/] {out}\n   {len(made.properties)} properties: {properties}\n"
        f"   {len(made.audiences)} audiences: {audiences}",
        soft_wrap=True,
    )
    notes.print(f"It lists {len(made.undecided)} things that are yours to decide, at its top. Then:")
    notes.print(f"   ACTIVATION_FILE={out} into .env, and `cio-activation check`", markup=False)
