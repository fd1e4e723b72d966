"""What an attempt is an attempt of: an operation, the kind it is of, and how it may end.

A *kind* is declared by the destination that delivers it, as a frozen value; who plans, sends and folds asks what a kind
can do, never what it is called. So a new kind needs no change here or in ``delivery``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cio_activation.errors import ContractError


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of operation, by what it does at the destination.

    A kind that neither links nor writes fields nor membership is an *action*: something for a human to do about the
    person (a task, an activity, a note, a deal). Its record is its own, and never taken for the person's.
    """

    name: str
    """As it is planned, journaled and kept in the ledger; unique within a step."""
    links: bool = False
    """Looks the person's record up; delivered without a record, it was not found."""
    creates: bool = False
    """Brings a record into being, so its operations carry a claim: at most one creation for each."""
    writes_fields: bool = False
    """Its payload is values of fields of the person's record, which the shadow takes over once delivered."""
    empties: bool = False
    """Those fields are emptied for a person who is no more: the shadow's row goes."""
    stamps: bool = False
    """Also writes our key to the person's record."""
    writes_membership: bool = False
    """Changes whether the person's record is on the list in ``target``."""
    enters: bool = False
    """Of a membership: the record is on the list afterwards; else it is not."""
    told: str = ""
    """What it does, in the words of whoever is told of it: ``put on the list of``. What it is done to follows."""

    @property
    def makes_person(self) -> bool:
        """Whether the record it creates is the person's own."""
        return self.creates and self.writes_fields

    @property
    def needs_record(self) -> bool:
        """Whether the record it is done to has to be known when it is planned."""
        return not (self.links or self.creates)

    @property
    def only_writes(self) -> bool:
        """Whether it changes what a known record of a living person holds, and nothing of who has which record."""
        plain = self.writes_fields and not (self.creates or self.empties or self.stamps)
        return plain or self.writes_membership


def by_name(kinds: Iterable[Kind]) -> dict[str, Kind]:
    """Return name -> kind."""
    return {kind.name: kind for kind in kinds}


def names_sql(kinds: Iterable[Kind], wanted: Callable[[Kind], bool]) -> str:
    """Return a SQL list of the names of those of ``kinds`` that are ``wanted``, for use after ``IN``."""
    names = ", ".join("'" + kind.name.replace("'", "''") + "'" for kind in kinds if wanted(kind))
    return f"({names})" if names else "(NULL)"


@dataclass(slots=True)
class Operation:
    """One intended change at a destination, as planned. ``payload`` holds logical names and values.

    Never changed once made; not ``frozen``, since that makes reading a plan file a third slower.

    ``operation_id`` is a pure function of destination, step, kind, person, target and payload.
    ``keys`` are the match keys a creation may need: ``cio_id``, ``external_id``, ``email``, ``phone``, ``name``.
    """

    operation_id: str
    step: str
    kind: Kind
    cio_id: str
    record_id: str | None
    target: str | None
    payload: Mapping[str, Any]
    keys: Mapping[str, str | None] = field(default_factory=dict)
    row_hash: int | None = None
    """Hash of the person's whole desired row; becomes the shadow's hash when this is delivered."""
    priority: int = 0
    before: Mapping[str, Any] = field(default_factory=dict)
    """Logical name -> what the destination last acknowledged; names it never acknowledged are left out."""
    in_doubt: Sequence[Mapping[str, Any]] = ()
    """Payloads sent since then whose outcome was never learned: the record may hold any of them."""
    current: Mapping[str, Any] = field(default_factory=dict)
    """Logical name -> what the record holds now, as far as that is known without asking."""
    claim: str | None = None
    """What it brings into being, the same for every try of it: ``person:<cio_id>``, ``task:<entry_id>:1``."""


class Cause(StrEnum):
    """What a refusal waits for, where that is known: it is tried again as soon as that has changed."""

    SCHEMA = "schema"  # a field or option that is not there: the next schema step looks
    CLASH = "clash"  # somebody else has the record: a change of either person


class End(StrEnum):
    """How one attempt to send an operation ended."""

    DELIVERED = "delivered"
    REJECTED = "rejected"  # the vendor refused this record, with a reason
    UNNEEDED = "unneeded"  # nothing was left to write, or another attempt had created it; settled as it is
    RETRY = "retry"  # surely not applied; planned again by a later run
    UNKNOWN = "unknown"  # may have been applied; looked up before it is tried again


@dataclass(slots=True)
class Result:
    """The end of one operation's attempt. Never changed once made; not ``frozen``, see :class:`Operation`.

    ``observed`` is what the vendor said the record now holds, if it did; under ``ownership.CONFLICTS`` what was not
    written because a human changed it.
    """

    operation_id: str
    end: End
    reason: str | None = None
    record_id: str | None = None
    status: int | None = None
    request_id: str | None = None
    observed: Mapping[str, Any] = field(default_factory=dict)
    frees: str | None = None
    """Claim of an earlier creation (``Operation.claim``) whose record is gone: it may be made again."""
    fields: tuple[str, ...] = ()
    """Of a refusal: what the vendor named as its reason, under logical names where they are fields of ours."""
    cause: Cause | None = None
    """Of a refusal; None: only time can tell."""


def person_claim(cio_id: str, previous_record: str | None = None) -> str:
    """Return the claim of a person's record.

    A record that was deleted at the destination may be made anew, once: ``previous_record`` makes it another claim.
    """
    return f"person:{cio_id}" + (f":after:{previous_record}" if previous_record else "")


def person_claim_sql(cio_id: str, previous_record: str = "NULL") -> str:
    """Return :func:`person_claim` as SQL over these two expressions."""
    return f"concat('person:', {cio_id}, ':after:' || nullif({previous_record}, ''))"


def kind_named(kinds: Mapping[str, Kind], name: str, step: str) -> Kind:
    """Return the kind of this name; ContractError if the step declares none."""
    if (found := kinds.get(name)) is None:
        there = ", ".join(sorted(kinds)) or "none"
        raise ContractError(
            f"step {step} has an operation of the kind {name!r}, but declares {there}; "
            "was it planned by a newer release? Install that, or report this as a defect"
        )
    return found
