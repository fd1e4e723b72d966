"""What concerns are about, and what one is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Matter(StrEnum):
    """What is the matter with something that is ours, or under our prefix."""

    UNOWNED = "unowned"
    UNUSED = "unused"
    STALE = "stale"
    ORPHANED = "orphaned"
    DRIFTED = "drifted"
    NO_EFFECT = "no_effect"


MEANING: dict[Matter, str] = {
    Matter.UNOWNED: "everything has an owner, who is an active user where a CRM knows them",
    Matter.UNUSED: "every audience had somebody in it, and every property a value, within governance.unused_after",
    Matter.STALE: "everything was reviewed within governance.stale_after",
    Matter.ORPHANED: "the CRMs have nothing under our prefix, or in our folder, that the activation does not have",
    Matter.DRIFTED: "fields, lists and options are in the CRMs as the activation declares them",
    Matter.NO_EFFECT: "no audience goes on for governance.retire_after without an effect that is seen",
}
"""Each matter by what is in order while there is no concern of it."""


@dataclass(frozen=True)
class Concern:
    """One thing of ours, or under our prefix, that somebody should look at."""

    matter: Matter
    about: str
    """Where the activation says it (``audiences.vip``), or what it is at which destination."""
    sentence: str
    mend: str

    def __str__(self) -> str:
        return f"{self.matter}: {self.sentence}. Mend: {self.mend}"
