"""What an activation says about outcomes: what humans write of an outreach on the record, and what follows from each.

The three fields of it are *ours to define and humans' to write*: the schema step makes them, they are emptied when the
person enters an audience anew, and otherwise nothing of ours writes them.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from cio_activation.activation.base import Duration, Model

OUTCOME_FIELD, DATE_FIELD, ACTIVE_FIELD = "outreach_outcome", "outreach_outcome_on", "cx_outreach_active"
"""Names of the three fields, after the workspace's prefix."""
HUMAN_FIELDS = (OUTCOME_FIELD, DATE_FIELD, ACTIVE_FIELD)
OUTCOME_LABEL, DATE_LABEL, ACTIVE_LABEL = "Outreach outcome", "Outreach outcome on", "Outreach active"


class Outcome(StrEnum):
    """What came of an outreach, as a human says."""

    CONVERTED = "converted"
    NOT_INTERESTED = "not_interested"
    BAD_TIMING = "bad_timing"
    WRONG_PERSON = "wrong_person"
    NO_ANSWER = "no_answer"


class Retry(Model):
    """Another attempt for the same entry."""

    after: Duration = timedelta(days=2)
    """How long after the outcome; the action is due in working time from then."""
    max: Annotated[int, Field(ge=1, le=10)] = 2
    """So many further attempts at most."""

    @model_validator(mode="after")
    def _later(self) -> Retry:
        if self.after < timedelta(0):
            raise ValueError("after must not be negative")
        return self


class Follows(Model):
    """What follows from an outcome. Whatever it says, the entry ends, but for a retry while attempts are left."""

    cooldown: Duration | None = None
    """Nobody is asked again for the audience until so long after it; the audience's own cooldown if left out."""
    snooze: Duration | None = None
    """The person may come again after the date that the human wrote beside it, or after this without one."""
    review: bool = False
    """The person is listed by ``cio-activation rejected``, like a key clash: somebody looks whose record it is."""
    retry: Retry | None = None
    """The action is made again, while the reason lives."""

    @model_validator(mode="after")
    def _one_way(self) -> Follows:
        if self.snooze is not None and self.retry is not None:
            raise ValueError("says snooze and retry; keep one of them")
        for name in ("cooldown", "snooze"):
            span = getattr(self, name)
            if span is not None and span < timedelta(0):
                raise ValueError(f"{name} must not be negative")
        return self


LONG = timedelta(days=90)
"""Cooldown after an outcome that settles the matter."""


class Outcomes(Model):
    """What follows from each outcome. Switched on by naming the key; every word has a default."""

    converted: Follows = Follows(cooldown=LONG)
    not_interested: Follows = Follows(cooldown=LONG)
    bad_timing: Follows = Follows(snooze=timedelta(days=14))
    wrong_person: Follows = Follows(cooldown=LONG, review=True)
    no_answer: Follows = Follows(retry=Retry())

    def each(self) -> dict[Outcome, Follows]:
        """Return outcome -> what follows, in their order."""
        return {
            Outcome.CONVERTED: self.converted,
            Outcome.NOT_INTERESTED: self.not_interested,
            Outcome.BAD_TIMING: self.bad_timing,
            Outcome.WRONG_PERSON: self.wrong_person,
            Outcome.NO_ANSWER: self.no_answer,
        }

    @property
    def retries(self) -> dict[Outcome, Retry]:
        """Those after which the action is made again."""
        return {one: follows.retry for one, follows in self.each().items() if follows.retry is not None}


class OutcomesOfAudience(Model):
    """What follows in one audience, where that differs."""

    converted: Follows | None = None
    not_interested: Follows | None = None
    bad_timing: Follows | None = None
    wrong_person: Follows | None = None
    no_answer: Follows | None = None

    def over(self, common: Outcomes) -> Outcomes:
        """Return what holds in the audience: its own words, else the common ones."""
        return common.model_copy(update={name: said for name, said in dict(self).items() if said is not None})
