"""What every command shares: a result as text or as one JSON object, and errors as exit codes."""

from __future__ import annotations

import getpass
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from cio_activation.errors import CioActivationError, ConfigError, MachineError

if TYPE_CHECKING:
    from cio_activation.runtime import Runtime

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]

Personal = Annotated[bool, typer.Option("--personal", help="Show personal data too; hidden by default.")]

UNBROKEN = 200
"""Columns where nobody's terminal is: in a file or a pipe a wrapped table can be neither read nor searched."""


log = logging.getLogger("cio_activation.privacy")

notes = Console(stderr=True, highlight=False)
"""Progress and errors: standard error, so that standard output is only the result."""


class _Printed:
    """Whether this command printed its object: there is one, also if it fails later."""

    yet = False


def begin() -> None:
    """Begin a command: nothing is printed yet, and notes are as wide as is asked for now."""
    _Printed.yet = False
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit():
        notes.width = int(columns)
    elif not notes.is_terminal:
        notes.width = UNBROKEN


def emit(result: dict[str, Any]) -> None:
    """Print ``result`` as one JSON object."""
    _Printed.yet = True
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
    """Turn errors into exit codes: 2 for bad input, 1 for anything else of ours or of the machine."""
    try:
        yield
    except (ConfigError, CioActivationError, ValueError, FileNotFoundError) as error:
        bad_input = isinstance(error, (ConfigError, ValueError, FileNotFoundError))
        tell(type(error).__name__, _problems(error), as_json)
        raise typer.Exit(2 if bad_input else 1) from None
    except Exception as error:
        machine = MachineError.of(error)
        if machine is None:
            raise
        tell(type(machine).__name__, [str(machine)], as_json)
        raise typer.Exit(1) from None


def shows_personal(command: str, asked: bool) -> None:
    """Log that ``command`` shows personal data, and to whom, where that was ``asked`` for; never about whom."""
    if asked:
        log.warning("cio-activation %s shows personal data, as %s asked", command, getpass.getuser())


def tell(kind: str, problems: list[str], as_json: bool) -> None:
    """Say what went wrong: as the command's JSON object, if it has printed none yet, else on standard error."""
    if as_json and not _Printed.yet:
        emit({"ok": False, "error": kind, "problems": problems})
    else:
        notes.print(f"[bold red]{kind}[/]", end=" ")
        notes.print("\n".join(problems), markup=False)


def _problems(error: Exception) -> list[str]:
    """Return an error's sentences; a setting that is none is named as the environment has it."""
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
    return list(getattr(error, "problems", ())) or [str(error)]
