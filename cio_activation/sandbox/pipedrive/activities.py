"""Activities (v2): ``person_id`` is refused, people come as ``participants``; no custom fields, no type filter."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import BAD_REQUEST, Call, Refusal, missing, ok, utc
from cio_activation.sandbox.pipedrive.fields import Fields
from cio_activation.sandbox.pipedrive.links import Known, Links, link
from cio_activation.sandbox.pipedrive.table import Table

BUILT_IN = (
    ("id", "ID", "int"),
    ("subject", "Subject", "varchar"),
    ("type", "Type", "varchar_options"),
    ("due_date", "Due date", "date"),
    ("priority", "Priority", "enum"),
    ("note", "Note", "text"),
)
PRIORITIES = ("High", "Medium", "Low")
"""Labels of the priorities; an activity holds the number of one, which only ``activityFields`` tells."""
NOTE_MAX_BYTES = 100 * 1024
_PLAIN = ("subject", "type", "owner_id", "deal_id", "due_date", "due_time", "duration", "busy", "location")
_ATTENDEE: dict[str, body_checks.Check] = {
    **dict.fromkeys(("email", "name", "status"), body_checks.text(255)),
    **dict.fromkeys(("person_id", "user_id"), body_checks.integer()),
    "is_organizer": body_checks.boolean,
}
_MEETING = ("conference_meeting_client", "conference_meeting_url", "conference_meeting_id")
_MORE = ("public_description", "priority", "note", "lead_id", "org_id", "project_id")


@dataclass(slots=True)
class Activity:
    """One activity; ``values`` holds what v2 shows as it was written."""

    id: int
    add_time: int
    update_time: int
    values: dict[str, Any]
    participants: list[dict[str, Any]] = field(default_factory=list)
    attendees: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False
    done_at: int | None = None
    is_deleted: bool = False
    creator: int = 1

    @property
    def due_date(self) -> str | None:
        """The day it is due, for sorting."""
        due: str | None = self.values["due_date"]
        return due

    @property
    def person_id(self) -> int | None:
        """The primary participant."""
        return next((p["person_id"] for p in self.participants if p["primary"]), None)


class Activities:
    """All activities and their endpoints."""

    def __init__(self, links: Links) -> None:
        self.table: Table[Activity] = Table()
        self.fields: Fields
        self._links = links
        self._ids = count(1)

    def _note(self, value: Any) -> str | None:
        if not isinstance(value, str):
            return body_checks.expected("string", value)
        return None if len(value.encode()) <= NOTE_MAX_BYTES else "is larger than 100 KB"

    def _body(self, call: Call) -> dict[str, Any]:
        call.query.done()
        raw = call.json()
        if isinstance(raw, dict) and "person_id" in raw:
            # In the spec's body, refused by the server.
            raise Refusal(400, "person_id is read-only, use participants instead", BAD_REQUEST)
        person = body_checks.integer(Known(self._links.person), "person")
        participant = body_checks.record({"person_id": person, "primary": body_checks.boolean}, ("person_id",))
        schema: dict[str, body_checks.Check] = {
            "subject": body_checks.text(255, 1),
            "type": body_checks.one_of(*self._links.types()),
            "owner_id": body_checks.integer(self._links.users(), "user"),
            "deal_id": link(self._links.deal, "deal"),
            "lead_id": body_checks.one_of(None),
            "org_id": link(self._links.org, "organization"),
            "project_id": body_checks.one_of(None),
            "due_date": body_checks.nullable(body_checks.calendar_date),
            "due_time": body_checks.nullable(body_checks.clock_time),
            "duration": body_checks.nullable(body_checks.clock_time),
            "busy": body_checks.boolean,
            "done": body_checks.boolean,
            "location": body_checks.nullable(body_checks.address),
            "participants": body_checks.array(participant),
            "attendees": body_checks.array(body_checks.record(_ATTENDEE)),
            "public_description": body_checks.nullable(self._note),
            "priority": body_checks.nullable(body_checks.integer()),
            "note": body_checks.nullable(self._note),
        }
        return body_checks.body_of(call, schema)

    def create(self, call: Call) -> Response:
        """``POST /activities``; sent twice, it makes two."""
        return ok(self.view(self.make(self._body(call))), 201)

    def make(self, given: dict[str, Any], creator: int = 1) -> Activity:
        """Create an activity from a checked body; the token is user 1's."""
        types = self._links.types()
        kind = given.get("type") or next(iter(types))
        now = int(self._links.now())
        values: dict[str, Any] = dict.fromkeys(_PLAIN + _MORE)
        values |= {"type": kind, "subject": types[kind], "owner_id": 1, "busy": False}
        activity = Activity(next(self._ids), now, now, values, creator=creator)
        self._assign(activity, given)
        self.table.add(activity)
        return activity

    def update(self, call: Call) -> Response:
        """``PATCH /activities/{id}``: only sent keys change."""
        activity = self._alive(call)
        if given := self._body(call):
            self.change(activity.id, given)
        return ok(self.view(activity))

    def delete(self, call: Call) -> Response:
        """``DELETE /activities/{id}`` (soft)."""
        call.query.done()
        activity = self._alive(call)
        self.table.remove(activity, self._links.now())
        return ok({"id": activity.id})

    def show(self, call: Call) -> Response:
        """``GET /activities/{id}``."""
        extra = call.query.words("include_fields", 1, ("attendees",))
        call.query.done()
        activity = self.table.rows.get(call.id)
        if activity is None:
            raise missing("Activity")
        return ok(self.view(activity, attendees=bool(extra)))

    def index(self, call: Call) -> Response:
        """``GET /activities``; ``person_id`` matches the primary participant only."""
        query = call.query
        if query.has("filter_id"):
            raise missing("Filter")
        extra = bool(query.words("include_fields", 1, ("attendees",)))
        only, done = query.ids(), query.flag("done")
        wanted = {name: query.integer(name) for name in ("owner_id", "deal_id", "org_id", "person_id")}
        lead = query.text("lead_id")

        def keep(activity: Activity) -> bool:
            if lead is not None or (done is not None and activity.done != done):
                return False
            person = wanted["person_id"]
            if person is not None and activity.person_id != person:
                return False
            return all(
                value is None or name == "person_id" or activity.values[name] == value for name, value in wanted.items()
            )

        if only is not None:
            only = [i for i in dict.fromkeys(only) if self.table.get(i)]
        sorts = ("id", "update_time", "add_time", "due_date")
        rows, cursor = self.table.page(query, keep=keep, only=only, sorts=sorts)
        return ok([self.view(a, attendees=extra) for a in rows], next_cursor=cursor)

    def change(self, activity_id: int, given: dict[str, Any], *, done_at: float | None = None) -> Activity:
        """Change only the given keys; ``done_at``: the time of completion that a human set."""
        activity = self.table.get(activity_id)
        if activity is None:
            raise ValueError(f"no activity {activity_id}")
        self._assign(activity, given)
        if done_at is not None and activity.done:
            activity.done_at = int(done_at)
        self.table.touch(activity, self._links.now())
        return activity

    def repoint(self, old: int, new: int) -> None:
        """Move a merged person's activities to the survivor."""
        for activity in self.table.living():
            if any(p["person_id"] == old for p in activity.participants):
                moved = [p | {"person_id": new if p["person_id"] == old else p["person_id"]} for p in _copy(activity)]
                activity.participants = _participants(moved)

    def _alive(self, call: Call) -> Activity:
        activity = self.table.get(call.id)
        if activity is None:
            raise missing("Activity")
        return activity

    def _assign(self, activity: Activity, given: dict[str, Any]) -> None:
        if "participants" in given:
            activity.participants = _participants(given["participants"])
        if "attendees" in given:
            activity.attendees = given["attendees"]
        if "done" in given and given["done"] != activity.done:
            activity.done = given["done"]
            activity.done_at = int(self._links.now()) if activity.done else None
        activity.values |= {k: v for k, v in given.items() if k in activity.values}

    def view(self, activity: Activity, *, attendees: bool = False) -> dict[str, Any]:
        """Return an activity as v2 shows it."""
        return {
            **({"attendees": activity.attendees} if attendees else {}),
            **dict.fromkeys(_MEETING),
            "id": activity.id,
            **activity.values,
            "creator_user_id": activity.creator,
            "is_deleted": activity.is_deleted,
            "add_time": utc(activity.add_time),
            "update_time": utc(activity.update_time),
            "person_id": activity.person_id,
            "done": activity.done,
            "marked_as_done_time": None if activity.done_at is None else utc(activity.done_at),
            "participants": activity.participants,
        }


def _copy(activity: Activity) -> list[dict[str, Any]]:
    return [dict(p) for p in activity.participants]


def _participants(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return participants without doubles, exactly one of them primary."""
    unique = {p["person_id"]: bool(p.get("primary")) for p in reversed(given)}
    made = [{"person_id": i, "primary": unique[i]} for i in dict.fromkeys(p["person_id"] for p in given)]
    first = next((p for p in made if p["primary"]), made[0] if made else None)
    return [p | {"primary": p is first} for p in made]
