"""HubSpot's CRM search: lagging index, filters, 10,000 results at most."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call
from cio_activation.sandbox.hubspot.errors import invalid_input, missing_fields, reply
from cio_activation.sandbox.hubspot.index import Seen
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.records import Records
from cio_activation.sandbox.hubspot.values import as_text, email_of, instant_of

RESULTS_MAX, PAGE_MAX, BODY_MAX = 10_000, 200, 3_000
GROUPS_MAX, GROUP_FILTERS_MAX, FILTERS_MAX = 5, 6, 18
_VALUE_FREE = {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}
_ORDERED = {"LT", "LTE", "GT", "GTE", "BETWEEN"}
_OPERATORS = _VALUE_FREE | _ORDERED | {"EQ", "NEQ", "IN", "NOT_IN", "CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}
_TEXT_SEARCHED = ("email", "firstname", "lastname", "phone", "company", "hs_task_subject")


class SearchDesk:
    """Serves ``POST /crm/objects/{version}/{type}/search``."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def search(self, call: Call) -> Response:
        """Answer one page of what the index knows."""
        records = self._account.records[self._account.object_type(call.params["type"])]
        body = call.object(body_checks.SEARCH)
        if len(call.raw) > BODY_MAX:
            raise invalid_input(f"Search request bodies have at most {BODY_MAX} characters")
        limit, after = _whole(body.get("limit", 10), "limit"), _whole(body.get("after", 0) or 0, "after")
        if not 1 <= limit <= PAGE_MAX:
            raise invalid_input(f"limit must be between 1 and {PAGE_MAX}, was {limit}")
        if after + limit > RESULTS_MAX:
            raise invalid_input(f"Paging past {RESULTS_MAX} results is not supported")
        groups = _groups(body, records)
        query = str(body.get("query") or "").lower()
        found = [
            record
            for record, seen in _candidates(records, groups)
            if _matches(records, record, seen, groups) and _contains(seen, query)
        ]
        _sort(records, found, body.get("sorts") or [])
        page = found[after : after + limit]
        answer: dict[str, Any] = {
            "total": len(found),
            "results": [_row(records, record, body.get("properties")) for record in page],
        }
        if after + limit < len(found):
            answer["paging"] = {"next": {"after": str(after + limit)}}
        return reply(answer)


def _whole(value: Any, name: str) -> int:
    text = as_text(value) or ""
    if not text.isdecimal():
        raise invalid_input(f"{name} must be a number, was {value}")
    return int(text)


def _groups(body: dict[str, Any], records: Records) -> list[list[dict[str, Any]]]:
    """Return the filter groups, checked; the old single ``filters`` counts as one group."""
    given = body.get("filterGroups") or ([{"filters": body["filters"]}] if body.get("filters") else [])
    groups = [group.get("filters") or [] for group in given]
    if len(groups) > GROUPS_MAX or sum(map(len, groups)) > FILTERS_MAX:
        raise invalid_input(f"At most {GROUPS_MAX} filter groups and {FILTERS_MAX} filters are supported")
    for filters in groups:
        if len(filters) > GROUP_FILTERS_MAX:
            raise invalid_input(f"At most {GROUP_FILTERS_MAX} filters in a group are supported")
        for one in filters:
            _check_filter(one, records)
    return groups


def _check_filter(one: dict[str, Any], records: Records) -> None:
    operator, name = one.get("operator"), one.get("propertyName")
    if not operator or not name:
        raise missing_fields("propertyName", "operator")
    if operator not in _OPERATORS:
        raise invalid_input(f"Unknown search operator {operator}")
    if records.properties.live(name) is None:
        raise invalid_input(
            f"There was a problem with the request: property {name} does not exist", propertyName=[name]
        )
    if operator in ("IN", "NOT_IN") and not isinstance(one.get("values"), list):
        raise missing_fields("values")
    if operator not in _VALUE_FREE | {"IN", "NOT_IN"} and as_text(one.get("value")) is None:
        raise missing_fields("value")
    if operator == "BETWEEN" and as_text(one.get("highValue")) is None:
        raise missing_fields("highValue")


