"""Windows: the time span of one partition. Its end is the as-of, the only "now" that deciding code knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cio_activation.activation.models import Lane


@dataclass(frozen=True, order=True)
class Window:
    """One partition's half-open time window ``[start, end)``; both ends are aware and in UTC."""

    lane: Lane
    key: str
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError(f"window {self.key}: both ends need a time zone")
        object.__setattr__(self, "start", self.start.astimezone(UTC))
        object.__setattr__(self, "end", self.end.astimezone(UTC))

    @property
    def as_of(self) -> datetime:
        """The window's end as a naive UTC datetime, the form DuckDB's TIMESTAMP columns hold."""
        return self.end.replace(tzinfo=None)
