"""Collecting what is wrong with an activation file, so that a user mends it once and not error by error."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from cio_activation.errors import ConfigError

Path = tuple[str | int, ...]
"""Where something stands in the file: ``("audiences", "vip_cart", "exit_on", 0)``."""


class OldKey(FutureWarning):
    """A key of the activation file that has another name now; it is still read."""


def dotted(path: Path) -> str:
    """Return ``path`` as people read it: ``audiences.vip_cart.exit_on[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def meant(word: str, candidates: Iterable[str]) -> str:
    """Return ``; did you mean 'x' or 'y'?`` for the closest of ``candidates``, or nothing if none is close."""
    close = get_close_matches(word, list(candidates), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


class Problems:
    """The problems of one file; each reads ``activation.yaml:31: audiences.vip_cart.grace: what; mend``."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: set[tuple[int, str]] = set()
        self.lines: Mapping[Path, int] = {}
        """Line (counted from 1) of every key and list item; filled in by :func:`source.read_source`."""

    def line(self, path: Path) -> int:
        """Return the line of ``path``, or of the nearest thing around it that is in the file; else 1."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def add(self, path: Path, message: str, line: int | None = None) -> None:
        """Note that ``message`` is wrong at ``path``; ``line`` only where the path alone does not tell it."""
        number = self.line(path) if line is None else line
        self._found.add((number, self._told(path, number, message)))

    def add_all(self, path: Path, error: ConfigError) -> None:
        """Note every problem of ``error``, raised by a part that does not know the file, at ``path``."""
        for message in error.problems:
            self.add(path, message)

    def warn(self, path: Path, message: str) -> None:
        """Warn (OldKey) of something at ``path`` that is still taken as it is."""
        warnings.warn(self._told(path, self.line(path), message), OldKey, stacklevel=2)

    def stop(self) -> None:
        """Raise one ConfigError with every problem noted so far, in the order of the file; none: do nothing."""
        if self._found:
            raise ConfigError(*(text for _line, text in sorted(self._found)))

    def _told(self, path: Path, line: int, message: str) -> str:
        return f"{self._file}:{line}: {f'{dotted(path)}: ' if path else ''}{message}"
