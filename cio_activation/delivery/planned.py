"""A plan, as guards and releases judge it and as it is entered."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cio_activation.delivery.guards import Verdict


@dataclass(frozen=True)
class Plan:
    """What one run of one step means to do."""

    plan_id: str
    path: Path
    operations: int
    waiting: int
    """Rejected earlier and not due for another try: not part of the plan."""
    by_kind: dict[str, int]
    held_because: str | None = None
    """Which guard, by how much, and the mend; None if the plan may be sent."""
    verdicts: tuple[Verdict, ...] = ()
    fingerprint: str | None = None
    """Of the set of operations, in whatever order; None for an empty plan."""
    released_from: str | None = None
    """The held plan whose release lets this one through."""
    note: str | None = None
    """What else is to be said: who released it and why."""
    units: float = 0.0
    """Calls or tokens that sending all of it takes of the vendor's day."""
    over_budget: int = 0
    """Operations that do not fit what is left of that day: in the file, marked, and not sent."""
    people_in_scope: int | None = None
    """People for whom the step was planned; None: everybody."""
    deferred: int = 0
    """Operations of earlier plans that this one does not take up: their turn comes."""
    brings_news: bool = False
    """Somebody is among those planned for of whom the deciding rooms said something new, beside some deferred."""
