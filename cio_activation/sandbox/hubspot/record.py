"""One record of HubSpot: a contact or a task."""

from __future__ import annotations


class Record:
    """One record. ``values`` is replaced, never changed in place, so that the search index can keep old ones."""

    __slots__ = ("archived_at", "created", "emails", "ever", "id", "merged", "updated", "values", "written")

    def __init__(self, record_id: int, values: dict[str, str], created: float) -> None:
        self.id, self.values = record_id, values
        self.created = self.updated = created
        self.archived_at: float | None = None
        self.emails: tuple[str, ...] = ()
        self.merged: tuple[int, ...] = ()
        self.ever: frozenset[str] = frozenset(values)
        """Names of what held a value at any time."""
        self.written: dict[str, float] = {}
        """When a property was last given another value; of the others that is when the record was made."""
