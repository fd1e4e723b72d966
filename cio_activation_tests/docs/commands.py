"""The commands that pages name: in blocks, in tables and in sentences, and whether the real command line takes them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer.main

from cio_activation.cli.main import app
from cio_activation_tests.docs import pages

OURS = "cio-activation"
OTHERS = frozenset(
    {
        "cp",
        "dagster",
        "docker",
        "echo",
        "export",
        "flock",
        "git",
        "mkdir",
        "pg_dump",
        "pg_restore",
        "podman",
        "rm",
        "sqlite3",
        "systemctl",
        "tar",
    }
)
"""Programs of others that pages use; what they are given is not looked at."""
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+")
_ASSIGNED = re.compile(r"[A-Z_]+=\S*")
_ROOT: Any = typer.main.get_command(app)


@dataclass(frozen=True)
class Command:
    """One command as a page writes it."""

    page: str
    text: str

    def words(self) -> list[str]:
        """Return its words without settings before it, what it is piped into, and a comment."""
        found = shlex.split(self.text, comments=True)
        while found and _ASSIGNED.fullmatch(found[0]):
            found.pop(0)
        ends = [i for i, word in enumerate(found) if word in ("|", ">", "&&", "2>")]
        return found[: ends[0]] if ends else found


def pages_with_commands() -> list[Path]:
    """Return the documentation and the pages beside what they are about."""
    beside = [*pages.ROOT.glob("examples/*/README.md"), pages.ROOT / "benchmarks" / "README.md"]
    return [*pages.pages(), *sorted(beside)]


def in_blocks() -> list[Command]:
    """Return each command of a shell block, of a plain block or of an indented line that begins with a program."""
    found = []
    for page in pages_with_commands():
        name, text = str(page.relative_to(pages.ROOT)), page.read_text()
        for language, block in pages.fenced(text):
            lines = block.replace("\\\n", " ").splitlines()
            known = [line.strip() for line in lines if language in ("sh", "bash") or _begins(line)]
            found += [Command(name, line) for line in known if line and not line.startswith("#")]
        found += [Command(name, line.strip()) for line in text.splitlines() if line[:4].isspace() and _begins(line)]
    return list(dict.fromkeys(found))


def in_tables(page: str) -> list[Command]:
    """Return each command of a page's tables, complete as it stands there."""
    cells = (cell for line in pages.text_of(page).splitlines() if line.startswith("|") for cell in line.split("|"))
    return [Command(page, text) for cell in cells for text in re.findall(rf"`({OURS} [^`]+)`", cell)]


def in_sentences() -> Iterator[Command]:
    """Give what stands in backquotes and begins with our command; it may be a pattern (``--people N``)."""
    for page in pages_with_commands():
        for word in sorted(pages.words(page.read_text())):
            if word.startswith(f"{OURS} "):
                yield Command(str(page.relative_to(pages.ROOT)), word)


def problem(command: Command) -> str | None:
    """Return why the real command line, or the tree, does not take it; None if it does."""
    program, *arguments = command.words()
    if program == OURS or program == "scripts/demo":
        return refused(["demo", *arguments] if program == "scripts/demo" else arguments)
    if program in ("python", ".venv/bin/python") and arguments[:1] == ["-m"]:
        return None if find_spec(arguments[1]) or arguments[1] == "pip" else f"there is no module {arguments[1]}"
    if program == "python" and arguments[:1] == ["-c"]:
        compile(arguments[1], command.page, "exec")
        return None
    if program == "pip" or program in OTHERS:
        return None
    if program.startswith("scripts/"):
        return None if (pages.ROOT / program).is_file() else f"there is no {program}"
    return f"{program} is no program that is known here"


def refused(arguments: Sequence[str]) -> str | None:
    """Return what our command line says to these arguments; None if it takes them. Nothing is run."""
    name, command, rest = _found(arguments)
    if command is None:
        return f"there is no command {name}"
    try:
        command.make_context(name, list(rest))
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return str(error.format_message())
    return None


def unknown_options(command: Command) -> list[str]:
    """Return the command, or its options, that are not there."""
    name, found, rest = _found(command.words()[1:])
    if _PLACEHOLDER.fullmatch(name):
        return []
    if found is None:
        return [name]
    there = {option for parameter in found.params for option in parameter.opts} | {"--help"}
    return [word for word in rest if word.startswith("--") and word.partition("=")[0] not in there]


def _found(arguments: Sequence[str]) -> tuple[str, Any, Sequence[str]]:
    name, *rest = arguments or [""]
    command = _ROOT.commands.get(name)
    below = getattr(command, "commands", {})
    if rest and rest[0] in below:
        return f"{name} {rest[0]}", below[rest[0]], rest[1:]
    return name, command, rest


def _begins(line: str) -> bool:
    return line.strip().startswith((f"{OURS} ", "scripts/")) or (
        f" {OURS} " in line and bool(_ASSIGNED.match(line.strip()))
    )
