"""Notes (v1 only): HTML that is sanitised, offset paging nested under ``pagination``."""

from __future__ import annotations

import re
from bisect import insort
from dataclasses import dataclass
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import Call, Refusal, instant_of, missing, ok, utc_v1
from cio_activation.sandbox.pipedrive.links import Links, link

CONTENT_MAX = 100_000
PAGE_DEFAULT, PAGE_MAX = 100, 500
_TARGETS = ("person_id", "deal_id", "org_id", "lead_id", "project_id", "task_id")
_PINS = tuple(f"pinned_to_{t}_flag" for t in ("lead", "deal", "organization", "person", "project", "task"))
_SORTS = ("id", "add_time", "update_time", "content")
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$")
_DROPPED = re.compile(r"<!--.*?-->|<(script|style|iframe)\b.*?</\1\s*>|\son\w+\s*=\s*(\"[^\"]*\"|'[^']*')", re.S | re.I)


@dataclass(slots=True)
class Note:
    """One note."""

    id: int
    content: str
    targets: dict[str, Any]
    pins: dict[str, bool]
    user_id: int
    add_time: str
    update_time: int


class Notes:
    """All notes and their endpoints."""

    def __init__(self, links: Links) -> None:
        self.rows: dict[int, Note] = {}
        self._of_person: dict[int, list[int]] = {}
        self._links = links
        self._ids = count(1)

    def create(self, call: Call) -> Response:
        """``POST /v1/notes``."""
        given = self._body(call)
        if "content" not in given or not any(given.get(t) is not None for t in _TARGETS):
            raise Refusal(400, "content and one of person_id, deal_id, org_id, lead_id are required")
        now = int(self._links.now())
        pins = {p: bool(given.get(p, 0)) for p in _PINS}
        targets = {t: given.get(t) for t in _TARGETS}
        added = given.get("add_time") or utc_v1(now)
        note = Note(next(self._ids), sanitised(given["content"]), targets, pins, given.get("user_id", 1), added, now)
        self.rows[note.id] = note
        if note.targets["person_id"] is not None:
            self._of_person.setdefault(note.targets["person_id"], []).append(note.id)
        return ok(self.view(note), 201)

    def update(self, call: Call) -> Response:
        """``PUT /v1/notes/{id}``: only sent keys change, in spite of the verb."""
        note, given = self._found(call), self._body(call)
        if "content" in given:
            note.content = sanitised(given["content"])
        note.pins |= {p: bool(given[p]) for p in _PINS if p in given}
        self._move(note, {t: given[t] for t in _TARGETS if t in given})
        note.user_id, note.add_time = given.get("user_id", note.user_id), given.get("add_time", note.add_time)
        note.update_time = int(self._links.now())
        return ok(self.view(note))

    def show(self, call: Call) -> Response:
        """``GET /v1/notes/{id}``."""
        return ok(self.view(self._found(call)))

    def delete(self, call: Call) -> Response:
        """``DELETE /v1/notes/{id}``: answers ``data: true``."""
        note = self._found(call)
        self._move(note, {"person_id": None})
        del self.rows[note.id]
        return ok(True)

    def index(self, call: Call) -> Response:
        """``GET /v1/notes``."""
        query = call.query
        start = query.integer("start", 0, 0) or 0
        limit = min(query.integer("limit", PAGE_DEFAULT) or PAGE_DEFAULT, PAGE_MAX)
        wanted = {t: query.integer(t) for t in _TARGETS if t != "lead_id" and query.has(t)}
        user, since = query.integer("user_id"), query.instant("updated_since")
        column, _, way = (query.text("sort") or "id ASC").partition(" ")
        if column not in _SORTS or way.upper() not in ("", "ASC", "DESC"):
            query.problem("sort: is not a field and ASC or DESC")
        query.done()
        person = wanted.get("person_id")
        ids = self._of_person.get(person, ()) if person is not None else self.rows
        rows = [
            n
            for n in (self.rows[i] for i in ids)
            if all(n.targets[t] == v for t, v in wanted.items())
            and (user is None or n.user_id == user)
            and (since is None or n.update_time >= since)
            and not query.has("lead_id")
        ]
        rows.sort(key=lambda n: (getattr(n, column), n.id), reverse=way.upper() == "DESC")
        more = len(rows) > start + limit
        page: dict[str, Any] = {"start": start, "limit": limit, "more_items_in_collection": more}
        if more:
            page["next_start"] = start + limit
        shown = [self.view(n) for n in rows[start : start + limit]]
        return ok(shown or None, pagination=page)

    def count_of(self, person_id: int) -> int:
        """Return how many notes a person has."""
        return len(self._of_person.get(person_id, ()))

    def repoint(self, old: int, new: int) -> None:
        """Move a merged person's notes to the survivor."""
        for note_id in list(self._of_person.get(old, ())):
            self._move(self.rows[note_id], {"person_id": new})

    def _move(self, note: Note, targets: dict[str, Any]) -> None:
        before = note.targets["person_id"]
        note.targets |= targets
        after = note.targets["person_id"]
        if before is not None and before != after:
            self._of_person[before].remove(note.id)
        if after is not None and before != after:
            insort(self._of_person.setdefault(after, []), note.id)

    def _found(self, call: Call) -> Note:
        call.query.done()
        note = self.rows.get(call.id)
        if note is None:
            raise missing("Note")
        return note

    def _body(self, call: Call) -> dict[str, Any]:
        """Return the checked body; v1 ignores keys it does not know."""
        given = call.json()
        if not isinstance(given, dict):
            raise Refusal(400, "The request body must be an object")
        checks: dict[str, body_checks.Check] = {
            "content": body_checks.text(CONTENT_MAX, 1),
            "person_id": link(self._links.person, "person"),
            "deal_id": link(self._links.deal, "deal"),
            "user_id": body_checks.integer(self._links.users(), "user"),
            "add_time": lambda v: _timestamp(v),
            "org_id": link(self._links.org, "organization"),
            **dict.fromkeys(("lead_id", "project_id", "task_id"), body_checks.one_of(None)),
            **dict.fromkeys(_PINS, body_checks.one_of(0, 1)),
        }
        known = {k: v for k, v in given.items() if k in checks}
        if wrong := [f"{k}: {bad}" for k, v in known.items() if (bad := checks[k](v))]:
            raise Refusal(400, "; ".join(wrong))
        return known

    def view(self, note: Note) -> dict[str, Any]:
        """Return a note as v1 shows it."""
        person = self._links.person(note.targets["person_id"]) if note.targets["person_id"] is not None else None
        return {
            "id": note.id,
            "active_flag": True,
            "add_time": note.add_time,
            "update_time": utc_v1(note.update_time),
            "content": note.content,
            **note.targets,
            **{name: pinned for name, pinned in note.pins.items() if name != "pinned_to_lead_flag"},
            "person": {"name": getattr(person, "name", "")} if person is not None else None,
            "user_id": note.user_id,
            "last_update_user_id": None,
        }


def _timestamp(value: Any) -> str | None:
    right = isinstance(value, str) and _TIMESTAMP.match(value)
    return None if right and instant_of(value.replace(" ", "T") + "Z") is not None else "expected YYYY-MM-DD HH:MM:SS"


def sanitised(content: str) -> str:
    """Return HTML without comments, scripts, styles, frames and event attributes.

    Which tags survive at the vendor is not confirmed; that comments do is not either, so they do not here.
    """
    return _DROPPED.sub("", content)
