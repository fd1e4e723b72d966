"""The Track API of the Customer.io stand-in: what writes people, events and manual segments.

Facts: the vendor's Track API document and fact sheet section 8. A 200 means accepted, not applied: an identifier
that belongs to somebody else is taken and then dropped, which shows only in ``state()`` (``failed_changes``), as
in the real workspace's activities. ``/api/v2/batch`` answers 207 when some items are refused; the rest stand.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.customerio.activity_log import ActivityLog
from cio_activation.sandbox.world.condition import Condition, column_of, parameter_of
from cio_activation.sandbox.world.facts import ATTRIBUTES
from cio_activation.sandbox.world.world import World

SITE_ID, TRACK_KEY = "sandbox-site", "sandbox-track-key"
ITEM_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
SEGMENT_IDS = 1_000
ATTRIBUTES_PER_PERSON = 300
NAME_BYTES = 150
VALUE_BYTES = 1_000
URLS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
_CONTROL = ("_update", "_timestamp", "anonymous_id", "cio_relationships", "cio_id")

_E164 = re.compile(r"[+][1-9][0-9]{6,14}")

Handler = Callable[[Request], Awaitable[Response]]
Problem = dict[str, Any]


class Track:
    """The Track API over a world; what becomes of its writes is noted in the ``activities`` of the workspace."""

    def __init__(self, world: World, activities: ActivityLog, region: str, environment_id: int) -> None:
        self._world, self._activities, self._region = world, activities, region
        self._instant = activities.instant
        self._environment_id = environment_id
        self._accepted = 0
        self._suppressed: set[str] = set()
        self._events: list[dict[str, Any]] = []
        self._failed: list[dict[str, str]] = []

    def routes(self) -> list[BaseRoute]:
        """Return the routes below ``/api/v1`` and ``/api/v2``."""
        person = "/api/v1/customers/{identifier}"
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/api/v1/accounts/region", self._account_region),
            ("PUT", person, self._identify),
            ("DELETE", person, self._delete),
            ("POST", f"{person}/suppress", self._suppress),
            ("POST", f"{person}/unsuppress", self._unsuppress),
            ("POST", f"{person}/events", self._event),
            ("POST", "/api/v1/segments/{segment_id}/add_customers", self._change_segment),
            ("POST", "/api/v1/segments/{segment_id}/remove_customers", self._change_segment),
            ("POST", "/api/v2/entity", self._entity),
            ("POST", "/api/v2/batch", self._batch),
        ]
        return [
            Route(form, handler, methods=[method]) for method, path, handler in table for form in (path, path + "/")
        ]

    def refusal(self, request: Request) -> Response | None:
        """Return the 401 of a request without the site id and key, or None."""
        expected = base64.b64encode(f"{SITE_ID}:{TRACK_KEY}".encode()).decode()
        if request.headers.get("authorization") == f"Basic {expected}":
            return None
        return JSONResponse({"meta": {"error": "unauthorized"}}, status_code=401)

    def state(self) -> dict[str, Any]:
        """Return what was taken so far."""
        return {
            "accepted": self._accepted,
            "events": self._events,
            "failed_changes": self._failed,
            "suppressed": sorted(self._suppressed),
        }

    async def _account_region(self, _request: Request) -> Response:
        return JSONResponse({"url": URLS[self._region], "region": self._region, "environment_id": self._environment_id})

    # Version 1

    async def _identify(self, request: Request) -> Response:
        body = await _object(request)
        if body is None:
            return _v1_errors("the body must be a JSON object")
        attributes = {name: value for name, value in body.items() if name not in _CONTROL}
        if problems := _attribute_problems(attributes):
            return _v1_errors(*(str(p["message"]) for p in problems))
        kind, value = _kind(str(request.path_params["identifier"]))
        if body.get("cio_id"):
            kind, value = "cio_id", str(body["cio_id"]).removeprefix("cio_")
        if not self._apply_identify(kind, value, attributes, body.get("_update") is True, body.get("_timestamp")):
            self._left_out(kind, value, attributes)
        return self._taken()

    async def _delete(self, request: Request) -> Response:
        self._remove(*_kind(str(request.path_params["identifier"])))
        return self._taken()

    async def _suppress(self, request: Request) -> Response:
        self._bar(*_kind(str(request.path_params["identifier"])))
        return self._taken()

    async def _unsuppress(self, request: Request) -> Response:
        self._suppressed.discard(_kind(str(request.path_params["identifier"]))[1].lower())
        return self._taken()

    async def _event(self, request: Request) -> Response:
        body = await _object(request)
        if body is None or not isinstance(body.get("name"), str):
            return _v1_errors("name is required")
        kind, value = _kind(str(request.path_params["identifier"]))
        self._note_event(kind, value, body)
        return self._taken()

    async def _change_segment(self, request: Request) -> Response:
        number = str(request.path_params["segment_id"])
        segment = self._world.segments.get(int(number)) if number.isdigit() else None
        if segment is None:
            return JSONResponse({"meta": {"error": "segment not found"}}, status_code=404)
        if segment.type != "manual":
            return _v1_errors("only manual segments can be changed")
        ids = ((await _object(request)) or {}).get("ids")
        if not isinstance(ids, list) or not 1 <= len(ids) <= SEGMENT_IDS:
            return _v1_errors(f"ids must hold 1 to {SEGMENT_IDS} values")
        kind = request.query_params.get("id_type", "id")
        if kind not in ("id", "email", "cio_id"):
            return _v1_errors("id_type must be id, email or cio_id")
        # Values of another kind are ignored without a word.
        for value in ids:
            for cio_id in self._find(kind, str(value)):
                self._world.pick(segment.id, cio_id, member=request.url.path.rstrip("/").endswith("add_customers"))
        return self._taken()

    # Version 2

    async def _entity(self, request: Request) -> Response:
        raw = await request.body()
        item = await _object(request)
        if len(raw) > ITEM_BYTES:
            return _v2_errors([_problem("too_large", "", "the request must be smaller than 32kb")])
        problems = _item_problems(item)
        if problems:
            return _v2_errors(problems)
        assert item is not None
        self._apply(item)
        return self._taken()

    async def _batch(self, request: Request) -> Response:
        if len(await request.body()) > BATCH_BYTES:
            return _v2_errors([_problem("too_large", "batch", "the request must be smaller than 500kb")])
        items = ((await _object(request)) or {}).get("batch")
        if not isinstance(items, list) or not items:
            return _v2_errors([_problem("required", "batch", "batch must be a list of operations")])
        refused: list[Problem] = []
        for index, item in enumerate(items):
            problems = _item_problems(item)
            if len(json.dumps(item).encode()) > ITEM_BYTES:
                problems = [_problem("too_large", "", "an operation must be smaller than 32kb")]
            if problems:
                refused += [{"batch_index": index, **problem} for problem in problems]
            else:
                self._accepted += 1
                self._apply(item, batch=True)
        return JSONResponse({"errors": refused}, status_code=207) if refused else JSONResponse({})

    def _apply(self, item: dict[str, Any], *, batch: bool = False) -> None:
        ((kind, value),) = item["identifiers"].items()
        action, attributes = item["action"], dict(item.get("attributes") or {})
        if action == "identify":
            update = attributes.pop("_update", False) is True
            if not self._apply_identify(kind, str(value), attributes, update, item.get("timestamp")):
                self._left_out(kind, str(value), attributes, batch=batch)
        elif action == "delete":
            self._remove(kind, str(value))
        elif action == "suppress":
            self._bar(kind, str(value))
        elif action == "unsuppress":
            self._suppressed.discard(str(value).lower())
        else:
            self._note_event(kind, str(value), item)

    # What both versions do

    def _find(self, kind: str, value: str) -> list[str]:
        if kind == "phone":
            name = parameter_of(value)
            same = Condition(f"{column_of('phone')} = ${name}", frozenset({"phone"}), {name: value})
            return [row[0] for row in self._world.at(self._instant()).page(same, after="", limit=2)]
        return self._world.find(kind, value, self._instant())

    def _taken(self) -> Response:
        self._accepted += 1
        return JSONResponse({})

    def _apply_identify(
        self, kind: str, value: str, attributes: dict[str, Any], update: bool, timestamp: int | None
    ) -> bool:
        """Write a person; a new one is made unless ``update`` or the key is a ``cio_id`` nobody has.

        False when nobody was written.
        """
        if value.lower() in self._suppressed:
            return False
        matches = self._find(kind, value)
        if not matches and kind != "cio_id":
            # An identifier in the body that somebody owns re-labels that person.
            for other in ("id", "email"):
                matches = matches or self._find(other, str(attributes.get(other) or ""))
        if not matches:
            if update or kind == "cio_id":
                return False
            matches = [self._world.add_person(self._instant(), external_id=None, email=None)]
            self._activities.note("profile_create", matches[0])
        if kind in ("id", "email", "phone"):
            attributes = {**attributes, kind: value}
        for name, given in attributes.items():
            self._write(matches[0], name, given, timestamp)
        return True

    def _left_out(self, kind: str, value: str, attributes: dict[str, Any], *, batch: bool = False) -> None:
        """Note a write that was accepted and reached nobody."""
        missed = batch and value.lower() not in self._suppressed
        names = tuple(attributes)
        self._activities.note("failed_batch_update" if missed else "skipped_update", None, {}, *names, **{kind: value})

    def _write(self, cio_id: str, name: str, value: Any, timestamp: int | None) -> None:
        text = _stored(value)
        if name in ("id", "email") and text:
            owners = self._find(name, text)
            if owners and cio_id not in owners:
                self._failed.append({"cio_id": cio_id, "attribute": name, "reason": "belongs to another person"})
                change = {name: {"from": self._before(cio_id, name), "to": text}}
                self._activities.note("failed_attribute_change", cio_id, change, name)
                return
            if owners:
                # Already that person's; the spelling of an e-mail stays as it was.
                return
        before = self._before(cio_id, name)
        change = {name: {"from": before, "to": text}}
        if text and not before and self._is_full(cio_id, name):
            self._failed.append({"cio_id": cio_id, "attribute": name, "reason": "the person has too many attributes"})
            self._activities.note("failed_attribute_change", cio_id, change, name)
            return
        if not self._world.set_attribute(cio_id, name, text or None, at=timestamp):
            self._activities.note("skipped_update", cio_id, change, name)
        elif text != before:
            self._activities.note("attribute_change", cio_id, change, name)

    def _before(self, cio_id: str, name: str) -> str:
        """Return what an attribute is now; what the world never sets is looked up without a query."""
        custom = self._world.custom.get(cio_id, {})
        if name in custom or name not in ("id", "email", *ATTRIBUTES):
            return custom.get(name, "")
        known = self._world.at(self._instant()).attributes([cio_id])
        return known.get(cio_id, {}).get(name, "")

    def _is_full(self, cio_id: str, name: str) -> bool:
        """Tell whether a further attribute is one too many. That it is taken and then dropped is inference."""
        custom = self._world.custom.get(cio_id, {})
        return name not in ATTRIBUTES and sum(bool(value) for value in custom.values()) >= ATTRIBUTES_PER_PERSON

    def _remove(self, kind: str, value: str) -> None:
        for cio_id in self._find(kind, value):
            self._delete_one(cio_id)

    def _delete_one(self, cio_id: str) -> None:
        known = self._world.at(self._instant()).among([cio_id])
        self._activities.gone |= known
        self._activities.note("profile_delete", cio_id)
        self._world.delete_person(cio_id)

    def _bar(self, kind: str, value: str) -> None:
        self._suppressed.add(value.lower())
        for cio_id in self._find(kind, value):
            known = self._world.at(self._instant()).among([cio_id])[cio_id]
            self._suppressed |= {key.lower() for key in known[1:] if key}
            self._delete_one(cio_id)

    def _note_event(self, kind: str, value: str, body: dict[str, Any]) -> None:
        owner = next(iter(self._find(kind, value)), None)
        name = str(body.get("name"))
        self._events.append({"cio_id": owner, "name": name, "at": int(self._instant())})
        data = {"name": name, "data": body.get("attributes") or body.get("data") or {}}
        missed = {} if owner else {kind: value}
        self._activities.note("event" if owner else "failed_event", owner, data, name, **missed)


def _kind(identifier: str) -> tuple[str, str]:
    """Tell what a version 1 path names: ``cio_`` + cio_id, an e-mail, or an id."""
    if identifier.startswith("cio_"):
        return "cio_id", identifier.removeprefix("cio_")
    return ("email" if "@" in identifier else "id"), identifier


def _stored(value: Any) -> str:
    """Return an attribute as the profile stores it: text, whatever was sent."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _attribute_problems(attributes: dict[str, Any]) -> list[Problem]:
    if len(attributes) > ATTRIBUTES_PER_PERSON:
        return [_problem("too_many", "attributes", f"a person has at most {ATTRIBUTES_PER_PERSON} attributes")]
    found: list[Problem] = []
    for name, value in attributes.items():
        if len(name.encode()) > NAME_BYTES:
            found.append(_problem("too_long", f"attributes.{name[:20]}", f"a name has at most {NAME_BYTES} bytes"))
        elif len(_stored(value).encode()) > VALUE_BYTES:
            found.append(_problem("too_long", f"attributes.{name}", f"a value has at most {VALUE_BYTES} bytes"))
    return found


