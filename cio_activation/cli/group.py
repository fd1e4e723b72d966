"""All commands as one: whatever goes wrong, also before a command begins, ``--json`` prints one object."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from typer.core import TyperGroup

from cio_activation.cli.output import begin, tell
from cio_activation.errors import MachineError


class Group(TyperGroup):
    """Typer's own group, but for what it says when a command cannot go on."""

    def main(self, args: Sequence[str] | None = None, *given: Any, **options: Any) -> Any:
        """Run the command line. What went wrong is told as JSON if that was asked for, with the same exit code."""
        line = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in line
        begin()
        try:
            if not as_json:
                return super().main(line, *given, **options)
            # Not on its own: Typer tells what is wrong with an option as text.
            code = super().main(line, *given, **{**options, "standalone_mode": False})
        except Exception as error:
            code, kind, problem = _ended(error)
            if kind is None and not as_json:
                raise
            tell(kind or type(error).__name__, [problem], as_json)
        sys.exit(code if isinstance(code, int) else 0)


def _ended(error: Exception) -> tuple[int, str | None, str]:
    """Return exit code, kind and sentence of what ended a command; without a kind it is a defect."""
    if machine := MachineError.of(error):
        return 1, type(machine).__name__, str(machine)
    if hasattr(error, "format_message"):  # Typer's: a wrong option, a missing argument
        return int(getattr(error, "exit_code", 2)), "UsageError", str(error.format_message())
    if type(error).__name__ == "Abort":
        return 1, "Interrupted", "the command was interrupted"
    # Its text may hold anything, people's values too.
    return 1, None, f"{type(error).__name__} is a defect, please report it; without --json the command shows where"
