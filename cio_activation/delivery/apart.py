"""Takes a refused write apart: the fields that the vendor refuses are refused alone, the others go out in the same run.

A request carries several fields of one person, and a vendor refuses it whole for one of them. What the answer names is
left out and the rest sent again; where it names nothing, the fields are halved until the guilty one stands alone. The
step's ``flags`` (who is in which audience) always go first and by themselves, so that no value keeps an exit back.

A creation is made with what is surely right, and the rest is then written to the new record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cio_activation.delivery.destination import Step
from cio_activation.delivery.ownership import CONFLICTS
from cio_activation.journal.operations import End, Kind, Operation, Result

REFUSED = "refused"
"""Key of ``Result.observed``: logical names that were not written -> ``{reason, cause}``."""
UNWRITTEN = "unwritten"
"""Key of ``Result.observed``: logical names of a new record that it is not known to hold; the next plan writes them."""
DIVISIBLE = (207, 400, 422)
"""Statuses of a refusal that may be the fault of one value, where the answer names none."""

Write = Callable[[Sequence[Operation]], Awaitable[list[Result]]]
"""Sends one batch; gives one result per operation, and never raises for what a vendor may answer."""


async def take_apart(step: Step, batch: Sequence[Operation], results: Sequence[Result], write: Write) -> list[Result]:
    """Return ``results`` with every refusal of field values narrowed down to the fields that are refused."""
    operations = {o.operation_id: o for o in batch}
    ended: list[Result] = []
    open_ones: list[_Apart] = []
    for result in results:
        operation = operations[result.operation_id]
        if _is_of_fields(operation, result):
            open_ones.append(_Apart(step, operation, result))
        else:
            ended.append(result)
    while any(one.parts for one in open_ones):
        # Creations and writes to known records are different calls.
        for creates in (True, False):
            these = [one for one in open_ones if one.parts and one.is_creation is creates]
            answers = {r.operation_id: r for r in await write([one.next() for one in these])} if these else {}
            for one in these:
                one.take(answers[one.operation.operation_id])
    return ended + [one.result() for one in open_ones]


def _is_of_fields(operation: Operation, result: Result) -> bool:
    """Tell whether a refusal is about values of fields, as far as the answer lets one know."""
    if result.end is not End.REJECTED or not operation.kind.writes_fields or not operation.payload:
        return False
    if "gone" in result.observed:
        return False
    if result.fields:
        return any(name in operation.payload for name in result.fields)
    return result.status in DIVISIBLE


@dataclass
class _Apart:
    """One refused operation on its way through its parts."""

    step: Step
    operation: Operation
    first: Result
    parts: list[tuple[str, ...]] = field(default_factory=list)
    refused: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    whole: Result | None = None
    """How the operation ended as a whole, where that is not for its fields to say."""
    record_id: str | None = None

    def __post_init__(self) -> None:
        self.is_creation = self.operation.kind.creates
        self._refuse(tuple(self.operation.payload), self.first)

    def next(self) -> Operation:
        """Return the next part to send."""
        payload = {name: self.operation.payload[name] for name in self.parts[0]}
        if self.operation.kind.creates and not self.is_creation:
            return replace(self.operation, payload=payload, kind=_update(self.step), record_id=self.record_id)
        return replace(self.operation, payload=payload)

    def take(self, answer: Result) -> None:
        """Take the end of the part that was sent."""
        names = self.parts.pop(0)
        if answer.end in (End.DELIVERED, End.UNNEEDED):
            self.written.append(answer)
            self.record_id = answer.record_id or self.record_id
            self.is_creation = False
        elif answer.end is End.REJECTED and _is_of_fields(self._next_of(names), answer):
            self._refuse(names, answer)
        else:
            # Not answered, or refused for another reason: true of all that is left of the operation.
            self.left = [*names, *(name for part in self.parts for name in part)]
            self.whole, self.parts = answer, []

    def _next_of(self, names: Sequence[str]) -> Operation:
        """Return the operation with these fields only."""
        return replace(self.operation, payload={name: self.operation.payload[name] for name in names})

    def result(self) -> Result:
        """Return how the operation ended; what is not written is under ``REFUSED``."""
        made = self.operation.kind.creates and self.record_id is not None
        if self.whole is not None and not made:
            return self.whole
        told = "; ".join(dict.fromkeys(told_of(name, r) for name, r in self.refused.items())) or None
        if not self.written:
            return replace(self.first, reason=told, observed={**self.first.observed, REFUSED: self.refused})
        observed = _joined([self.first, *self.written])
        last = self.written[-1]
        observed |= {REFUSED: self.refused}
        observed |= {UNWRITTEN: dict.fromkeys(self.left, True)} if self.left else {}
        return replace(last, end=End.DELIVERED, reason=told, record_id=self.record_id, observed=observed)

    def _refuse(self, names: tuple[str, ...], answer: Result) -> None:
        """Note which of ``names`` the answer refuses, or split them; what is left is sent next."""
        guilty = tuple(n for n in names if n in answer.fields) or (names if len(names) == 1 else ())
        if self.is_creation and any(n in self.step.flags for n in guilty):
            # A record without our key would be made again: rather none.
            self.whole, self.parts = answer, []
            return
        for name in guilty:
            self.refused[name] = {"reason": answer.reason, "cause": answer.cause}
        rest = tuple(n for n in names if n not in guilty)
        flags = tuple(n for n in rest if n in self.step.flags)
        others = tuple(n for n in rest if n not in flags)
        alone = [flags] if flags and others else []
        if self.is_creation and not guilty:
            # Not again with anything that may be the culprit.
            pieces = [flags, others] if others else [flags[:1], flags[1:]]
            self.parts = [pieces[0], *(p for p in pieces[1:] if p), *self.parts]
        elif self.is_creation:
            self.parts = [rest, *self.parts]
        elif guilty:
            self.parts = [*alone, *([others or flags] if rest else []), *self.parts]
        elif flags and others:
            self.parts = [flags, others, *self.parts]
        else:
            half = (len(names) + 1) // 2
            self.parts = [names[:half], names[half:], *self.parts]


def told_of(name: str, refusal: Mapping[str, Any]) -> str:
    """Return the reason of one refused field (of ``REFUSED``), naming it once."""
    reason = str(refusal["reason"])
    named = any(word == name or word.endswith(f"_{name}") for word in reason.replace(",", " ").split())
    return reason if named else f"{reason} ({name})"


def _update(step: Step) -> Kind:
    """Return the step's kind that writes fields to a record that is there."""
    return next(kind for kind in step.kinds if kind.writes_fields and kind.only_writes)


def _joined(results: Sequence[Result]) -> dict[str, Any]:
    """Return what was observed in all parts; of the same thing, what was seen last."""
    observed: dict[str, Any] = {}
    conflicts: dict[str, Any] = {}
    for result in results:
        observed |= result.observed
        found: Mapping[str, Any] = result.observed.get(CONFLICTS, {})
        conflicts |= found
    return observed | ({CONFLICTS: conflicts} if conflicts else {})
