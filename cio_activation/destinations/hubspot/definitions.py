"""What HubSpot has of properties under our prefix and of lists in our folder, and how that differs from ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.delivery.definitions import Definition, DefinitionKind
from cio_activation.delivery.destination import Context
from cio_activation.destinations.hubspot import api, described, known_lists, list_api, property_definitions
from cio_activation.destinations.hubspot.config import list_name, listed_audiences, settings_of
from cio_activation.transport.http import VendorClient


def of(
    context: Context,
    catalog: Mapping[str, Any],
    present: Mapping[str, api.Row],
    lists: known_lists.KnownLists,
    strangers: Sequence[api.Row],
) -> list[Definition]:
    """Return them: by the properties and lists that are there, and the lists of others in our folder.

    ``catalog``: as it is after what the schema step made and renamed; ``context`` has it as it was before.
    """
    wanted = property_definitions.delivered(context.activation)
    found = [_property(name, prop, present[name]) for name, prop in wanted.items() if name in present]
    found += [
        Definition(kind=DefinitionKind.FIELD, address=name, name=str(row.get("label") or name), mend=_field_mend(name))
        for name, row in sorted(present.items())
        if _is_orphan(name, row, context.activation, wanted)
    ]
    for audience in listed_audiences(context.activation):
        row, list_id = lists.present.get(audience.name), catalog.get(f"list:{audience.name}")
        if list_id is None:
            continue
        differs = None if row is None else known_lists.renamed(context, audience, row)
        found.append(
            Definition(
                kind=DefinitionKind.LIST,
                address=str(list_id),
                name=list_name(audience) if row is None or differs is None else str(row.get("name")),
                declared=f"audiences.{audience.name}",
                differences=() if differs is None else (differs,),
            )
        )
    delay = settings_of(context.activation).retire_lists_after
    ends = "delete it in HubSpot" if delay is None else "it is deleted after destinations.hubspot.retire_lists_after"
    found += [
        Definition(
            kind=DefinitionKind.LIST,
            address=list_id,
            name=str(was["name"]),
            mend=f"everybody is taken off it, and {ends}",
        )
        for list_id, was in lists.retired.items()
    ]
    return found + [
        Definition(
            kind=DefinitionKind.LIST,
            address=str(row["listId"]),
            name=str(row.get("name")),
            mend="delete it in HubSpot, or move it out of our folder",
        )
        for row in strangers
    ]


async def strangers(client: VendorClient, context: Context, catalog: Mapping[str, Any]) -> list[api.Row]:
    """Return the lists in our folder that are no audience's and never were; one call, and one more if there are any."""
    if not listed_audiences(context.activation):
        return []
    folder = list_api.folder_called(await list_api.root_folder(client), settings_of(context.activation).list_folder)
    ours = {str(list_id) for key, list_id in catalog.items() if key.startswith("list:")}
    ours |= {key.removeprefix(known_lists.RETIRED) for key in catalog if key.startswith(known_lists.RETIRED)}
    inside = [str(i) for i in (folder or {}).get("childLists") or () if str(i) not in ours]
    return await list_api.lists_by_ids(client, inside) if inside else []


def _property(name: str, prop: Property, found: api.Row) -> Definition:
    differs = described.differences(name, prop, found)
    values = {str(o["value"]) for o in property_definitions.wanted_options(prop)}
    others = [str(o.get("label")) for o in found.get("options") or () if str(o.get("value")) not in values]
    if others and prop.type is PropertyType.ENUM:
        listed = ", ".join(map(repr, others[:5])) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        mend = "remove them in HubSpot once nobody holds them"
        mend += f", or add them to properties.{prop.name}.labels" if prop.deliver else ""
        differs.append((f"HubSpot's {name} has options that are not declared: {listed}", mend))
    return Definition(
        kind=DefinitionKind.FIELD,
        address=name,
        name=str(found.get("label") or name),
        declared=f"properties.{prop.name}" if prop.deliver else "outreach_outcomes",
        differences=tuple(differs),
    )


def _is_orphan(name: str, row: api.Row, activation: Activation, wanted: Mapping[str, Property]) -> bool:
    ours = name.startswith(activation.workspace.prefix) and name not in wanted and name != api.KEY
    return ours and not row.get("hubspotDefined")


def _field_mend(name: str) -> str:
    return f"archive {name} in HubSpot if nothing there reads it, or declare it (again) under properties"
