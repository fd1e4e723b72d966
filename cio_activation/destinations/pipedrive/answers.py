"""What an answer of Pipedrive holds: ``success``, ``data``, and where the next page begins."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cio_activation.transport.errors import OutcomeUnknown
from cio_activation.transport.http import Response, VendorClient


def record_of(client: VendorClient, operation: str, answer: Response) -> dict[str, Any]:
    """Return the one record of an answer."""
    data = _envelope(client, operation, answer)["data"]
    if not isinstance(data, dict):
        raise OutcomeUnknown("the answer holds no record", vendor=client.vendor, operation=operation)
    return data


def page_of(client: VendorClient, operation: str, answer: Response) -> tuple[list[dict[str, Any]], str | None]:
    """Return the records of an answer, and the cursor of the next page."""
    body = _envelope(client, operation, answer)
    rows, additional = body["data"] or [], body.get("additional_data") or {}
    if not isinstance(rows, list):
        raise OutcomeUnknown("the answer holds no list", vendor=client.vendor, operation=operation)
    return rows, additional.get("next_cursor")


def next_start(answer: Response) -> int | None:
    """Return where the next page of a list of v1 begins that counts by offset; None after the last."""
    pagination = (answer.json().get("additional_data") or {}).get("pagination") or {}
    start = pagination.get("next_start") if pagination.get("more_items_in_collection") else None
    return None if start is None else int(start)


def told_at(answer: Response) -> datetime | None:
    """Return the answer's ``Date`` (RFC 9110: when it was made) in UTC, naive."""
    try:
        return parsedate_to_datetime(answer.headers["date"]).astimezone(UTC).replace(tzinfo=None)
    except (KeyError, ValueError):
        return None


def _envelope(client: VendorClient, operation: str, answer: Response) -> dict[str, Any]:
    body = answer.json()
    if not isinstance(body, dict) or body.get("success") is not True or "data" not in body:
        raise OutcomeUnknown(
            "the answer is a 2xx without success and data",
            vendor=client.vendor,
            operation=operation,
            status=answer.status,
            request_id=answer.request_id,
        )
    return body
