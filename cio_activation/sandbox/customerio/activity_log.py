"""What a workspace notes about people's changes, and of writes that were accepted what became of them.

The documents list the types and say no more of when each is noted. Here (inference): ``failed_attribute_change`` when
an identifier belongs to somebody else; ``failed_batch_update`` when an accepted item of a batch fits nobody;
``skipped_update`` when a later change was there already, a single update fits nobody, or the person is suppressed;
``failed_event`` when an event fits nobody or its person is suppressed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cio_activation.sandbox.world.snapshot import Identifiers


@dataclass(frozen=True)
class Activity:
    """One activity. ``names`` are the events or attributes it can be asked by, ``who`` the identifiers as written."""

    number: int
    type: str
    at: int
    cio_id: str | None
    who: Identifiers
    data: dict[str, Any]
    names: tuple[str, ...] = ()


@dataclass
class ActivityLog:
    """All activities of a workspace, oldest first."""

    instant: Callable[[], float]
    rows: list[Activity] = field(default_factory=list)
    gone: dict[str, Identifiers] = field(default_factory=dict)
    """Deleted people, by ``cio_id``."""

    def note(
        self, type_: str, cio_id: str | None, data: dict[str, Any] | None = None, /, *names: str, **who: str
    ) -> None:
        """Note an activity of now; ``who``: the identifiers by which nobody was found."""
        given: Identifiers = (who.get("cio_id", ""), who.get("id"), who.get("email"))
        self.rows.append(Activity(len(self.rows) + 1, type_, int(self.instant()), cio_id, given, data or {}, names))
