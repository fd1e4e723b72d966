"""The person fields this project keeps in Pipedrive: what they are, and bringing the account up to them.

Custom fields are scarce (Lite: 30 for the whole company), so all audiences share one ``set`` field and only state
values have fields of their own. There is no boolean type, a flag is an ``enum`` of ``true`` and ``false``.

A field is known by its ``field_code``, which never changes; its name is used once, to adopt it. So a colleague may
rename our fields. Options are only ever added: deleting one would take the value from every person that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.destinations.common.removed_fields import still_there
from cio_activation.destinations.pipedrive import flags
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID, audience_labels
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Stop

FLAG_LABELS = ("true", "false")
LABEL_MAX = 255
"""Longest option label and field name (OpenAPI)."""
KEPT_MAX = 13
"""Properties whose present value the mirror can hold: a list shows 15 custom fields, two are the id and audiences."""
_TYPES: Mapping[PropertyType, str] = {
    PropertyType.ENUM: "enum",
    PropertyType.FLAG: "enum",
    PropertyType.TEXT: "varchar",
    PropertyType.DATE: "date",
    PropertyType.NUMBER: "double",
}
_ALSO_FITS: Mapping[str, tuple[str, ...]] = {"varchar": ("varchar_auto", "text")}
"""Types that take the same values on the wire, so a hand-made field of theirs can be adopted."""


@dataclass(frozen=True)
class WantedField:
    """One person field as it should be."""

    logical: str
    name: str
    kind: str
    labels: tuple[str, ...] = ()


def properties_of(activation: Activation) -> tuple[Property, ...]:
    """Return the properties delivered to Pipedrive, both lanes, in file order."""
    return tuple(p for p in activation.properties.values() if NAME in p.deliver)


def wanted_fields(activation: Activation) -> tuple[WantedField, ...]:
    """Return every field the activation needs. ConfigError if its names or labels cannot be fields."""
    prefix = activation.workspace.prefix
    wanted = [WantedField(ID, f"{prefix}id", "varchar")]
    labels = tuple(dict.fromkeys(audience_labels(activation).values()))
    if labels:  # a set field cannot be created without options
        wanted.append(WantedField(AUDIENCES, f"{prefix}audiences", "set", labels))
    for p in properties_of(activation):
        options = FLAG_LABELS if p.type is PropertyType.FLAG else p.labels
        wanted.append(WantedField(p.name, f"{prefix}{p.name}", _TYPES[p.type], options))
    problems = [
        f"property {name!r}: Pipedrive already uses {prefix}{name} for its own purpose; give the property another name"
        for name in (ID, AUDIENCES)
        if name in {p.name for p in properties_of(activation)}
    ]
    problems += [
        f"{field.name}: the option label {label[:40]!r}... has {len(label)} characters, Pipedrive takes {LABEL_MAX}; "
        "shorten it"
        for field in wanted
        for label in field.labels
        if len(label) > LABEL_MAX
    ]
    if len(kept := activation.kept_properties(NAME)) > KEPT_MAX:
        problems.append(
            f"{len(kept)} properties are kept as a human changed them in Pipedrive (on_conflict: keep), but its lists "
            f"show {KEPT_MAX} of them at most; let {', '.join(kept[KEPT_MAX:])} overwrite"
        )
    most = settings_of(activation).max_custom_fields
    if most is not None and len(wanted) > most:
        problems.append(
            f"Pipedrive needs {len(wanted)} custom fields but destinations.pipedrive.max_custom_fields is {most}; "
            f"raise it or stop delivering {_names(wanted[most:])}"
        )
    if problems:
        raise ConfigError(*problems)
    return tuple(wanted)


def find_field(
    wanted: WantedField, fields: Iterable[Mapping[str, Any]], previous: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the field that is ``wanted``: by the code we know, else by its name; None if there is none.

    Names are not unique in Pipedrive: of several the one with a fitting type is taken, the first listed.
    """
    custom = [f for f in fields if f.get("is_custom_field")]
    code = previous.get(f"field:{wanted.logical}")
    known = [f for f in custom if f["field_code"] == code]
    named = [f for f in custom if f["field_name"] == wanted.name]
    named.sort(key=lambda f: type_problem(wanted, f) is not None)
    return next(iter(known or named), None)


def type_problem(wanted: WantedField, field: Mapping[str, Any]) -> str | None:
    """Return what is wrong with an existing field's type, with its mend."""
    if field["field_type"] in (wanted.kind, *_ALSO_FITS.get(wanted.kind, ())):
        return None
    return (
        f"Pipedrive's person field {field['field_name']!r} is of type {field['field_type']}, but {wanted.name} needs "
        f"{wanted.kind}, and a field's type never changes; rename or delete that field, or change workspace.prefix"
    )


def option_ids(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, int]:
    """Return label -> option id of the wanted labels that have one: by the id we know, else by the label.

    So a colleague may also rename an option.
    """
    options = field.get("options") or ()
    present = {int(o["id"]) for o in options if wanted.labels}
    by_label = {o["label"]: int(o["id"]) for o in reversed(options)} if wanted.labels else {}
    if previous.get(f"field:{wanted.logical}") == field["field_code"]:
        known = {label: previous.get(f"option:{wanted.logical}:{label}") for label in wanted.labels}
        by_label |= {label: option_id for label, option_id in known.items() if option_id in present}
    return {label: by_label[label] for label in wanted.labels if label in by_label}


