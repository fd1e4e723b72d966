"""Field definitions: v2 ``/personFields`` and ``/dealFields`` with bulk options, and v1's list with numeric ids."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import (
    PAGE_DEFAULT,
    PAGE_MAX,
    Call,
    Refusal,
    bad_schema,
    missing,
    ok,
    reply,
)
from cio_activation.sandbox.pipedrive.values import (
    CREATABLE,
    OPTIONED,
    Field,
    Option,
    complaint,
    guard_nesting,
    stored,
)

CAPPED = "feature_capping_custom_fields_limit"
"""The code beside the 403, as the vendor's own web app reads it."""
OPTIONS_MAX = 10_000
_LABEL = body_checks.text(255, 1)
_ANY_SETTING: dict[str, body_checks.Check] = dict.fromkeys(
    ("ui_visibility", "important_fields", "required_fields"),
    lambda value: None if isinstance(value, dict) else body_checks.expected("object", value),
)


class FieldCap:
    """The company-wide cap on custom fields and its counters for ids, shared by all entities."""

    def __init__(self, most: int, company: str, now: Callable[[], float], admin: Callable[[], bool]) -> None:
        self.most, self.company, self.now, self.admin = most, company, now, admin
        self.used = 0
        self.field_ids, self.option_ids = count(9001), count(101)

    def code(self, entity: str, field_id: int) -> str:
        """Return the random-looking key of a new field: other accounts have other keys."""
        return hashlib.sha1(f"{self.company}:{entity}:{field_id}".encode(), usedforsecurity=False).hexdigest()


