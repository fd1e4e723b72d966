"""HubSpot's tasks: what a new one needs, their links to contacts, and the association endpoints."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import (
    VALIDATION,
    Refusal,
    batch_reply,
    invalid_input,
    missing_fields,
    no_content,
    not_found,
    reply,
    stamp,
)
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.values import as_text

TASK_TO_CONTACT, CONTACT_TO_TASK = 204, 203
STATUSES = ("NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED")
ASSOCIATE_MAX, READ_MAX = 100, 1_000
_FAR_ENDS = {**body_checks.ENDS, "to": body_checks.array(body_checks.record(body_checks.IDENTITY))}
Pair = int
"""The id of a record at the other end of a link."""


def prepare_task(changes: dict[str, str], record: Record | None, now: float) -> None:
    """Fill what HubSpot fills in a task's values; refuses a new task without a due time."""
    if record is None:
        if not changes.get("hs_timestamp"):
            raise Refusal(
                400,
                VALIDATION,
                "Error creating TASK. Some required properties were not set.",
                context={"properties": ["hs_timestamp"]},
            )
        changes.setdefault("hs_task_status", "NOT_STARTED")
    if "hs_task_status" in changes:
        done = changes["hs_task_status"] == "COMPLETED"
        changes["hs_task_completion_date"] = stamp(now) if done else ""


class Links:
    """Which task belongs to which contact."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.contacts_of: dict[int, set[int]] = {}
        self.tasks_of: dict[int, set[int]] = {}

    def check(self, object_type: str, given: Any) -> list[Pair]:
        """Return the records that a new record's ``associations`` name; each must exist."""
        found: list[Pair] = []
        for link in given or []:
            types = link.get("types") or []
            kind = TASK_TO_CONTACT if object_type == "tasks" else CONTACT_TO_TASK
            if not types or any(
                t.get("associationCategory") != "HUBSPOT_DEFINED" or t.get("associationTypeId") != kind for t in types
            ):
                raise invalid_input(f"invalid association type for {object_type}: {types}")
            wanted = as_text((link.get("to") or {}).get("id")) or ""
            other = self._account.records["contacts" if object_type == "tasks" else "tasks"].get(wanted)
            if other is None:
                raise invalid_input(f"One or more associations are not valid: {wanted} does not exist", ids=[wanted])
            found.append(other.id)
        return found

    def add(self, object_type: str, record_id: int, others: list[Pair]) -> None:
        """Link a record with others."""
        for other in others:
            task, contact = (record_id, other) if object_type == "tasks" else (other, record_id)
            self.contacts_of.setdefault(task, set()).add(contact)
            self.tasks_of.setdefault(contact, set()).add(task)

    def remove(self, task: int, contact: int) -> None:
        """Unlink a task from a contact."""
        self.contacts_of.get(task, set()).discard(contact)
        self.tasks_of.get(contact, set()).discard(task)

    def contacts_gone(self, gone: list[int], heir: int | None) -> None:
        """A deleted contact leaves its tasks unlinked; a merged one hands them to its heir."""
        for contact in gone:
            for task in list(self.tasks_of.get(contact, ())):
                self.remove(task, contact)
                if heir is not None:
                    self.add("tasks", task, [heir])

    def tasks_gone(self, gone: list[int], heir: int | None) -> None:
        """A deleted task leaves its contacts."""
        del heir
        for task in gone:
            for contact in list(self.contacts_of.get(task, ())):
                self.remove(task, contact)

    def of(self, object_type: str, record_id: int) -> list[int]:
        """Return the records linked with one."""
        return sorted((self.contacts_of if object_type == "tasks" else self.tasks_of).get(record_id, ()))


