"""What every command shares: a result as text or as one JSON object, and errors as exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cio_activation.errors import CioActivationError, ConfigError

if TYPE_CHECKING:
    from cio_activation.runtime import Runtime

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]

notes = Console(stderr=True, highlight=False)
"""Progress and errors: standard error, so that standard output is only the result."""


def emit(result: dict[str, Any]) -> None:
    """Print ``result`` as one JSON object."""
    json.dump(result, sys.stdout, indent=2, sort_keys=False, default=str)
    sys.stdout.write("\n")
    sys.stdout.flush()  # some commands go on after it


def emitted(lines: Iterable[str]) -> dict[str, Any]:
    """Return the object that a command printed with :func:`emit`; empty if it ended before.

    Reads no further than that object: commands such as ``receive`` print it once they answer, and go on.
    """
    told = ""
    for line in lines:
        told += line
        if line.startswith("}"):
            return dict(json.loads(told))
    return {}


def decided() -> Runtime:
    """Return the runtime of an installation that has decided something; ConfigError if there is no warehouse yet."""
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import Settings
    from cio_activation.destinations import DESTINATIONS
    from cio_activation.runtime import Runtime

    settings = Settings()
    activation = load_activation(settings.activation_file, DESTINATIONS)
    if not settings.warehouse_path.exists():
        raise ConfigError(
            f"{settings.warehouse_path} does not exist: nothing was decided yet; materialize a window first, "
            "or point ACTIVATION_HOME at the right folder"
        )
    return Runtime.build(settings, activation)


@contextmanager
def exit_codes(as_json: bool) -> Iterator[None]:
    """Turn errors into exit codes: 2 for bad input, 1 for anything else of ours."""
    try:
        yield
    except (ConfigError, CioActivationError, ValueError, FileNotFoundError) as error:
        bad_input = isinstance(error, (ConfigError, ValueError, FileNotFoundError))
        if as_json:
            problems = list(getattr(error, "problems", ())) or [str(error)]
            emit({"ok": False, "error": type(error).__name__, "problems": problems})
        else:
            notes.print(f"[bold red]{type(error).__name__}[/]", end=" ")
            notes.print(str(error), markup=False)
        raise typer.Exit(2 if bad_input else 1) from None
