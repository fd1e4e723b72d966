"""What HubSpot's documents allow in a request's body: keys and the JSON type of each value.

A shape maps every documented key to the check of its value. A key that is not in the shape is refused, and so is a
value of another JSON type: a number is no text. Whether a required key is there is the endpoint's own question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cio_activation.sandbox.hubspot.errors import Refusal, invalid_input

Check = Callable[[Any, str], None]
"""Takes a value and where it stands; raises a 400."""
Shape = Mapping[str, Check]


def require(shape: Shape, given: Mapping[str, Any], where: str = "") -> None:
    """Refuse keys that the shape does not have, and values of another type; null stands for an absent value."""
    for name, value in given.items():
        check = shape.get(name)
        if check is None:
            raise invalid_input(f'Invalid input JSON: Unrecognized field "{where}{name}"')
        if value is not None:
            check(value, f"{where}{name}")


def text(value: Any, where: str) -> None:
    """Allow a text."""
    if not isinstance(value, str):
        raise _mistyped("string", where)


def whole(value: Any, where: str) -> None:
    """Allow a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mistyped("integer", where)


def flag(value: Any, where: str) -> None:
    """Allow true and false."""
    if not isinstance(value, bool):
        raise _mistyped("boolean", where)


def anything(value: Any, where: str) -> None:
    """Allow what the sandbox does not look into."""
    del value, where


def record(shape: Shape) -> Check:
    """Allow an object of the shape."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _mistyped("object", where)
        require(shape, value, f"{where}.")

    return check


def array(item: Check) -> Check:
    """Allow an array whose entries pass ``item``."""

    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise _mistyped("array", where)
        for position, one in enumerate(value):
            item(one, f"{where}[{position}]")

    return check


def values(value: Any, where: str) -> None:
    """Allow an object of texts whose keys are of the caller's choosing; a null among them changes nothing."""
    if not isinstance(value, dict):
        raise _mistyped("object", where)
    for name, one in value.items():
        if one is not None:
            text(one, f"{where}.{name}")


texts = array(text)
IDENTITY: Shape = {"id": text}
NAMED: Shape = {"name": text}
ASSOCIATION_TYPE: Shape = {"associationCategory": text, "associationTypeId": whole}
_ASSOCIATION = record({"to": record(IDENTITY), "types": array(record(ASSOCIATION_TYPE))})
NEW_RECORD: Shape = {"properties": values, "associations": array(_ASSOCIATION), "objectWriteTraceId": text}
CHANGED_RECORD: Shape = {"id": text, "idProperty": text, "properties": values, "objectWriteTraceId": text}
ENDS: Shape = {"from": record(IDENTITY), "to": record(IDENTITY)}
OPTION: Shape = {"label": text, "value": text, "displayOrder": whole, "hidden": flag, "description": text}
PROPERTY_CHANGE: Shape = {
    **dict.fromkeys(("groupName", "label", "type", "fieldType", "description", "calculationFormula"), text),
    **dict.fromkeys(("hidden", "formField"), flag),
    "displayOrder": whole,
    "options": array(record(OPTION)),
}
NEW_PROPERTY: Shape = {
    **PROPERTY_CHANGE,
    **dict.fromkeys(("name", "referencedObjectType"), text),
    **dict.fromkeys(("hasUniqueValue", "externalOptions"), flag),
}
GROUP_CHANGE: Shape = {"label": text, "displayOrder": whole}
NEW_GROUP: Shape = {**GROUP_CHANGE, **NAMED}
NEW_LIST: Shape = {
    **dict.fromkeys(("name", "objectTypeId", "processingType"), text),
    "listFolderId": whole,
    "filterBranch": anything,
    "customProperties": values,
    "listPermissions": anything,
    "membershipSettings": anything,
}
LIST_SEARCH: Shape = {
    **dict.fromkeys(("query", "sort", "objectTypeId"), text),
    **dict.fromkeys(("listIds", "processingTypes", "additionalProperties"), texts),
    **dict.fromkeys(("offset", "count"), whole),
}
LIST_PAGES: Shape = {**LIST_SEARCH, "after": text}
_FILTER = record({**dict.fromkeys(("propertyName", "operator", "value", "highValue"), text), "values": texts})
_SORT = record(dict.fromkeys(("propertyName", "direction"), text))


def _sort(value: Any, where: str) -> None:
    """Allow a name, as the OpenAPI document has it, or a name with a direction, as the guides write."""
    (text if isinstance(value, str) else _SORT)(value, where)


SEARCH: Shape = {
    **dict.fromkeys(("query", "after"), text),
    "limit": whole,
    "properties": texts,
    "sorts": array(_sort),
    "filterGroups": array(record({"filters": array(_FILTER)})),
    "filters": array(_FILTER),
}


def _mistyped(kind: str, where: str) -> Refusal:
    return invalid_input(f"Invalid input JSON: Cannot deserialize value of type `{kind}` at {where}")