def _candidates(records: Records, groups: list[list[dict[str, Any]]]) -> Iterable[tuple[Record, Seen]]:
    """Return the records worth testing with what the index knows of them; keys narrow them without a scan."""
    narrowed = [_by_key(records, filters) for filters in groups]
    fresh = records.index.fresh()
    ids: Iterable[int]
    if groups and all(found is not None for found in narrowed):
        chosen = {i for found in narrowed if found is not None for i in found}
        ids = sorted(chosen.union(fresh))
    else:
        # Live records lie in order of id; archived ones that search still shows come after them.
        ids = [*records.live, *(i for i in fresh if i not in records.live)]
    for record_id in ids:
        current = records.live.get(record_id)
        record = current or records.archived.get(record_id)
        seen = records.index.seen(record_id, current)
        if record is not None and seen is not None:
            yield record, seen


def _by_key(records: Records, filters: list[dict[str, Any]]) -> set[int] | None:
    """Return the records one of the filters picks by an index, or None."""
    for one in filters:
        name, operator = one["propertyName"], one["operator"]
        if operator not in ("EQ", "IN"):
            continue
        values = [as_text(v) or "" for v in (one["values"] if operator == "IN" else [one["value"]])]
        if name in ("email", "hs_additional_emails") and records.object_type == "contacts":
            return {i for v in values if (i := records.by_email.get(email_of(v))) is not None}
        if name == "hs_object_id":
            return {r.id for v in values if (r := records.get(v)) is not None}
    return None


def _matches(records: Records, record: Record, seen: Seen, groups: list[list[dict[str, Any]]]) -> bool:
    return not groups or any(all(_test(records, record, seen, one) for one in filters) for filters in groups)


def _test(records: Records, record: Record, seen: Seen, one: dict[str, Any]) -> bool:
    name, operator = str(one["propertyName"]), str(one["operator"])
    values, emails = seen
    stored = values.get(name)
    if stored is None:
        stored = ";".join(emails) if name == "hs_additional_emails" else records.value(record, name, values)
    if operator in _VALUE_FREE:
        return bool(stored) == (operator == "HAS_PROPERTY")
    if not stored:
        return operator in ("NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN")
    lowered = stored.lower()
    current = {lowered, *lowered.split(";")} if ";" in lowered else {lowered}
    if operator in ("EQ", "NEQ"):
        return (str(as_text(one["value"])).lower() in current) == (operator == "EQ")
    if operator in ("IN", "NOT_IN"):
        # The index holds lowercased text and compares these values as they come.
        return bool(current.intersection(as_text(v) or "" for v in one["values"])) == (operator == "IN")
    if operator in _ORDERED:
        return _ordered(operator, stored, one)
    token = str(as_text(one["value"])).strip("*").lower()
    return (token in stored.lower()) == (operator == "CONTAINS_TOKEN")


def _ordered(operator: str, stored: str, one: dict[str, Any]) -> bool:
    left, floor = _comparable(stored), _comparable(str(as_text(one["value"])))
    if isinstance(left, float) != isinstance(floor, float):
        return False
    if operator == "BETWEEN":
        ceiling = _comparable(str(as_text(one["highValue"])))
        return isinstance(left, float) == isinstance(ceiling, float) and bool(floor <= left <= ceiling)
    return bool({"LT": left < floor, "LTE": left <= floor, "GT": left > floor, "GTE": left >= floor}[operator])


def _comparable(text: str) -> Any:
    """Return a number (times as milliseconds) where the text is one, else the text."""
    try:
        return float(text)
    except ValueError:
        instant = instant_of(text)
        return text if instant is None else instant.timestamp() * 1000


def _contains(seen: Seen, query: str) -> bool:
    return not query or any(query in seen[0].get(name, "").lower() for name in _TEXT_SEARCHED)


def _sort(records: Records, found: list[Record], sorts: list[Any]) -> None:
    for sort in reversed(sorts[:1]):
        name = sort if isinstance(sort, str) else sort.get("propertyName", "")
        descending = name.startswith("-") or (isinstance(sort, dict) and sort.get("direction") == "DESCENDING")
        found.sort(key=lambda r: records.value(r, name.lstrip("-")) or "", reverse=descending)


def _row(records: Records, record: Record, names: list[str] | None) -> dict[str, Any]:
    """Return a result with the values the index knows, which may be older than the record's."""
    row = records.row(record, names)
    seen = records.index.seen(record.id, records.live.get(record.id))
    if seen is not None and seen[0] is not record.values:
        for name in row["properties"]:
            row["properties"][name] = records.value(record, name, seen[0])
    return row