def missing_labels(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> list[str]:
    """Return the labels that the field has no option for, in order."""
    found = option_ids(wanted, field, previous)
    return [label for label in wanted.labels if label not in found]


async def ensure_fields(api: PipedriveApi, activation: Activation, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Create missing fields and options and return the catalog. One read; writes only what is missing.

    Catalog: ``field:<logical>`` -> field code (also of properties not delivered any more, as long as it is there),
    ``type:<logical>`` -> its type where that is not the one we would make, ``option:<logical>:<label>`` -> option id,
    ``flag:<audience>`` -> the same by audience, and for the audiences ``seen`` and ``retired``: option ids ever met
    there, and those of them that no longer exist.
    """
    wanted = wanted_fields(activation)
    fields = await api.person_fields()
    found = {w.logical: find_field(w, fields, previous) for w in wanted}
    drift = [p for w in wanted if (f := found[w.logical]) is not None and (p := type_problem(w, f))]
    if drift:
        raise ConfigError(*drift)
    absent = [w for w in wanted if found[w.logical] is None]
    catalog: dict[str, Any] = {}
    shown: list[Mapping[str, Any]] = [f for f in fields if f not in found.values()]
    for w in wanted:
        field = found[w.logical]
        if field is None:
            field = await _create(api, w, absent)
            absent.remove(w)
        elif w.logical == AUDIENCES and previous.get(f"field:{AUDIENCES}") == field["field_code"]:
            field, previous = await flags.rename(api, activation, field, previous)
        if labels := missing_labels(w, field, previous):
            added = await api.add_options(field["field_code"], labels)
            field = {**field, "options": [*(field.get("options") or ()), *added]}
        shown.append(field)
        catalog |= _entries(w, field, previous)
    catalog = _left(activation, fields, previous, catalog) | catalog
    catalog |= flags.entries(activation, catalog, previous)
    return catalog | flags.advice(activation, shown, catalog)


async def _create(api: PipedriveApi, wanted: WantedField, absent: Sequence[WantedField]) -> dict[str, Any]:
    try:
        return await api.create_field(wanted.name, wanted.kind, wanted.labels)
    except Stop as error:
        if error.status != 403 or not isinstance(error.body, dict):
            raise  # the firewall's page, or a credential
        code = str(error.body.get("code", ""))
        if "capping" in code or "limit" in code:
            raise ConfigError(
                f"Pipedrive's plan takes no more custom fields ({code}): {len(absent)} more are needed "
                f"({_names(absent)}); delete fields nobody uses, take a larger plan, or remove pipedrive from the "
                "deliver lists of these properties"
            ) from None
        raise ConfigError(
            f"Pipedrive does not let this token create the person field {wanted.name} "
            f"({code or 'no code'}); use the token of an admin, or let an admin create "
            f"{_names(absent)} by hand"
        ) from None


def _entries(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return one field's catalog entries; labels of audiences that left the activation stay ours."""
    code, options = field["field_code"], field.get("options") or ()
    entries: dict[str, Any] = {f"field:{wanted.logical}": code}
    if field["field_type"] != wanted.kind:  # made by hand, of another type that takes our values
        entries[f"type:{wanted.logical}"] = field["field_type"]
    ids = option_ids(wanted, field, previous)
    entries |= {f"option:{wanted.logical}:{label}": option_id for label, option_id in ids.items()}
    if wanted.logical != AUDIENCES:
        return entries
    same = previous.get(f"field:{AUDIENCES}") == code
    present = {int(o["id"]) for o in options}
    start = f"option:{AUDIENCES}:"
    for key, option_id in previous.items() if same else ():
        if key.startswith(start) and key not in entries and option_id in present:
            entries[key] = option_id
    seen = present | set(previous.get(f"seen:{AUDIENCES}", ()) if same else ())
    return entries | {f"seen:{AUDIENCES}": sorted(seen), f"retired:{AUDIENCES}": sorted(seen - present)}


def _left(
    activation: Activation, fields: Sequence[Mapping[str, Any]], previous: Mapping[str, Any], catalog: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the entries of fields that the activation needs no more and the account still has: by code, or by name."""
    used = {str(code) for key, code in catalog.items() if key.startswith("field:")}
    unused = {str(f["field_code"]): f for f in fields if f.get("is_custom_field") and f["field_code"] not in used}
    left: dict[str, Any] = dict(
        still_there(activation, NAME, {str(f["field_name"]): code for code, f in unused.items()}, ())
    )
    for key, code in previous.items():
        if key.startswith("field:") and key not in catalog and code in unused:
            left[key] = code
    for name in [key.removeprefix("field:") for key in left]:
        starts = (f"option:{name}:", f"seen:{name}", f"retired:{name}")
        left |= {key: value for key, value in previous.items() if key.startswith(starts)}
    return left


def _names(fields: Sequence[WantedField]) -> str:
    return ", ".join(f.name for f in fields)
