"""Which HubSpot records are linked with which, and by what kinds of association.

Type ids are those of HubSpot's own client (``association_type.py``). A labelled link carries the unlabelled kind of
its two types beside it, in both directions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.errors import invalid_input
from cio_activation.sandbox.hubspot.values import as_text

DEFINED, LABELLED = "HUBSPOT_DEFINED", "USER_DEFINED"
_DEFAULTS = {
    ("deals", "contacts"): 3,
    ("contacts", "deals"): 4,
    ("contacts", "notes"): 201,
    ("notes", "contacts"): 202,
    ("contacts", "tasks"): 203,
    ("tasks", "contacts"): 204,
    ("deals", "notes"): 213,
    ("notes", "deals"): 214,
    ("deals", "tasks"): 215,
    ("tasks", "deals"): 216,
}
"""The unlabelled association of two object types."""

LABELS_AFTER = 1_000
"""Ids of labels come after it, so that they are no id of HubSpot's own."""
Node = tuple[str, int]
"""Object type and record id."""


@dataclass(frozen=True)
class Kind:
    """One kind of association, seen from one of its ends."""

    category: str
    type_id: int
    label: str | None = None
    inverse: int = 0
    """The type id that the other end knows it by."""

    def as_row(self) -> dict[str, Any]:
        """Return it as reads answer it."""
        return {"category": self.category, "typeId": self.type_id, "label": self.label}


@dataclass(frozen=True)
class Link:
    """One link that a new record asks for."""

    far: str
    record_id: int
    kinds: tuple[Kind, ...]


class Links:
    """All links of an account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._of: dict[Node, dict[Node, set[Kind]]] = {}
        self.kinds: dict[tuple[str, str], dict[int, Kind]] = {
            pair: {number: Kind(DEFINED, number, None, _DEFAULTS[pair[::-1]])} for pair, number in _DEFAULTS.items()
        }
        self._last_label = LABELS_AFTER

    # -- kinds

    def default(self, near: str, far: str) -> Kind:
        """Return the unlabelled kind of two types; refuses types that are never linked."""
        number = _DEFAULTS.get((near, far))
        if number is None:
            raise invalid_input(f"No associations between {near} and {far} here")
        return self.kinds[near, far][number]

    def define(self, near: str, far: str, label: str, inverse: str | None) -> list[Kind]:
        """Make a label of two types; one label for each direction."""
        self.default(near, far)
        if any(k.label == label for k in self.kinds[near, far].values()):
            raise invalid_input(f"A label {label} exists between {near} and {far}")
        first, second = self._last_label + 1, self._last_label + 2
        self._last_label = second
        there, back = Kind(LABELLED, first, label, second), Kind(LABELLED, second, inverse or label, first)
        self.kinds[near, far][first], self.kinds[far, near][second] = there, back
        return [there, back]

    def named(self, near: str, far: str, types: Iterable[Any]) -> tuple[Kind, ...]:
        """Return the kinds that an ``associationCategory`` with ``associationTypeId`` name; refuses unknown ones."""
        found: list[Kind] = []
        for given in types:
            kind = self.kinds.get((near, far), {}).get(given.get("associationTypeId") or 0)
            if kind is None or kind.category != given.get("associationCategory"):
                raise invalid_input(f"invalid association type for {near}: {[given]}")
            found.append(kind)
        if not found:
            raise invalid_input(f"invalid association type for {near}: []")
        return tuple(found)

    # -- links

    def check(self, near: str, given: Any) -> list[Link]:
        """Return what a new record's ``associations`` ask for; each of the other ends must exist."""
        found: list[Link] = []
        for link in given or []:
            types = link.get("types") or []
            wanted = {t.get("associationTypeId") for t in types}
            far = next((b for (a, b), kinds in self.kinds.items() if a == near and wanted & set(kinds)), "")
            kinds = self.named(near, far, types)
            record_id = as_text((link.get("to") or {}).get("id")) or ""
            other = self._account.records[far].get(record_id)
            if other is None:
                text = f"One or more associations are not valid: {record_id} does not exist"
                raise invalid_input(text, ids=[record_id])
            found.append(Link(far, other.id, kinds))
        return found

    def add(self, near: str, record_id: int, links: Iterable[Link]) -> None:
        """Link a record with others."""
        for link in links:
            one, other = (near, record_id), (link.far, link.record_id)
            for kind in {*link.kinds, self.default(near, link.far)}:
                self._of.setdefault(one, {}).setdefault(other, set()).add(kind)
                back = self.kinds[link.far, near][kind.inverse]
                self._of.setdefault(other, {}).setdefault(one, set()).add(back)

    def remove(self, one: Node, other: Node) -> None:
        """Unlink two records."""
        for near, far in ((one, other), (other, one)):
            self._of.get(near, {}).pop(far, None)

    def unlabel(self, one: Node, other: Node, kinds: Iterable[Kind]) -> None:
        """Take kinds from a link; without any it is no link."""
        there, back = self._of.get(one, {}).get(other, set()), self._of.get(other, {}).get(one, set())
        for kind in kinds:
            there.discard(kind)
            back.discard(self.kinds[other[0], one[0]][kind.inverse])
        if not there:
            self.remove(one, other)

    def gone(self, object_type: str) -> Callable[[list[int], int | None], None]:
        """Return what to do when records of a type go: a deleted one is unlinked, a merged one's heir takes over."""

        def listener(gone: list[int], heir: int | None) -> None:
            for record_id in gone:
                for other, kinds in list(self._of.get((object_type, record_id), {}).items()):
                    self.remove((object_type, record_id), other)
                    if heir is not None:
                        self.add(object_type, heir, [Link(*other, tuple(kinds))])

        return listener

    def of(self, near: str, record_id: int, far: str) -> list[int]:
        """Return the records of a type that are linked with one."""
        return sorted(number for type_, number in self._of.get((near, record_id), {}) if type_ == far)

    def kinds_of(self, one: Node, other: Node) -> list[Kind]:
        """Return by what two records are linked."""
        return sorted(self._of.get(one, {}).get(other, ()), key=lambda k: k.type_id)