class Fields:
    """The fields of one entity and their endpoints. ``values`` yields every record's custom values.

    ``refused`` is a rule that no document has: field code -> (text no value may contain, whether the answer names it).
    """

    def __init__(
        self,
        entity: str,
        cap: FieldCap,
        built_in: Iterable[tuple[str, str, str]],
        values: Callable[[], Iterable[dict[str, Any]]],
    ) -> None:
        self.entity, self._cap, self._values = entity, cap, values
        self.by_code: dict[str, Field] = {}
        self.custom: dict[str, Field] = {}
        self.refused: dict[str, tuple[str, bool]] = {}
        now = cap.now()
        for code, name, kind in built_in:
            self.by_code[code] = Field(next(cap.field_ids), code, name, kind, now, now, is_custom=False)

    # -- what records need ------------------------------------------------------------------------------

    def problems(self, given: Any) -> list[str]:
        """Return what is wrong with a ``custom_fields`` object; each text names the field."""
        guard_nesting(given)
        wrong: list[str] = []
        for code, value in given.items():
            definition = self.custom.get(code)
            if definition is None:
                wrong.append(f"custom_fields.{code}: is not allowed (unknown field)")
            elif bad := complaint(definition, value):
                wrong.append(f"custom_fields.{code} ({definition.name}): {bad}")
            elif bad := self._refused(code, value):
                wrong.append(bad)
        return wrong

    def _refused(self, code: str, value: Any) -> str | None:
        text, named = self.refused.get(code, ("", True))
        if not text or not isinstance(value, str) or text not in value:
            return None
        return f"custom_fields.{code}: is not acceptable" if named else "a value is not acceptable"

    def write(self, target: dict[str, Any], given: dict[str, Any]) -> None:
        """Put checked values into a record."""
        for code, value in given.items():
            new = stored(self.custom[code], value)
            if new is None:
                target.pop(code, None)
            else:
                target[code] = new

    def read(self, values: dict[str, Any], codes: Iterable[str] | None, *, expand: bool) -> dict[str, Any]:
        """Return every defined custom field of a record (or the asked ones), null when absent."""
        wanted = self.custom if codes is None else codes
        if expand:
            return {c: self.custom[c].expanded(values.get(c)) for c in wanted}
        return {c: values.get(c) for c in wanted}

    def named(self, name: str) -> Field:
        """Return a field by code or display name."""
        for definition in self.by_code.values():
            if name in (definition.code, definition.name):
                return definition
        raise ValueError(f"no {self.entity} field {name!r}")

    def drop(self, definition: Field) -> None:
        """Delete a field with its values, silently: no record's update_time moves."""
        del self.by_code[definition.code], self.custom[definition.code]
        self._cap.used -= 1
        for values in self._values():
            values.pop(definition.code, None)

    def extend(self, definition: Field, labels: Iterable[str]) -> list[Option]:
        """Add options; return them."""
        added = [Option(next(self._cap.option_ids), label) for label in labels]
        definition.options += added
        return added

    def drop_options(self, definition: Field, ids: set[int]) -> None:
        """Delete options; values that hold them lose them, silently."""
        definition.options = [o for o in definition.options if o.id not in ids]
        code = definition.code
        for values in self._values():
            current = values.get(code)
            if definition.type == "enum" and current in ids:
                del values[code]
            elif definition.type == "set" and current and not ids.isdisjoint(current):
                values[code] = [v for v in current if v not in ids]
                if not values[code]:
                    del values[code]

    # -- v2 ---------------------------------------------------------------------------------------------

    def index(self, call: Call) -> Response:
        """``GET /personFields``: built-in and custom fields."""
        query = call.query
        limit = query.integer("limit", PAGE_DEFAULT, 1, PAGE_MAX) or PAGE_DEFAULT
        raw = query.text("cursor")
        query.words("include_fields", 3, tuple(_ANY_SETTING))
        start = _offset(raw)
        if start is None:
            query.problem("cursor: is not valid for this list")
        query.done()
        every, start = list(self.by_code.values()), start or 0
        following = f"Zg{start + limit:x}" if len(every) > start + limit else None
        return ok([f.v2() for f in every[start : start + limit]], next_cursor=following)

    def show(self, call: Call) -> Response:
        """``GET /personFields/{code}``."""
        return ok(self._found(call).v2())

    def create(self, call: Call) -> Response:
        """``POST /personFields``; names need not be unique."""
        self._admin_only()
        option = body_checks.record({"label": _LABEL}, ("label",))
        schema = {
            "field_name": _LABEL,
            "field_type": body_checks.one_of(*CREATABLE),
            "options": body_checks.array(option),
            **_ANY_SETTING,
        }
        given = body_checks.body_of(call, schema, ("field_name", "field_type"), _options_fit)
        if self._cap.used >= self._cap.most:
            raise Refusal(403, f"The plan allows {self._cap.most} custom fields", CAPPED)
        return ok(self.define(given["field_name"], given["field_type"], given.get("options", ())).v2())

    def define(self, name: str, kind: str, options: Iterable[dict[str, str]] = ()) -> Field:
        """Create a custom field."""
        now, number = self._cap.now(), next(self._cap.field_ids)
        made = Field(number, self._cap.code(self.entity, number), name, kind, now, now)
        made.options = [Option(next(self._cap.option_ids), o["label"]) for o in options]
        self.by_code[made.code] = self.custom[made.code] = made
        self._cap.used += 1
        return made

    def rename(self, call: Call) -> Response:
        """``PATCH /personFields/{code}``: code and type stay for ever."""
        self._admin_only()
        definition = self._custom(call)
        given = body_checks.body_of(call, {"field_name": _LABEL, **_ANY_SETTING})
        definition.name = given.pop("field_name", definition.name)
        definition.settings |= given
        definition.update_time = self._cap.now()
        return ok(definition.v2())

    def delete(self, call: Call) -> Response:
        """``DELETE /personFields/{code}``."""
        self._admin_only()
        definition = self._custom(call)
        self.drop(definition)
        return ok(definition.v2())

    def add_options(self, call: Call) -> Response:
        """``POST .../options``: all or none; labels need not be unique; the reply lists only the new ones."""
        definition, given = self._options_body(call, {"label": _LABEL})
        if len(definition.options) + len(given) > OPTIONS_MAX:
            raise bad_schema([f"options: at most {OPTIONS_MAX} are allowed"])
        return _touched(self.extend(definition, [o["label"] for o in given]))

    def rename_options(self, call: Call) -> Response:
        """``PATCH .../options``: all or none."""
        definition, given = self._options_body(call, {"id": body_checks.integer(), "label": _LABEL})
        touched = self._known(definition, given)
        for option, change in zip(touched, given, strict=True):
            option.label = change["label"]
        return _touched(touched)

    def remove_options(self, call: Call) -> Response:
        """``DELETE .../options``: fails as a whole if one id is unknown."""
        definition, given = self._options_body(call, {"id": body_checks.integer()})
        touched = self._known(definition, given)
        self.drop_options(definition, {o.id for o in touched})
        return _touched(touched)

    # -- v1 ---------------------------------------------------------------------------------------------

    def index_v1(self, call: Call) -> Response:
        """v1 ``GET /personFields``: numeric ids and keys, offset paging."""
        start = call.query.integer("start", 0, 0) or 0
        limit = min(call.query.integer("limit", PAGE_DEFAULT) or PAGE_DEFAULT, PAGE_MAX)
        call.query.done()
        every = [f.v1(i) for i, f in enumerate(self.by_code.values(), 1)]
        more = len(every) > start + limit
        page = {"start": start, "limit": limit, "more_items_in_collection": more}
        if more:
            page["next_start"] = start + limit
        return ok(every[start : start + limit], pagination=page)

    # -- inside -----------------------------------------------------------------------------------------

    def _admin_only(self) -> None:
        if not self._cap.admin():
            raise Refusal(403, "The user is not permitted to change fields", "ERR_FORBIDDEN")

    def _found(self, call: Call) -> Field:
        call.query.words("include_fields", 3, tuple(_ANY_SETTING))
        call.query.done()
        definition = self.by_code.get(call.path["code"])
        if definition is None:
            raise missing("Field")
        return definition

    def _custom(self, call: Call) -> Field:
        definition = self._found(call)
        if not definition.is_custom:
            raise Refusal(403, f"The built-in field {definition.code} cannot be changed", "ERR_FORBIDDEN")
        return definition

    def _options_body(self, call: Call, keys: dict[str, body_checks.Check]) -> tuple[Field, list[dict[str, Any]]]:
        self._admin_only()
        definition = self._custom(call)
        if definition.type not in OPTIONED:
            raise Refusal(400, f"A {definition.type} field has no options")
        given = call.json()
        if bad := body_checks.array(body_checks.record(keys, tuple(keys)))(given):
            raise bad_schema([f"body: {bad}"])
        if not given:
            raise bad_schema(["body: must contain at least 1 item"])
        definition.update_time = self._cap.now()
        return definition, given

    def _known(self, definition: Field, given: list[dict[str, Any]]) -> list[Option]:
        found = [definition.option(o["id"]) for o in given]
        if wrong := [o["id"] for o, f in zip(given, found, strict=True) if f is None]:
            raise Refusal(400, f"Options do not exist: {', '.join(map(str, wrong))}")
        return [o for o in found if o is not None]


def _offset(cursor: str | None) -> int | None:
    if cursor is None:
        return 0
    found = re.fullmatch(r"Zg([0-9a-f]{1,7})", cursor)
    return int(found[1], 16) if found else None


def _options_fit(given: dict[str, Any]) -> list[str]:
    """Options are required for enum and set, and allowed nowhere else."""
    optioned = given.get("field_type") in OPTIONED
    if optioned and not given.get("options"):
        return ["options: is required for this field_type"]
    return ["options: is not allowed for this field_type"] if not optioned and "options" in given else []


def _touched(options: list[Option]) -> Response:
    data = [{"id": o.id, "label": o.label} for o in options]
    return reply({"success": True, "data": data, "additional_data": None})
