"""Persons: the v2 endpoints and v1's merge. No uniqueness on anything; arrays are replaced as a whole."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import Call, Query, Refusal, instant_of, missing, ok, utc, utc_v1
from cio_activation.sandbox.pipedrive.fields import Fields
from cio_activation.sandbox.pipedrive.links import link
from cio_activation.sandbox.pipedrive.search import SearchIndex
from cio_activation.sandbox.pipedrive.standing import INCLUDED
from cio_activation.sandbox.pipedrive.table import Table

PURGE_S = 30 * 86_400
CONTACT_SYNC = ("postal_address", "notes", "im", "birthday", "job_title")
"""Exist only where contact sync was set up; here it was not, and writing them answers 403."""
BUILT_IN = (
    ("id", "ID", "int"),
    ("name", "Name", "varchar"),
    ("first_name", "First name", "varchar"),
    ("last_name", "Last name", "varchar"),
    ("label_ids", "Labels", "set"),
    ("phones", "Phone", "phone"),
    ("emails", "Email", "varchar"),
    ("owner_id", "Owner", "user"),
    ("org_id", "Organization", "org"),
    ("visible_to", "Visible to", "visible_to"),
    ("add_time", "Person created", "date"),
    ("update_time", "Update time", "date"),
    ("activities_count", "Total activities", "int"),
)


@dataclass(slots=True)
class Person:
    """One person; times are epoch seconds, UTC. ``custom`` holds the values that are not null, by field code."""

    id: int
    name: str
    first_name: str | None
    last_name: str | None
    add_time: int
    update_time: int
    owner_id: int = 1
    org_id: int | None = None
    emails: list[dict[str, Any]] = field(default_factory=list)
    phones: list[dict[str, Any]] = field(default_factory=list)
    visible_to: int = 3
    label_ids: list[int] = field(default_factory=list)
    custom: dict[str, Any] = field(default_factory=dict)
    is_deleted: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What persons need from the rest of the account."""

    now: Callable[[], float]
    users: Callable[[], Container[int]]
    org: Callable[[int], object | None]
    visibilities: tuple[int, ...]
    may_delete: Callable[[], bool]
    tally: Callable[[], Callable[[int], dict[str, Any]]]
    """Counts what hangs on persons, once for all of them."""
    moved: Callable[[int, int], None]
    """Moves a merged person's activities, notes and deals to the survivor."""
    of_deal: Callable[[int], int | None]


