"""The person fields this project keeps in Pipedrive: what they are, and bringing the account up to them.

Custom fields are scarce (Lite: 30 for the whole company), so all audiences share one ``set`` field and only state
values have fields of their own. There is no boolean type, a flag is an ``enum`` of ``true`` and ``false``.

A field is known by its ``field_code``, which never changes; its name is used once, to adopt it. So a colleague may
rename our fields. Options are only ever added: deleting one would take the value from every person that has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.delivery.definitions import FOUND
from cio_activation.destinations.common.removed_fields import still_there
from cio_activation.destinations.pipedrive import definitions, flags
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.options import missing_labels, option_ids
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, audiences_field
from cio_activation.destinations.pipedrive.wanted import (
    WantedField,
    find_field,
    names_of,
    type_problem,
    wanted_fields,
)
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Rejected, Stop

DECLARED = f"declared:{AUDIENCES}"
"""Catalog entry: how the activation called the field of audiences when it was last looked at."""


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
            field = await _renamed(api, activation, w, field, fields, previous)
            field, previous = await flags.rename(api, activation, field, previous)
        if labels := missing_labels(w, field, previous):
            added = await _add_options(api, w, field, labels)
            field = {**field, "options": [*(field.get("options") or ()), *added]}
        shown.append(field)
        catalog |= _entries(w, field, previous)
    catalog = _left(activation, fields, previous, catalog) | catalog
    catalog |= flags.entries(activation, catalog, previous)
    catalog[DECLARED] = audiences_field(activation)
    return catalog | flags.advice(activation, shown, catalog) | {FOUND: definitions.of(activation, shown, catalog)}


async def _renamed(
    api: PipedriveApi,
    activation: Activation,
    wanted: WantedField,
    field: Mapping[str, Any],
    fields: Sequence[Mapping[str, Any]],
    previous: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Give the field the name that changed in the activation; what a colleague calls it stays as long as ours does.

    A name that another field has is left alone: which of the two people should look at is theirs to say.
    """
    before = previous.get(DECLARED, f"{activation.workspace.prefix}{AUDIENCES}")
    if before == wanted.name or wanted.name in {f["field_name"] for f in fields}:
        return field
    try:
        await api.rename_field(str(field["field_code"]), wanted.name)
    except (Rejected, Stop) as error:
        if isinstance(error, Stop) and error.status != 403:
            raise
        return field  # not an admin: it is delivered to all the same
    return {**field, "field_name": wanted.name}


async def _add_options(
    api: PipedriveApi, wanted: WantedField, field: Mapping[str, Any], labels: Sequence[str]
) -> list[dict[str, Any]]:
    try:
        return await api.add_options(str(field["field_code"]), labels)
    except (Rejected, Stop) as error:
        if isinstance(error, Stop) and (error.status != 403 or not isinstance(error.body, dict)):
            raise
        raise ConfigError(
            f"Pipedrive does not take the option(s) {', '.join(map(repr, labels))} for its field "
            f"{field['field_name']!r} ({error.status}): use the token of an admin, or let one add them by hand, in "
            f"just these words; or stop delivering {wanted.logical} to pipedrive"
        ) from None


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
                f"({names_of(absent)}); delete fields nobody uses, take a larger plan, or remove pipedrive from the "
                "deliver lists of these properties"
            ) from None
        raise ConfigError(
            f"Pipedrive does not let this token create the person field {wanted.name} "
            f"({code or 'no code'}); use the token of an admin, or let an admin create "
            f"{names_of(absent)} by hand"
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
