"""Brings HubSpot's property group, properties, options and lists up to the activation. A second call writes nothing.

Reads: groups, properties, one or two look-ups per list, folders only
when a list has to be made. Nothing grows with people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from cio_activation.activation.models import Audience, Property
from cio_activation.delivery.catalog import ADVICE, TOLD
from cio_activation.delivery.definitions import FOUND
from cio_activation.delivery.destination import Context
from cio_activation.delivery.resync import ANEW, MEMBERS
from cio_activation.destinations.common.removed_fields import still_there
from cio_activation.destinations.hubspot import api, definitions, described, known_lists, list_api, property_definitions
from cio_activation.destinations.hubspot.config import NAME, asked, list_name, settings_of
from cio_activation.destinations.hubspot.errors import reason
from cio_activation.destinations.hubspot.quota import TIME_ZONE
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Rejected, Stop
from cio_activation.transport.http import VendorClient

KEY_WAS_THERE = "key:was_there"
"""Catalog entry: the account had our key before this home came, so contacts may carry it that we know nothing of."""
_TAKEN = "PROPERTY_WITH_NAME_EXISTS"


async def ensure_schema(client: VendorClient, context: Context) -> Mapping[str, Any]:
    """Create or extend what the activation needs; return the catalog.

    Catalog: ``field:<property>`` -> HubSpot's name (also of properties not delivered any more),
    ``options:<property>`` -> its values where they are a closed set, lists as :mod:`known_lists` says,
    ``told:<property>`` as :mod:`described` says, ``asked:<audience>`` of every audience that ever asked for tasks, what
    is there under our prefix, and the account's time zone, in which its day turns. Raises ConfigError, before anything
    is written, if something of the same name cannot take our values.
    """
    wanted = property_definitions.delivered(context.activation)
    present = await api.properties(client)
    lists = await known_lists.find(client, context)
    problems = property_problems(wanted, present) + list_problems(lists.present)
    problems += await _room_problems(client, [n for n in (api.KEY, *wanted) if n not in present])
    if problems:
        raise ConfigError(*problems)
    there, told = await _ensure_properties(client, wanted, present, context.catalog)
    zone = (await api.account(client)).get("timeZone")
    left = {name: name for name, found in present.items() if property_definitions.is_writable(found)}
    entries = still_there(context.activation, NAME, left, (api.KEY, *wanted)) | _entries(wanted)
    was_there = context.catalog.get(KEY_WAS_THERE, not context.catalog) and api.KEY in present
    entries |= {KEY_WAS_THERE: bool(was_there)} | _anew(context, wanted, present)
    entries |= asked(context.activation, context.catalog)
    sizes = {
        f"{MEMBERS}{name}": size
        for name, row in lists.present.items()
        if row and (size := list_api.list_size(row)) is not None
    }
    entries |= told | sizes | await _ensure_lists(client, context, lists) | _told(context, lists, zone)
    strangers = await definitions.strangers(client, context, entries)
    return entries | {FOUND: definitions.of(context, entries, there, lists, strangers)}


def _anew(context: Context, wanted: Mapping[str, Property], present: Mapping[str, Any]) -> dict[str, bool]:
    """Return the entries that say which properties, known to earlier runs, had to be made again."""
    if not context.catalog:
        return {}
    made = [f"field:{p.name}" for name, p in wanted.items() if name not in present]
    key = ["key"] if api.KEY not in present else []
    return {f"{ANEW}{entry}": True for entry in [*(e for e in made if e in context.catalog), *key]}


async def _room_problems(client: VendorClient, missing: list[str]) -> list[str]:
    """Return whether what has to be made fits the account; a credential that may not ask finds out by trying."""
    if not missing:
        return []
    try:
        limits = await api.custom_property_limits(client)
    except (Rejected, Stop) as error:
        if error.status not in (403, 404):
            raise
        return []
    return property_definitions.room_problems(limits, missing)


def _told(context: Context, lists: known_lists.KnownLists, zone: object) -> dict[str, Any]:
    advice = known_lists.advice(context, lists)
    return ({ADVICE: advice} if advice else {}) | ({TIME_ZONE: str(zone)} if zone else {})


def _entries(wanted: Mapping[str, Property]) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for name, prop in wanted.items():
        entries[f"field:{prop.name}"] = name
        if options := property_definitions.wanted_options(prop):
            entries[f"options:{prop.name}"] = [o["value"] for o in options]
    return entries


def property_problems(wanted: Mapping[str, Property], present: Mapping[str, api.Row]) -> list[str]:
    """Return what keeps the wanted properties from being used, each with its mend."""
    problems = [
        property_definitions.drift(name, prop, present[name]) for name, prop in wanted.items() if name in present
    ]
    key = present.get(api.KEY)
    problems.append(property_definitions.key_drift(key) if key else property_definitions.unique_clash(present))
    return [p for p in problems if p]


def list_problems(lists: Mapping[str, api.Row | None]) -> list[str]:
    """Return the lists that exist under our name and cannot be written, each with its mend."""
    return [
        f"HubSpot's list {found.get('name')!r} has the type {found.get('processingType')}; "
        f"members can only be written to MANUAL lists: rename it in HubSpot, or change audiences.{name}.label"
        for name, found in lists.items()
        if found is not None and found.get("processingType") != list_api.MANUAL
    ]


async def _ensure_properties(
    client: VendorClient, wanted: Mapping[str, Property], present: Mapping[str, api.Row], catalog: Mapping[str, Any]
) -> tuple[dict[str, api.Row], dict[str, Any]]:
    """Make what is missing and bring the rest up to date; return what is there then, and what we told of it."""
    missing = [] if api.KEY in present else [property_definitions.key_definition()]
    missing += [property_definitions.definition(name, prop) for name, prop in wanted.items() if name not in present]
    if missing:
        if property_definitions.GROUP not in await api.property_groups(client):
            await api.create_group(client, property_definitions.GROUP, property_definitions.GROUP_LABEL)
        present = {**present, **await _create(client, missing)}
        # What came back from the archive has the type and options it had then.
        problems = property_problems(wanted, present)
        if problems:
            raise ConfigError(*problems)
    now = dict(present)
    told: dict[str, Any] = {}
    for name, prop in wanted.items():
        if name in present:
            changed, told_now = await _change(client, name, prop, present[name], catalog)
            now[name] = {**present[name], **changed}
            told |= told_now
    return now, told


async def _change(
    client: VendorClient, name: str, prop: Property, found: api.Row, catalog: Mapping[str, Any]
) -> tuple[api.Row, dict[str, Any]]:
    """Add the options that are missing and say what the activation says by now; return the change, and what is told.

    A label or a description that HubSpot does not take, or does not let us change, is left for the next run: values go
    out all the same.
    """
    options = property_definitions.merged_options(found.get("options") or (), prop)
    changed: api.Row = {} if options is None else {"options": options}
    if changed:
        await api.change_property(client, name, changed)
    key = f"{TOLD}{prop.name}"
    given = catalog.get(key)
    if not (says := described.changes(prop, found, given)):
        return changed, described.entry(prop)
    try:
        await api.change_property(client, name, says)
    except (Rejected, Stop) as error:
        if isinstance(error, Stop) and error.status != 403:
            raise
        return changed, {} if given is None else {key: given}
    return {**changed, **says}, described.entry(prop)


async def _create(client: VendorClient, missing: list[api.Row]) -> dict[str, api.Row]:
    """Create properties; return them as HubSpot now has them. Names another process made meanwhile are read."""
    made: dict[str, api.Row] = {}
    refused: list[str] = []
    taken = False
    for start in range(0, len(missing), api.MAX_BATCH):
        batch = missing[start : start + api.MAX_BATCH]
        try:
            reply = await api.create_properties(client, batch)
        except Rejected as error:
            if error.status != 409:
                raise
            taken = True
            continue
        made |= {str(p["name"]): p for p in reply.results}
        for entry in reply.errors:
            text = reason(entry)
            taken = taken or _TAKEN in text or text.startswith("409")
            if not (_TAKEN in text or text.startswith("409")):
                refused.append(f"HubSpot refused to make a contact property: {text}; see cio-activation check")
    if refused:
        raise ConfigError(*refused)
    names = {str(d["name"]) for d in missing}
    if taken:
        made |= await _read_made(client, names - made.keys())
    if lacking := sorted(names - made.keys()):
        raise ConfigError(
            f"HubSpot was asked to make the contact property {', '.join(lacking)} and does not show it; "
            "run the schema step again"
        )
    return made


async def _read_made(client: VendorClient, names: set[str]) -> dict[str, api.Row]:
    """Read properties that somebody made a moment ago; new ones show with a delay of up to 0.7 s (seen)."""
    found: dict[str, api.Row] = {}
    for wait in (0.0, 0.5, 1.0, 2.0):
        await asyncio.sleep(wait)
        found = {name: p for name, p in (await api.properties(client)).items() if name in names}
        if len(found) == len(names):
            break
    return found


async def _ensure_lists(client: VendorClient, context: Context, lists: known_lists.KnownLists) -> dict[str, Any]:
    """Rename what is called something else here by now, make what is missing; return the lists' part of the catalog."""
    catalog: dict[str, Any] = {**await known_lists.rename(client, context, lists)}
    folder: str | None = None
    for name, found in lists.present.items():
        audience = context.activation.audiences[name]
        if found is None:
            folder = folder or await _folder(client, settings_of(context.activation).list_folder)
            found = await _create_list(client, audience, folder)
        catalog |= {f"list:{name}": str(found["listId"]), f"list_version:{name}": audience.version}
    return catalog | {f"{known_lists.RETIRED}{list_id}": dict(was) for list_id, was in lists.retired.items()}


async def _create_list(client: VendorClient, audience: Audience, folder: str) -> api.Row:
    name = list_name(audience)
    try:
        return await list_api.create_list(client, name, folder)
    except Rejected as error:
        if error.status not in (400, 409):
            raise
        # Another process may have made it between our look and our call.
        found = await list_api.list_by_name(client, name)
        if found is not None and found.get("processingType") == list_api.MANUAL:
            return found
        raise ConfigError(
            f"HubSpot refused to make the list {name!r} ({reason(error.body or {})}); if a deleted list still holds "
            f"the name, restore it in HubSpot, or raise audiences.{audience.name}.version"
        ) from error


async def _folder(client: VendorClient, name: str) -> str:
    """Return the id of the folder for lists, looking through the whole tree; make it below the root if needed."""
    found = list_api.folder_called(await list_api.root_folder(client), name)
    return str((found or await list_api.create_folder(client, name))["id"])
