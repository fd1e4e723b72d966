"""What Pipedrive has of person fields under our prefix and of audiences' options, and how that differs from ours.

A person field there has a name, a type and options and nothing else that people read: no place for who answers for it
(OpenAPI document of v2, ``POST`` and ``PATCH /personFields``; only deal fields have a description).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.delivery.definitions import Definition, DefinitionKind
from cio_activation.destinations.pipedrive import flags
from cio_activation.destinations.pipedrive.options import option_ids
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID, audiences_field
from cio_activation.destinations.pipedrive.wanted import (
    FLAG_LABELS,
    WantedField,
    find_field,
    type_problem,
    wanted_fields,
)

_SHOWN = 5


def of(activation: Activation, fields: Sequence[Mapping[str, Any]], catalog: Mapping[str, Any]) -> list[Definition]:
    """Return them by the person fields that are there and the catalog's ids."""
    wanted = wanted_fields(activation)
    there = {w.logical: field for w in wanted if (field := find_field(w, fields, catalog)) is not None}
    found = [_field(activation, w, there[w.logical], catalog) for w in wanted if w.logical in there]
    codes = {str(field["field_code"]) for field in there.values()} | {
        str(code) for key, code in catalog.items() if key == f"field:{ID}"
    }
    found += [
        Definition(
            kind=DefinitionKind.FIELD,
            address=str(field["field_code"]),
            name=str(field["field_name"]),
            mend="delete it in Pipedrive if nothing there reads it, or declare it (again) under properties",
        )
        for field in fields
        if field.get("is_custom_field")
        and str(field["field_name"]).startswith(activation.workspace.prefix)
        and str(field["field_code"]) not in codes
    ]
    return found + [
        Definition(
            kind=DefinitionKind.OPTION,
            address=str(option),
            name=shown,
            declared=f"audiences.{audience}" if audience is not None else None,
            differences=flags.called_otherwise(audience, shown, label) if audience is not None else (),
            mend="" if audience is not None else "delete it in Pipedrive when nothing there needs it",
        )
        for option, shown, label, audience in flags.shown(activation, fields, catalog)
    ]


def _field(
    activation: Activation, wanted: WantedField, field: Mapping[str, Any], catalog: Mapping[str, Any]
) -> Definition:
    code, name = str(field["field_code"]), str(field["field_name"])
    differs = []
    if problem := type_problem(wanted, field):
        sentence, _, mend = problem.rpartition("; ")
        differs.append((sentence, mend))
    if name != wanted.name:
        differs.append(
            (
                f"Pipedrive's field {wanted.name} is called {name!r} there; it is delivered to all the same",
                f"rename it to {wanted.name!r} there" + _or_take_over(activation, wanted),
            )
        )
    differs += _options(activation, wanted, field, catalog) if wanted.logical != AUDIENCES else []
    declared = f"properties.{wanted.logical}" if wanted.logical in activation.properties else wanted.logical
    return Definition(kind=DefinitionKind.FIELD, address=code, name=name, declared=declared, differences=tuple(differs))


def _options(
    activation: Activation, wanted: WantedField, field: Mapping[str, Any], catalog: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Return which options of ours are called something else there, and which are not ours."""
    if not wanted.labels:
        return []
    ours = {option_id: label for label, option_id in option_ids(wanted, field, catalog).items()}
    shown = {int(option["id"]): str(option["label"]) for option in field.get("options") or ()}
    told = [
        (
            f"Pipedrive's field {wanted.name} shows {label!r} as {shown[option_id]!r}",
            f"rename the option to {label!r} there",
        )
        for option_id, label in ours.items()
        if shown[option_id].strip().casefold() != label.strip().casefold() and wanted.labels != FLAG_LABELS
    ]
    if others := [label for option_id, label in shown.items() if option_id not in ours]:
        listed = ", ".join(map(repr, others[:_SHOWN]))
        listed += f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        mend = "remove them in Pipedrive once nobody holds them"
        if wanted.logical in activation.properties and wanted.labels != FLAG_LABELS:
            mend += f", or add them to properties.{wanted.logical}.labels"
        told.append((f"Pipedrive's field {wanted.name} has options that are not declared: {listed}", mend))
    return told


def _or_take_over(activation: Activation, wanted: WantedField) -> str:
    if wanted.logical == AUDIENCES and audiences_field(activation) == wanted.name:
        return ", or name it as destinations.pipedrive.audience_field"
    return ""
