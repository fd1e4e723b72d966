"""HubSpot's answers: a fast JSON response, the error bodies, and the exception that carries one."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

CORRELATION_HEADER = "x-hubspot-correlation-id"
VALIDATION = "VALIDATION_ERROR"
NOT_FOUND = "OBJECT_NOT_FOUND"
CONFLICT = "CONFLICT"


def correlation_id() -> str:
    """Return a fresh correlation id."""
    return str(uuid.uuid4())


def stamp(instant: float) -> str:
    """Return seconds since the epoch as HubSpot writes times: ISO 8601, milliseconds, ``Z``."""
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def reply(content: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(content), status, media_type="application/json;charset=utf-8")


def no_content() -> Response:
    """Return the empty 204 of deletes."""
    return Response(b"", 204)


@dataclass
class Invalid:
    """One property value that HubSpot refuses."""

    name: str
    code: str
    message: str

    def as_item(self) -> dict[str, Any]:
        """Return the item that goes into the JSON array inside the message text."""
        return {
            "isValid": False,
            "message": self.message,
            "error": self.code,
            "name": self.name,
            "localizedErrorMessage": self.message,
        }

    def as_detail(self) -> dict[str, Any]:
        """Return the item of ``errors[]`` that repeats it."""
        return {"message": self.message, "code": self.code, "context": {"propertyName": [self.name]}}


@dataclass
class Refusal(Exception):
    """A request, or one input of a batch, that is refused. Every field except the status goes into the body."""

    status: int
    category: str | None
    message: str
    sub_category: str | None = None
    context: dict[str, list[str]] = field(default_factory=dict)
    details: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the error answer; the same correlation id stands in the body and in the header."""
        correlation = correlation_id()
        body: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": correlation}
        if self.context:
            body["context"] = self.context
        if self.details:
            body["errors"] = self.details
        if self.category:
            body["category"] = self.category
        if self.sub_category:
            body["subCategory"] = self.sub_category
        answer = reply({**body, **self.extra}, self.status)
        answer.headers[CORRELATION_HEADER] = correlation
        return answer

    def as_item(self, **context: list[str]) -> dict[str, Any]:
        """Return the entry of a 207's ``errors``; ``context`` (trace ids, record ids) is merged in."""
        item: dict[str, Any] = {"status": "error", "category": self.category, "message": self.message}
        if self.sub_category:
            item["subCategory"] = self.sub_category
        item["context"] = {**self.context, **context}
        return item


def invalid_values(found: list[Invalid]) -> Refusal:
    """Return the 400 for property values: fixed prefix plus a JSON array in text, repeated in ``errors[]``."""
    array = orjson.dumps([item.as_item() for item in found]).decode()
    return Refusal(
        400,
        VALIDATION,
        f"Property values were not valid: {array}",
        details=[item.as_detail() for item in found],
    )


def invalid_input(message: str, **context: list[str]) -> Refusal:
    """Return a 400 ``VALIDATION_ERROR``."""
    return Refusal(400, VALIDATION, message, context=context)


def missing_fields(*names: str) -> Refusal:
    """Return the 400 for a body without its required fields."""
    listed = ", ".join(names)
    return invalid_input(f"Invalid input JSON on line 1, column 2: Some required fields were not set: [{listed}]")


def not_found(message: str, **context: list[str]) -> Refusal:
    """Return a 404 ``OBJECT_NOT_FOUND``."""
    return Refusal(404, NOT_FOUND, message, context=context)


def duplicate_inputs(ids: list[str]) -> Refusal:
    """Return the 400 for one id twice in a batch; nothing of the batch is written, with or without trace ids."""
    listed = ", ".join(ids)
    return invalid_input(f"Duplicate IDs found in batch input: [{listed}]. IDs must be unique", ids=ids)


def already_exists(label: str, record_id: str) -> Refusal:
    """Return the 409 of a contact whose e-mail another contact owns; its id stands in the text alone."""
    return Refusal(409, CONFLICT, f"{label} already exists. Existing ID: {record_id}")


def missing_records(label: str, ids: list[str]) -> dict[str, Any]:
    """Return the entry of a 207 that lists ids which no record has."""
    text = f"Could not get some {label} objects, they may be deleted or not exist. Check that ids are valid."
    return {"status": "error", "category": NOT_FOUND, "message": text, "context": {"ids": ids}}


def batch_reply(
    results: list[Any],
    errors: list[dict[str, Any]],
    now: float,
    *,
    status: int = 200,
    errors_counted: int | None = None,
) -> Response:
    """Return a batch's answer: ``status`` when all went well, 207 when ``errors`` has entries."""
    at = stamp(now)
    body: dict[str, Any] = {"status": "COMPLETE", "results": results}
    if errors:
        body["numErrors"] = len(errors) if errors_counted is None else errors_counted
        body["errors"] = errors
    body["startedAt"] = body["completedAt"] = at
    return reply(body, 207 if errors else status)