class Persons:
    """All persons of the account and their endpoints."""

    def __init__(self, around: Surroundings, search: SearchIndex) -> None:
        self.table: Table[Person] = Table()
        self.merged: dict[int, int] = {}
        self.merge_unites_sets = False
        """Whether a merge unites the options of a field of several; no document says. Else the survivor's win."""
        self._around, self._search = around, search
        self._ids = count(1)
        self.fields: Fields

    # -- writing ----------------------------------------------------------------------------------------

    def seed(self, rows: Iterable[dict[str, Any]], base: float) -> None:
        """Load existing persons (``email``, ``first_name``, ``last_name``, ``phone``, optional ``add_time``)."""
        made: list[Person] = []
        for index, row in enumerate(rows):
            first, last = row.get("first_name") or None, row.get("last_name") or None
            name = " ".join(part for part in (first, last) if part) or row.get("email") or "Unnamed"
            at = int(row.get("add_time") or base + index % 2_000_000)
            person = Person(next(self._ids), name, first, last, at, at)
            person.emails = points([{"value": row["email"]}]) if row.get("email") else []
            person.phones = points([{"value": row["phone"]}]) if row.get("phone") else []
            made.append(person)
        self.table.load(made)
        for person in made:
            self._search.learn(person)

    def make(self, given: dict[str, Any]) -> Person:
        """Create a person from a checked body."""
        now = int(self._around.now())
        add_time = instant_of(given.get("add_time"))
        person = Person(next(self._ids), "", None, None, now if add_time is None else int(add_time), now)
        self._search.before(person, new=True)
        self._assign(person, given)
        self.table.add(person)
        self._search.learn(person)
        return person

    def change(self, person: Person, given: dict[str, Any]) -> None:
        """Change only the sent keys; ``update_time`` moves."""
        self._search.before(person)
        self._assign(person, given)
        self.table.touch(person, self._around.now())
        self._search.learn(person)

    def remove(self, person: Person) -> None:
        """Delete softly: gone from every list, still in the lagging search index for a while."""
        self._search.before(person)
        self.table.remove(person, self._around.now())
        self._search.forget(person)

    def merge_into(self, person: Person, survivor: Person) -> None:
        """Merge: ``survivor`` wins conflicts, its empty fields are filled, what hangs on ``person`` moves."""
        given: dict[str, Any] = {
            "emails": _united(survivor.emails, person.emails),
            "phones": _united(survivor.phones, person.phones),
            "label_ids": list(dict.fromkeys(survivor.label_ids + person.label_ids)),
            "custom_fields": {c: v for c, v in person.custom.items() if c not in survivor.custom},
        }
        if self.merge_unites_sets:
            given["custom_fields"] |= {
                code: list(dict.fromkeys([*held, *person.custom[code]]))
                for code, held in survivor.custom.items()
                if isinstance(held, list) and code in person.custom
            }
        self.remove(person)
        self.merged[person.id] = survivor.id
        self._around.moved(person.id, survivor.id)
        self.change(survivor, given)

    def _assign(self, person: Person, given: dict[str, Any]) -> None:
        for key, value in given.items():
            if key == "name":
                first, _, last = value.strip().partition(" ")
                person.name, person.first_name, person.last_name = value, first, last or None
            elif key in ("emails", "phones"):
                setattr(person, key, points(value))
            elif key == "custom_fields":
                self.fields.write(person.custom, value)
            elif key in ("owner_id", "org_id", "visible_to", "label_ids"):
                setattr(person, key, value)

    def _body(self, call: Call, *, new: bool) -> dict[str, Any]:
        raw = call.json()
        if isinstance(raw, dict):
            if closed := [k for k in (*CONTACT_SYNC, "marketing_status") if k in raw]:
                raise Refusal(403, f"{', '.join(closed)}: not set up in this company", "ERR_FORBIDDEN")
            if "custom_fields" in raw:
                call.extras["problems"] = self.fields.problems(raw["custom_fields"])
        labels = {o.id for o in self.fields.by_code["label_ids"].options}
        schema: dict[str, body_checks.Check] = {
            "name": lambda value: body_checks.text(255, 1)(value.strip() if isinstance(value, str) else value),
            "owner_id": body_checks.integer(self._around.users(), "user"),
            "org_id": link(self._around.org, "organization"),
            "emails": body_checks.contact_points,
            "phones": body_checks.contact_points,
            "visible_to": body_checks.one_of(*self._around.visibilities),
            "label_ids": body_checks.array(body_checks.integer(labels, "label")),
            "custom_fields": lambda _value: None,
            **({"add_time": body_checks.instant} if new else {}),
        }
        required = ("name",) if new else ()
        return body_checks.body_of(call, schema, required, lambda _given: call.extras.get("problems", []))

    # -- v2 ---------------------------------------------------------------------------------------------

    def index(self, call: Call) -> Response:
        """``GET /persons``."""
        query = call.query
        if query.has("filter_id"):
            raise missing("Filter")
        show = self._showing(query)
        only: Iterable[int] | None = query.ids()
        owner, org, deal = query.integer("owner_id"), query.integer("org_id"), query.integer("deal_id")
        if deal is not None:
            of_deal = self._around.of_deal(deal)
            linked = [] if of_deal is None else [of_deal]
            only = linked if only is None else [i for i in only if i in linked]
        if only is not None:
            only = [i for i in dict.fromkeys(only) if self.table.get(i)]

        def keep(person: Person) -> bool:
            return (owner is None or person.owner_id == owner) and (org is None or person.org_id == org)

        unfiltered = owner is None and org is None
        rows, cursor = self.table.page(query, keep=None if unfiltered else keep, only=only)
        return ok([show(p) for p in rows], next_cursor=cursor)

    def show(self, call: Call) -> Response:
        """``GET /persons/{id}``: a deleted person stays readable for 30 days, a merged one not at all."""
        show = self._showing(call.query)
        call.query.done()
        person = self.table.rows.get(call.id)
        if person is None or person.id in self.merged:
            raise missing("Person")
        if person.is_deleted and person.update_time + PURGE_S <= self._around.now():
            raise missing("Person")
        return ok(show(person))

    def create(self, call: Call) -> Response:
        """``POST /persons``: sent twice, it makes two."""
        call.query.done()
        return ok(self.view(self.make(self._body(call, new=True))), 201)

    def update(self, call: Call) -> Response:
        """``PATCH /persons/{id}``."""
        call.query.done()
        person = self._alive(call.id)
        if given := self._body(call, new=False):
            self.change(person, given)
        return ok(self.view(person))

    def delete(self, call: Call) -> Response:
        """``DELETE /persons/{id}``; a user who is not an admin may not."""
        call.query.done()
        if not self._around.may_delete():
            raise Refusal(403, "The user is not permitted to delete persons", "ERR_FORBIDDEN")
        person = self._alive(call.id)
        self.remove(person)
        return ok({"id": person.id})

    def merge(self, call: Call) -> Response:
        """v1 ``PUT /persons/{id}/merge``: the id of the path disappears."""
        person = self._alive(call.id)
        given = call.json()
        other = given.get("merge_with_id") if isinstance(given, dict) else None
        if not isinstance(other, int) or isinstance(other, bool) or other == person.id:
            raise Refusal(400, "merge_with_id must be the id of another person")
        survivor = self._alive(other)
        self.merge_into(person, survivor)
        return ok(self._v1(survivor) | {"merge_what_id": person.id})

    def _alive(self, person_id: int) -> Person:
        person = self.table.get(person_id)
        if person is None:
            raise missing("Person")
        return person

    def _showing(self, query: Query) -> Callable[[Person], dict[str, Any]]:
        """Read the parameters that shape a person's answer."""
        codes = query.words("custom_fields", 15)
        if wrong := [c for c in codes or () if c not in self.fields.custom]:
            query.problem(f"custom_fields: unknown {', '.join(wrong)}")
        expand, labelled = query.flag("include_option_labels"), query.flag("include_labels")
        extra = query.words("include_fields", len(INCLUDED), INCLUDED) or []
        names = {o.id: o.label for o in self.fields.by_code["label_ids"].options}
        counts_of = self._around.tally() if extra else None

        def show(person: Person) -> dict[str, Any]:
            seen = self.view(person, codes, expand=bool(expand))
            if labelled:
                seen["labels"] = [{"id": i, "label": names[i]} for i in person.label_ids if i in names]
            if counts_of is not None:
                counts = counts_of(person.id)
                seen |= {name: counts[name] for name in extra}
            return seen

        return show

    def view(self, person: Person, codes: list[str] | None = None, *, expand: bool = False) -> dict[str, Any]:
        """Return a person as v2 shows it, every custom field included, null when absent."""
        return {
            "id": person.id,
            "name": person.name,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "owner_id": person.owner_id,
            "org_id": person.org_id,
            "add_time": utc(person.add_time),
            "update_time": utc(person.update_time),
            "emails": person.emails,
            "phones": person.phones,
            "is_deleted": person.is_deleted,
            "visible_to": person.visible_to,
            "label_ids": person.label_ids,
            "picture_id": None,
            "custom_fields": self.fields.read(person.custom, codes, expand=expand),
        }

    def _v1(self, person: Person) -> dict[str, Any]:
        seen = self.view(person)
        seen |= {"add_time": utc_v1(person.add_time), "update_time": utc_v1(person.update_time)}
        seen |= {"email": seen.pop("emails"), "phone": seen.pop("phones"), "active_flag": True}
        custom: dict[str, Any] = seen.pop("custom_fields")
        del seen["is_deleted"]  # v1 says active_flag
        counts = self._around.tally()(person.id)
        return seen | custom | {name: number for name, number in counts.items() if name.endswith("_count")}


def points(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return e-mails or phones as they are stored: label ``work`` by default, the first one primary if none is."""
    made = [{"value": p["value"], "primary": bool(p.get("primary")), "label": p.get("label", "work")} for p in given]
    if made and not any(p["primary"] for p in made):
        made[0]["primary"] = True
    return made


def _united(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {p["value"].lower() for p in first}
    return first + [p | {"primary": not first and p["primary"]} for p in second if p["value"].lower() not in known]
