"""Keys of ``activation.yaml`` that were called otherwise in an earlier release: still read, with a warning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.activation.problems import Path, Problems

ALIASES: Mapping[Path, str] = {
    ("workspace", "moments_kept"): "moment_retention",
    ("workspace", "moment_bodies_kept"): "moment_body_retention",
}
"""Where an old key stands -> its name now, at the same place."""


def with_present_keys(data: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """Return ``data`` with every old key under its present name; a warning names its line.

    Where both names stand, that is a problem: nobody can tell which was meant.
    """
    result = dict(data)
    lines = dict(problems.lines)
    for old, new in ALIASES.items():
        *above, name = old
        path = (*above, new)
        section = _section(result, tuple(above))
        if section is None or name not in section:
            continue
        if new in section:
            problems.add(old, f"is called {new} now, which is there too; remove {name}")
        else:
            section[new] = section[name]
            lines[path] = problems.line(old)
            problems.warn(old, f"is called {new} now; rename it")
        del section[name]
    problems.lines = lines
    return result


def _section(data: dict[str, Any], place: Path) -> dict[Any, Any] | None:
    """Return a copy of the mapping at ``place``, put in place of it in ``data``; None if there is no mapping."""
    here: dict[Any, Any] = data
    for part in place:
        found = here.get(part)
        if not isinstance(found, dict):
            return None
        here[part] = dict(found)
        here = here[part]
    return here