class AssociationDesk:
    """Serves associations between tasks and contacts."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/associations/{version}``."""
        return [
            ("POST", "/{type}/{to}/batch/associate/default", self._associate),
            ("POST", "/{type}/{to}/batch/read", self._read),
            ("POST", "/{type}/{to}/batch/archive", self._archive),
        ]

    def object_routes(self) -> list[RouteRow]:
        """Return the single-record routes below ``/crm/objects/{version}``."""
        return [
            ("GET", "/{type}/{id}/associations/{to}", self._of_one),
            ("PUT", "/{type}/{id}/associations/default/{to}/{to_id}", self._associate_one),
        ]

    def _ends(self, call: Call) -> tuple[str, str]:
        ends = self._account.object_type(call.params["type"]), self._account.object_type(call.params["to"])
        if set(ends) != {"tasks", "contacts"}:
            raise invalid_input(f"No associations between {ends[0]} and {ends[1]} here")
        return ends

    def _link(self, call: Call, from_id: str, to_id: str) -> dict[str, Any] | None:
        near, far = self._ends(call)
        one, other = self._account.records[near].get(from_id), self._account.records[far].get(to_id)
        if one is None or other is None:
            return None
        self._links.add(near, one.id, [other.id])
        return {"from": {"id": from_id}, "to": {"id": to_id}, "associationSpec": _spec(near)}

    def _associate(self, call: Call) -> Response:
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for item in call.inputs(body_checks.ENDS, ASSOCIATE_MAX):
            ends = [as_text((item.get(end) or {}).get("id")) for end in ("from", "to")]
            if not ends[0] or not ends[1]:
                raise missing_fields("from", "to")
            made = self._link(call, ends[0], ends[1])
            if made:
                results.append(made)
            else:
                errors.append(not_found("One or both ends do not exist").as_item(ids=[ends[0], ends[1]]))
        return batch_reply(results, errors, self._account.now)

    def _associate_one(self, call: Call) -> Response:
        made = self._link(call, call.params["id"], call.params["to_id"])
        if made is None:
            raise not_found("One or both ends do not exist")
        return batch_reply([made], [], self._account.now)

    def _rows(self, near: str, record_id: int) -> list[dict[str, Any]]:
        spec = _spec(near)
        kinds = [{"category": spec["associationCategory"], "typeId": spec["associationTypeId"], "label": None}]
        return [{"toObjectId": str(i), "associationTypes": kinds} for i in self._links.of(near, record_id)]

    def _read(self, call: Call) -> Response:
        near, far = self._ends(call)
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for item in call.inputs({**body_checks.IDENTITY, "after": body_checks.text}, READ_MAX):
            wanted = as_text(item.get("id")) or ""
            record = self._account.records[near].get(wanted)
            found = self._rows(near, record.id) if record else []
            if found:
                results.append({"from": {"id": wanted}, "to": found})
                continue
            refusal = not_found(f"No {far[:-1]} is associated with {near[:-1]} {wanted}.")
            refusal.sub_category = "crm.associations.NO_ASSOCIATIONS_FOUND"
            errors.append(refusal.as_item(fromObjectId=[wanted], fromObjectType=[near[:-1]], toObjectType=[far[:-1]]))
        return batch_reply(results, errors, self._account.now)

    def _of_one(self, call: Call) -> Response:
        near, _ = self._ends(call)
        record = self._account.records[near].get(call.params["id"])
        if record is None:
            raise not_found(f"Object not found: {call.params['id']}")
        return reply({"results": self._rows(near, record.id)})

    def _archive(self, call: Call) -> Response:
        near, _ = self._ends(call)
        for item in call.inputs(_FAR_ENDS, ASSOCIATE_MAX):
            one = as_text((item.get("from") or {}).get("id")) or ""
            for far in item.get("to") or []:
                other = as_text(far.get("id")) or ""
                if one.isdecimal() and other.isdecimal():
                    pair = (int(one), int(other))
                    self._links.remove(*(pair if near == "tasks" else pair[::-1]))
        return no_content()


def _spec(near: str) -> dict[str, Any]:
    kind = TASK_TO_CONTACT if near == "tasks" else CONTACT_TO_TASK
    return {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}
