"""What one run of one step did, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cio_activation.delivery.guards import Verdict
from cio_activation.errors import CioActivationError
from cio_activation.journal.days import Allowance


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one run of one step did. planned = delivered + rejected + unneeded + held, or the run fails."""

    destination: str
    step: str
    plan_id: str
    planned: int = 0
    delivered: int = 0
    rejected: int = 0
    unneeded: int = 0
    """Nothing was left to write, or another attempt had created it."""
    held: int = 0
    fields_rejected: int = 0
    """Single fields that the vendor rejected, of delivered operations too; each is queued, the others went out."""
    waiting: int = 0
    """Rejected earlier and not due for another try: not planned."""
    recovered: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    throttled: int = 0
    by_kind: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None
    """Why nothing or not everything was sent; or who released the plan."""
    stopped: bool = False
    spent: bool = False
    """Our part of the vendor's day is used up."""
    yielded: bool = False
    """Not everything was sent, so that others could go first; the next run of the lane takes it up."""
    deferred: int = 0
    """Operations of earlier plans whose turn has not come: they are in no count of this one."""
    guards: tuple[Verdict, ...] = ()
    """What the guards said of the plan."""
    units: float = 0.0
    """Calls or tokens of the vendor's day that the whole plan was to take."""
    over_budget: int = 0
    """Operations that did not fit what was left of that day; among the held."""
    people_in_scope: int | None = None
    """People for whom the step was planned, as nobody else can have needed anything; None: everybody."""
    budget: Allowance | None = None
    """What this lane may still use of that day; None where the vendor does not count by the day."""

    @property
    def asks_for_next(self) -> bool:
        """Whether the lane's next run is to be asked for: it takes up what is left. Not where nothing got anywhere."""
        moved = self.planned == 0 or self.held < self.planned
        return self.yielded or (self.deferred > 0 and moved and not self.stopped and not self.spent)

    def with_follow_up(self, later: StepReport) -> StepReport:
        """Return this report with what a step came to that was run at once because of it; the plan named is this one's.

        Whoever follows up was counted where it was found: a rejection that led to a further write stays one.
        """
        return replace(
            self,
            planned=self.planned + later.planned,
            delivered=self.delivered + later.delivered,
            rejected=self.rejected + later.rejected,
            unneeded=self.unneeded + later.unneeded,
            held=self.held + later.held,
            fields_rejected=self.fields_rejected + later.fields_rejected,
            throttled=self.throttled + later.throttled,
            calls=Counter(self.calls) + Counter(later.calls),
            by_kind=Counter(self.by_kind) + Counter(later.by_kind),
            reasons=Counter(self.reasons) + Counter(later.reasons),
            units=self.units + later.units,
            note=self.note or later.note,
            stopped=self.stopped or later.stopped,
            yielded=self.yielded or later.yielded,
            spent=self.spent or later.spent,
            deferred=max(self.deferred, later.deferred),
            over_budget=self.over_budget + later.over_budget,
            budget=later.budget or self.budget,
        )

    def check(self) -> None:
        """Raise if the counts do not add up: an operation was lost, and that is never normal."""
        ended = self.delivered + self.rejected + self.unneeded + self.held
        if ended != self.planned:
            raise CioActivationError(
                f"{self.destination}/{self.step}: {self.planned} operations planned but {ended} accounted for; "
                "this is a defect, please report it with the plan file"
            )
