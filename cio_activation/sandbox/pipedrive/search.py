"""Search: a lagging index, lossy hits, at most 100 a page.

A search at time t sees the account as it was ``lag_s`` (real seconds) ago: persons just made are not found,
persons just deleted still are.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.responses import Response

from cio_activation.sandbox.pipedrive.envelope import Call, Query, ok
from cio_activation.sandbox.pipedrive.fields import Fields
from cio_activation.sandbox.pipedrive.values import SEARCHABLE

FIELDS = ("name", "email", "phone", "notes", "custom_fields")
HITS_MAX = 100
_TYPES = ("deal", "person", "organization", "product", "lead", "file", "mail_attachment", "project")
_COLUMNS = {"name": "name", "email": "emails", "emails": "emails", "phone": "phones", "phones": "phones"}


class Findable(Protocol):
    """What the index reads of a person."""

    id: int
    name: str
    emails: list[dict[str, Any]]
    phones: list[dict[str, Any]]
    custom: dict[str, Any]
    owner_id: int
    visible_to: int


@dataclass(frozen=True, slots=True)
class Document:
    """A person as the index knows it."""

    id: int
    name: str
    emails: tuple[str, ...]
    phones: tuple[str, ...]
    custom: dict[str, str]
    owner_id: int
    visible_to: int

    def texts(self, names: Iterable[str]) -> list[str]:
        """Return every text of the given search fields."""
        found: list[str] = []
        for name in names:
            if name == "name":
                found.append(self.name)
            elif name == "email":
                found += self.emails
            elif name == "phone":
                found += self.phones
            elif name == "custom_fields":
                found += self.custom.values()
        return found

    def hit(self) -> dict[str, Any]:
        """Return the lossy shape of a hit: plain strings, custom values without their keys."""
        return {
            "id": self.id,
            "type": "person",
            "name": self.name,
            "phones": list(self.phones),
            "emails": list(self.emails),
            "visible_to": self.visible_to,
            "owner": {"id": self.owner_id},
            "organization": None,
            "custom_fields": list(self.custom.values()),
            "notes": [],
        }


class SearchIndex:
    """Finds persons by text. ``before`` must be called ahead of every change of a person."""

    def __init__(
        self, lag_s: float, person: Callable[[int], Findable | None], people: Callable[[], Iterable[Findable]]
    ) -> None:
        self.lag_s = lag_s
        self.fields: Fields
        self._person, self._people = person, people
        self._old: dict[int, list[tuple[float, Document | None]]] = {}
        self._due: deque[tuple[float, int]] = deque()
        self._emails: dict[str, set[int]] = {}

    # -- keeping ----------------------------------------------------------------------------------------

    def before(self, person: Findable, *, new: bool = False) -> None:
        """Keep what searches go on seeing for ``lag_s`` (nothing, for a person who is being made)."""
        self._expire()
        document = None if new else self._document(person)
        until = time.monotonic() + self.lag_s
        self._old.setdefault(person.id, []).append((until, document))
        self._due.append((until, person.id))
        for email in () if new else person.emails:
            ids = self._emails.get(email["value"].lower(), set())
            ids.discard(person.id)

    def learn(self, person: Findable) -> None:
        """Index a person's present e-mails."""
        for email in person.emails:
            self._emails.setdefault(email["value"].lower(), set()).add(person.id)

    def forget(self, person: Findable) -> None:
        """Drop a deleted person's e-mails (``before`` remembers what is still seen)."""
        for email in person.emails:
            self._emails.get(email["value"].lower(), set()).discard(person.id)

    def _expire(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, person_id = self._due.popleft()
            versions = self._old.get(person_id)
            if versions and versions[-1][0] <= now:
                del self._old[person_id]

    def _document(self, person: Findable) -> Document:
        custom = {
            code: str(value["value"] if isinstance(value, dict) else value)
            for code, value in person.custom.items()
            if code in self.fields.custom and self.fields.custom[code].type in SEARCHABLE
        }
        emails, phones = (tuple(p["value"] for p in ps) for ps in (person.emails, person.phones))
        return Document(person.id, person.name, emails, phones, custom, person.owner_id, person.visible_to)

    def _seen(self, person_id: int) -> Document | None:
        """Return a person as the lagging index shows them now."""
        now = time.monotonic()
        for until, document in self._old.get(person_id, ()):
            if until > now:
                return document
        person = self._person(person_id)
        return None if person is None else self._document(person)

    def _documents(self, email: str | None) -> Iterable[Document]:
        self._expire()
        if email is not None:
            ids = sorted(self._emails.get(email.lower(), set()) | set(self._old))
        else:
            ids = sorted({p.id for p in self._people()} | set(self._old))
        return (d for i in ids if (d := self._seen(i)) is not None)

    # -- v2 ---------------------------------------------------------------------------------------------

    def persons(self, call: Call) -> Response:
        """``GET /persons/search``."""
        call.query.integer("organization_id")
        call.query.words("include_fields", 1, ("person.picture",))
        return self._answer(call.query, person=True)

    def deals(self, call: Call) -> Response:
        """``GET /deals/search``: checked, and it finds nothing; only persons are indexed."""
        query = call.query
        _term(query, 1 if query.flag("exact_match") else 2)
        query.words("fields", 3, ("custom_fields", "notes", "title"))
        for name in ("person_id", "organization_id"):
            query.integer(name)
        query.choice("status", ("open", "won", "lost"), "")
        query.words("include_fields", 1, ("deal.cc_email",))
        _paging(query)
        query.done()
        return ok({"items": []}, next_cursor=None)

    def items(self, call: Call) -> Response:
        """``GET /itemSearch``: only persons are there to be found."""
        types = call.query.words("item_types", 8, _TYPES)
        call.query.flag("search_for_related_items")
        call.query.words("include_fields", 3, ("deal.cc_email", "person.picture", "product.price"))
        return self._answer(call.query, person=types is None or "person" in types, related=True)

    def _answer(self, query: Query, *, person: bool, related: bool = False) -> Response:
        exact = bool(query.flag("exact_match"))
        term = _term(query, 1 if exact else 2)
        names = query.words("fields", 5, FIELDS) or list(FIELDS)
        limit, start = _paging(query)
        query.done()
        wanted = term.lower()
        only_email = term if exact and names == ["email"] else None
        found: list[Document] = []
        for document in self._documents(only_email) if person else ():
            texts = (t.lower() for t in document.texts(names))
            if any(t == wanted if exact else wanted in t for t in texts):
                found.append(document)
        items = [{"result_score": 0.5, "item": d.hit()} for d in found[start : start + limit]]
        data = {"items": items} | ({"related_items": []} if related else {})
        return ok(data, next_cursor=_next(start, limit, len(found)))

    def by_field(self, call: Call) -> Response:
        """``GET /itemSearch/field``: one field of one entity, case-sensitive."""
        query = call.query
        match = query.choice("match", ("exact", "beginning", "middle"), "exact")
        term = _term(query, 1 if match == "exact" else 2)
        entity = query.choice("entity_type", ("deal", "lead", "person", "organization", "product", "project"), "")
        if not entity:
            query.problem("entity_type: is required")
        code = query.text("field") or ""
        column, custom = _COLUMNS.get(code), self.fields.custom.get(code)
        if column is None and (custom is None or custom.type not in SEARCHABLE):
            query.problem("field: is not a searchable field")
        limit, start = _paging(query)
        query.done()
        found = []
        for document in self._documents(None) if entity == "person" else ():
            texts = _column(document, column) if column else [document.custom.get(code)]
            if any(t is not None and _matches(t, term, match) for t in texts):
                found.append({"result_score": 0.5, "item": {"id": document.id, "name": document.name}})
        return ok(found[start : start + limit], next_cursor=_next(start, limit, len(found)))


def _column(document: Document, column: str) -> list[str | None]:
    return [document.name] if column == "name" else list(getattr(document, column))


def _matches(text: str, term: str, match: str) -> bool:
    if match == "exact":
        return text == term
    return text.startswith(term) if match == "beginning" else term in text


def _term(query: Query, least: int) -> str:
    term = (query.text("term") or "").strip()
    if len(term) < least:
        query.problem(f"term: at least {least} characters are needed")
    return term


def _paging(query: Query) -> tuple[int, int]:
    """Return limit and offset. The spec speaks of 500 for persons; a sandbox refused more than 100."""
    limit = query.integer("limit", HITS_MAX, 1, HITS_MAX) or HITS_MAX
    raw = query.text("cursor")
    if raw is not None and not (raw.startswith("cz") and raw[2:].isdecimal() and len(raw) < 10):
        query.problem("cursor: is not valid for this search")
        raw = None
    return limit, int(raw[2:]) if raw else 0


def _next(start: int, limit: int, total: int) -> str | None:
    return f"cz{start + limit}" if total > start + limit else None
