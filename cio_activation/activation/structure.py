"""Validating plain data with pydantic models, and telling each error in a sentence with its place and mend.

Data goes through JSON in strict mode: there a list is a tuple and text an enum, but ``true`` is no number and
``"12"`` no integer, which is how a YAML file is meant to be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cio_activation.activation.base import NAME_PATTERN
from cio_activation.activation.file import ActivationFile
from cio_activation.activation.problems import Path, Problems, meant

M = TypeVar("M", bound=BaseModel)

_NAME_RULE = (
    "is not a durable name; use lower-case letters, digits and underscores, a letter first, at most 60 characters"
)
_KINDS = {
    "string_type": "is not text; put it in quotes",
    "int_type": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "bool_type": "is not true or false",
    "date_type": "is not a date; write it as 2026-01-31",
    "date_from_datetime_parsing": "is not a date; write it as 2026-01-31",
    "date_parsing": "is not a date; write it as 2026-01-31",
    "string_too_short": "is empty; write something or leave the key out",
    "tuple_type": "is not a list; write it as [first, second]",
    "list_type": "is not a list; write it as [first, second]",
    "too_short": "is too short a list; add to it or leave the key out",
}
_MAPPINGS = frozenset({"model_type", "dict_type", "model_attributes_type", "dataclass_type"})


_PATTERNED = {
    "currency": "is not a currency; write its three capital letters, such as USD",
    "default_region": "is not a region; write the country's two capital letters, such as US",
    "prefix": "is not a prefix; write at most ten lower-case letters or digits and a final underscore, such as cio_",
}


def read_model(model: type[M], data: Any, path: Path, problems: Problems) -> M | None:
    """Return ``data``, which stands at ``path``, as ``model``; None with problems noted if it does not fit."""
    try:
        return model.model_validate_json(json.dumps(data, default=_as_json), strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _tell(model, detail, path, problems)
        return None


def read_file(data: Mapping[str, Any], problems: Problems) -> tuple[ActivationFile | None, frozenset[Path]]:
    """Return all of the file that is well formed, and the paths (section, name) left out because they are not.

    So one broken entry does not hide what is wrong between the others.
    """
    rest = {key: value for key, value in data.items() if value is not None}
    broken: set[Path] = set()
    while True:
        try:
            file = ActivationFile.model_validate_json(json.dumps(rest, default=_as_json), strict=True)
            return file, frozenset(broken)
        except ValidationError as error:
            places: set[Path] = set()
            for detail in error.errors(include_url=False):
                _tell(ActivationFile, detail, (), problems)
                places.add(tuple(detail["loc"][:2]))
        if not all(_drop(rest, place) for place in places):
            return None, frozenset(broken | places)
        broken |= places


def _drop(data: dict[str, Any], place: Path) -> bool:
    """Take the entry at ``place`` out of ``data``; False if it is not there (a required section is missing)."""
    section = str(place[0])
    if section not in data:
        return False
    entries = data[section]
    if len(place) == 1 or not isinstance(entries, dict) or place[1] not in entries:
        del data[section]
    else:
        data[section] = {key: value for key, value in entries.items() if key != place[1]}
    return True


def _as_json(value: object) -> str:
    if isinstance(value, date):  # datetime too
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in an activation file")


def _tell(model: type[BaseModel], detail: ErrorDetails, base: Path, problems: Problems) -> None:
    loc: Path = tuple(part for part in detail["loc"] if part != "[key]")
    problems.add((*base, *loc), _sentence(model, detail, loc))


def _sentence(model: type[BaseModel], detail: ErrorDetails, loc: Path) -> str:
    kind, given = detail["type"], detail["input"]
    context = detail.get("ctx", {})
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        return _unknown_key(model, loc)
    if kind in {"enum", "literal_error"}:
        return _unknown_value(model, loc, given, str(context["expected"]))
    if kind == "value_error":
        return str(context["error"])
    if kind in _MAPPINGS:
        return f"{_shown(given)} is not a mapping; write keys and values below it"
    if kind == "string_pattern_mismatch" and context["pattern"] == NAME_PATTERN:
        return f"{_shown(given)} {_NAME_RULE}"
    if kind == "string_pattern_mismatch" and loc[-1] in _PATTERNED:
        return f"{_shown(given)} {_PATTERNED[str(loc[-1])]}"
    if kind in _KINDS:
        return f"{_shown(given)} {_KINDS[kind]}"
    message = detail["msg"]
    return f"{_shown(given)} is not accepted: {message[:1].lower()}{message[1:]}"


def _unknown_key(model: type[BaseModel], loc: Path) -> str:
    owner, key = _model_at(model, loc[:-1]), str(loc[-1])
    if key in getattr(owner, "not_built", ()):
        return f"{key!r} is not built yet; remove it"
    known = [field.alias or name for name, field in owner.model_fields.items()] if owner else []
    return f"is not a known key{meant(key, known)}" + (f" (known: {', '.join(known)})" if known else "")


def _unknown_value(model: type[BaseModel], loc: Path, given: object, expected: str) -> str:
    depth = max(index for index, part in enumerate(loc) if isinstance(part, str))
    shown = str(given).lower() if isinstance(given, bool) else given
    pair = f"{loc[depth]}: {shown}"
    if pair in getattr(_model_at(model, loc[:depth]), "not_built", ()):
        return f"{pair!r} is not built yet; remove it"
    allowed = expected.replace("'", "").replace(" or ", ", ").split(", ")
    return f"{_shown(given)} is not allowed here{meant(str(given), allowed)} (allowed: {', '.join(allowed)})"


def _model_at(model: type[BaseModel], loc: Path) -> type[BaseModel] | None:
    """Return the model that reads the mapping at ``loc`` below ``model``, following fields, dicts and lists."""
    here: list[Any] = [model]
    for part in loc:
        here = [inner for annotation in here for inner in _step(annotation, part)]
    return next((found for found in here if _is_model(found)), None)


def _step(annotation: Any, part: str | int) -> list[Any]:
    """Return the types that stand below ``annotation`` at key or index ``part``."""
    if _is_model(annotation):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        return _members(fields[str(part)].annotation) if part in fields else []
    arguments = get_args(annotation)
    if not arguments:
        return []
    return _members(arguments[-1] if isinstance(part, str) else arguments[0])


def _members(annotation: Any) -> list[Any]:
    """Return what ``annotation`` may be, with ``Annotated`` and unions opened."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [member for choice in get_args(annotation) for member in _members(choice)]
    return [annotation]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _shown(value: object) -> str:
    """Return ``value`` as it would stand in the file, cut to a readable length."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
