"""What a planned operation comes to for the people in a CRM, told by what its kind can do."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from cio_activation.delivery.destination import EXIT
from cio_activation.journal.operations import Operation


class Effect(StrEnum):
    """From what nobody has to look at to what somebody has to do."""

    COSMETIC = "cosmetic"  # a text that says the same, a look-up, our key on a record
    RELABELS = "relabels"  # values of fields
    CREATES_RECORDS = "creates records"  # of people who had none
    MOVES_PEOPLE = "moves people"  # into an audience or out of it
    TAKES_WORK_BACK = "takes work back"
    CREATES_WORK = "creates human work"


def effect_of(operation: Operation, flags: Collection[str]) -> Effect:
    """Return what ``operation`` comes to; ``flags``: names in a payload that say who a record is to us and, as a
    list, which audiences it is in.
    """
    kind = operation.kind
    if kind.makes_person:
        return Effect.CREATES_RECORDS
    if kind.creates:
        return Effect.CREATES_WORK
    if kind.writes_membership or any(isinstance(operation.payload.get(n), list) for n in flags):
        return Effect.MOVES_PEOPLE
    if kind.writes_fields:
        return Effect.RELABELS
    if not (kind.links or kind.stamps) and operation.priority >= EXIT:
        return Effect.TAKES_WORK_BACK
    return Effect.COSMETIC
