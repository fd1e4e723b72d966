"""The reviewed texts as files: what they should be now, how those in the repository differ, and writing them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Activation
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.destinations import DESTINATIONS
from cio_activation_tests.golden import listing, statements

FOLDER = Path(__file__).parent
UPDATE = "python -m cio_activation_tests.golden --update"
REVIEWED = ("definitions", "sql")
"""Folders that hold reviewed texts and nothing else."""


def default_activation(path: Path = DEFAULT_ACTIVATION) -> Activation:
    """Return the packaged activation, or the one in ``path``."""
    return load_activation(path, DESTINATIONS)


@cache
def now() -> Mapping[str, str]:
    """Return path (below this folder) -> text, as the code makes them of the default activation."""
    return of(default_activation())


def of(activation: Activation) -> dict[str, str]:
    """Return what :func:`now` does, of another activation."""
    return listing.texts(activation) | statements.texts(activation)


def reviewed() -> dict[str, str]:
    """Return path -> text, as they are in the repository."""
    files = [p for folder in REVIEWED for p in sorted((FOLDER / folder).rglob("*")) if p.is_file()]
    return {str(p.relative_to(FOLDER)): p.read_text() for p in files}


def differences(found: Mapping[str, str], before: Mapping[str, str] | None = None) -> str:
    """Return a unified diff from the reviewed texts (or ``before``) to ``found``; empty if they are equal."""
    known = reviewed() if before is None else before
    lines: list[str] = []
    for path in sorted(known.keys() | found.keys()):
        old, new = known.get(path, ""), found.get(path, "")
        lines += difflib.unified_diff(old.splitlines(), new.splitlines(), path, path, lineterm="", n=2)
    return "\n".join(lines)


def write(found: Mapping[str, str]) -> None:
    """Make the files hold ``found`` and nothing else."""
    for path in reviewed().keys() - found.keys():
        (FOLDER / path).unlink()
    for path, text in found.items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text)