def _item_problems(item: Any) -> list[Problem]:
    """Return what is wrong with one version 2 operation."""
    if not isinstance(item, dict):
        return [_problem("invalid", "", "an operation must be an object")]
    if item.get("type") != "person":
        return [_problem("invalid", "type", "this workspace takes operations on type person only")]
    known = ("identify", "delete", "suppress", "unsuppress", "event")
    if item.get("action") not in known:
        return [_problem("invalid", "action", f"action must be one of {', '.join(known)}")]
    keys = item.get("identifiers")
    if not isinstance(keys, dict) or len(keys) != 1 or not set(keys) <= {"id", "email", "phone", "cio_id"}:
        return [_problem("invalid", "identifiers", "exactly one of id, email, phone, cio_id is needed")]
    if "phone" in keys and not (isinstance(keys["phone"], str) and _E164.fullmatch(keys["phone"])):
        return [_problem("invalid", "identifiers.phone", "a phone number has the form +14155552671")]
    if not all(isinstance(value, str | int) and str(value) for value in keys.values()):
        return [_problem("required", "identifiers", "the identifier is empty")]
    if item["action"] == "event" and not isinstance(item.get("name"), str):
        return [_problem("required", "name", "an event needs a name")]
    stamp = item.get("timestamp")
    if stamp is not None and (not isinstance(stamp, int) or isinstance(stamp, bool)):
        return [_problem("invalid", "timestamp", "timestamp must be whole seconds")]
    attributes = item.get("attributes")
    if attributes is not None and not isinstance(attributes, dict):
        return [_problem("invalid", "attributes", "attributes must be an object")]
    return _attribute_problems({k: v for k, v in (attributes or {}).items() if k not in _CONTROL})


def _problem(reason: str, field: str, message: str) -> Problem:
    return {"reason": reason, "field": field, "message": message}


def _v1_errors(*messages: str) -> Response:
    return JSONResponse({"meta": {"errors": list(messages)}}, status_code=400)


def _v2_errors(problems: list[Problem]) -> Response:
    return JSONResponse({"errors": problems}, status_code=400)


async def _object(request: Request) -> dict[str, Any] | None:
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
