"""What an audit can find, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """How something lies otherwise than the destination acknowledged it."""

    NEVER_ARRIVED = "never_arrived"
    EDITED = "edited"
    CLEARED = "cleared"
    DELETED = "deleted"
    MERGED = "merged"
    EMPTIED = "emptied"
    FOREIGN = "foreign"


class Treatment(StrEnum):
    """What is done about it."""

    REPAIRED = "repaired"
    KEPT = "kept"
    HANDLED = "handled"
    LISTED = "listed"


MEANING: Mapping[Kind, str] = {
    Kind.NEVER_ARRIVED: "acknowledged, and there is no trace of it",
    Kind.EDITED: "another value than the acknowledged one",
    Kind.CLEARED: "a value, our id or a place on a list was taken away",
    Kind.DELETED: "the record, or the action, was deleted",
    Kind.MERGED: "the record was merged into another one",
    Kind.EMPTIED: "nobody is on the list any more",
    Kind.FOREIGN: "somebody or something is there that we did not put there",
}
DONE: Mapping[Treatment, str] = {
    Treatment.REPAIRED: "by the next run of its lane",
    Treatment.KEPT: "stays as the human left it, a conflict",
    Treatment.HANDLED: "a human dealt with it; it is never made again",
    Treatment.LISTED: "nothing; contested before, or nobody of ours",
}
