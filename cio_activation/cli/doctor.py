"""``cio-activation doctor``: what a bug report needs, and what is wrong with an installation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from cio_activation.cli.output import Json, emit, exit_codes, notes


def doctor(json: Json = False) -> None:
    """Tell what a bug report needs, and what is wrong, each with its mend: secrets and people masked, nobody called.

    Changes nothing: neither migrates a home nor makes one. Whether the vendors let us in is what `check` tells.
    """
    with exit_codes(json):
        told, findings = _told()
    if json:
        emit(told)
    else:
        _print(told)
    if findings:
        raise typer.Exit(1)


def _told() -> tuple[dict[str, Any], int]:
    """Return the whole report, masked, and how many findings are in it."""
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.models import Activation
    from cio_activation.activation.settings import Settings
    from cio_activation.automation.recent_runs import dagster_side
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.outcome.doctor import home, surroundings
    from cio_activation.outcome.doctor.part import Part, examined, masked

    settings = Settings()
    loaded: list[Activation] = []

    def read(part: Part) -> None:
        part.facts["file"] = surroundings.tilde(settings.activation_file)
        loaded.append(load_activation(settings.activation_file, DESTINATIONS))
        part.facts |= {"properties": len(loaded[0].properties), "audiences": len(loaded[0].audiences)}
        part.facts["destinations"] = list(loaded[0].destinations)

    activation = examined("activation", read)
    model = loaded[0] if loaded else None
    now = home.utc_now()
    parts = [
        examined("versions", surroundings.versions),
        examined("machine", lambda part: surroundings.machine(part, settings.activation_home, model)),
        examined("settings", lambda part: surroundings.settings(part, settings, model)),
        activation,
        examined("home", lambda part: home.sizes(part, settings)),
        examined("warehouse", lambda part: home.warehouse(part, settings, model, now)),
        examined("locks", lambda part: home.locks(part, settings)),
        examined("journal", lambda part: home.journal(part, settings)),
        examined("dagster", lambda part: dagster_side(part, settings)),
    ]
    findings = [finding for part in parts for finding in part.findings]
    told = {
        "ok": not findings,
        "problems": [str(finding) for finding in findings],
        "findings": [vars(finding) for finding in findings],
        **{part.name: part.facts for part in parts},
    }
    return masked(told, surroundings.secrets(settings)), len(findings)


def _print(told: Mapping[str, Any]) -> None:
    """Print the report as text to paste: on standard output, findings last."""
    for name, facts in told.items():
        if isinstance(facts, Mapping):
            typer.echo(f"{name}")
            for key, value in facts.items():
                _line(key, value, 1)
    for finding in told["findings"]:
        typer.echo(f"\nwrong, {finding['about']}: {finding['problem']}\n   mend: {finding['mend']}")
    if told["findings"]:
        notes.print(f"[red]{len(told['findings'])} findings[/]")
    else:
        notes.print("[green]nothing is wrong[/] that can be seen from here; `cio-activation check` asks the vendors")


def _line(key: str, value: Any, depth: int) -> None:
    indent = "  " * depth
    if isinstance(value, Mapping) and value:
        typer.echo(f"{indent}{key}:")
        for inner, one in value.items():
            _line(str(inner), one, depth + 1)
    elif isinstance(value, list) and value:
        typer.echo(f"{indent}{key}:")
        for one in value:
            told = ", ".join(f"{k} {v}" for k, v in one.items()) if isinstance(one, Mapping) else one
            typer.echo(f"{indent}  - {told}")
    else:
        empty = "none" if value in (None, [], {}, ()) else value
        shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else empty
        typer.echo(f"{indent}{key}: {shown}")
