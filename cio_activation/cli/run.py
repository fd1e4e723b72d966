"""``cio-activation run``: one window of a lane, now, in this process; dry, without asking anybody, or whole."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cio_activation.activation.models import Lane
from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.cli.progress import bars
from cio_activation.cli.windows import ENDS, Ran, Stage, Windows, dagster_at, now
from cio_activation.errors import ConfigError


def run(
    lane: Annotated[Lane, typer.Option(help="Which lane.")] = Lane.DAILY,
    window: Annotated[
        str | None,
        typer.Option(help="Key of the window; the last full day, or the real-time window that is now, by default."),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry", help="Read and decide only: nothing is sent. `plan` then shows what would be.")
    ] = False,
    without_actions: Annotated[
        bool, typer.Option("--without-actions", help="Records, fields, lists and flags; nobody is asked to act.")
    ] = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Run one window, as the schedule or the sensor would; again, it sends what has not been sent.

    For a first day and for hands; day by day Dagster does it (`dagster dev`).
    """
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import Settings
    from cio_activation.destinations import DESTINATIONS

    with exit_codes(json):
        if dry and without_actions:
            raise ConfigError("--dry sends nothing at all, so --without-actions says nothing more; leave one out")
        settings = Settings()
        windows = Windows(load_activation(settings.activation_file, DESTINATIONS))
        chosen = _window(windows, lane, window)
        stage = Stage.DECIDE if dry else Stage.RECORDS if without_actions else Stage.ALL
        with bars(json), dagster_at(settings.activation_home) as instance:
            ran = windows.run(instance, chosen, stage)
    if json:
        emit(_told(ran, stage))
    else:
        _print(ran, stage)
    if not ran.ok:
        raise typer.Exit(1)


def _window(windows: Windows, lane: Lane, key: str | None) -> Any:
    if key is None:
        return windows.newest(lane, now())
    if key not in windows.lanes[lane].get_partition_keys():
        newest = windows.newest(lane, now()).key
        raise ConfigError(f"--window {key}: the {lane} lane has no such window; its newest is {newest}")
    return windows.lanes.window(lane, key)


def _told(ran: Ran, stage: Stage) -> dict[str, Any]:
    return {
        "ok": ran.ok,
        "lane": str(ran.window.lane),
        "window": ran.window.key,
        "stage": str(stage),
        "seconds": ran.seconds,
        "failed": list(ran.failures),
        "audiences": {name: dict(counts) for name, counts in ran.audiences.items()},
        "operations": {name: dict(counts) for name, counts in ran.operations.items()},
    }


def _print(ran: Ran, stage: Stage) -> None:
    from rich.table import Table

    what = {Stage.DECIDE: "decided, nothing sent", Stage.RECORDS: "without actions", Stage.ALL: "whole"}[stage]
    end = "[green]ok[/]" if ran.ok else "[red]failed[/]"
    notes.print(f"{ran.window.lane} window {ran.window.key}, {what}: {end} ({ran.seconds} s)")
    if ran.audiences:
        table = Table("audience", "in it", "entered", "left", "withheld")
        for name, counts in ran.audiences.items():
            shown = (counts.get(key, 0) for key in ("members", "entered", "exited", "withheld"))
            table.add_row(name, *(f"{count:,}" for count in shown))
        notes.print(table)
    if ran.operations:
        table = Table("destination", *ENDS)
        for name, counts in ran.operations.items():
            table.add_row(name, *(f"{counts[end]:,}" for end in ENDS))
        notes.print(table)
    for failure in ran.failures:
        notes.print("[red]failed[/]", end=" ")
        notes.print(failure, markup=False, soft_wrap=True)
