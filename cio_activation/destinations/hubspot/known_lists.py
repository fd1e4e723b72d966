"""Which list is which audience's: known by HubSpot's id, whatever it is called there or here.

Catalog: ``list:<audience>`` -> id, ``list_name:<audience>`` and ``list_version:<audience>`` -> the name we last gave it
and for which version, ``retired:<id>`` -> the audience and name of a list that is no audience's any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cio_activation.activation.models import Audience
from cio_activation.delivery.destination import Context
from cio_activation.destinations.hubspot import api, list_api
from cio_activation.destinations.hubspot.config import list_name, listed_audiences, options_of
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

RETIRED = "retired:"
"""How the key of a retired list in the catalog begins; also the audience its acknowledged members go under."""


@dataclass(frozen=True)
class KnownLists:
    """What HubSpot has of the lists we know."""

    present: Mapping[str, api.Row | None]
    """Listed audience -> its list; None where it has to be made."""
    retired: Mapping[str, Mapping[str, Any]]
    """Id -> ``{"audience", "name", "replaced"}`` of lists that are still there and no audience's any more."""


async def find(client: VendorClient, context: Context) -> KnownLists:
    """Find every list by the id we know, else by its name; reads only, one or two calls a list."""
    catalog = context.catalog
    present: dict[str, api.Row | None] = {}
    for audience in listed_audiences(context.activation):
        known = _known_id(audience, catalog)
        present[audience.name] = await list_api.list_by_id(client, known) if known else None
    taken = {str(row["listId"]) for row in present.values() if row}
    for audience in listed_audiences(context.activation):
        if present[audience.name] is None:
            found = await list_api.list_by_name(client, list_name(audience))
            # A name that another audience's list still has is free once that is renamed.
            present[audience.name] = None if found is None or str(found["listId"]) in taken else found
            taken |= {str(found["listId"])} if found else set()
    retired = {}
    for list_id, was in _left(context, taken).items():
        if (row := await list_api.list_by_id(client, list_id)) is not None:
            retired[list_id] = {**was, "name": str(row.get("name") or was["name"])}
    return KnownLists(present, retired)


async def known(client: VendorClient, catalog: Mapping[str, Any]) -> KnownLists:
    """Return the lists of the catalog that are there, by a call for all of them: what a look at them needs."""
    ids = {key.removeprefix("list:"): str(list_id) for key, list_id in catalog.items() if key.startswith("list:")}
    retired = {key.removeprefix(RETIRED): was for key, was in catalog.items() if key.startswith(RETIRED)}
    rows = {str(row["listId"]): row for row in await list_api.lists_by_ids(client, [*ids.values(), *retired])}
    there = {
        list_id: {**was, "name": str(rows[list_id].get("name"))} for list_id, was in retired.items() if list_id in rows
    }
    return KnownLists({name: rows.get(list_id) for name, list_id in ids.items()}, there)


async def rename(client: VendorClient, context: Context, known: KnownLists) -> dict[str, str]:
    """Give lists the names that changed here since we last named them; return ``list_name:`` entries.

    Where somebody else renamed a list and the activation says what it said, theirs stays. A name that is taken is
    left for the next run: who is on the list matters more than what it is called.
    """
    names: dict[str, str] = {}
    waiting: list[tuple[Audience, str]] = []
    for audience in listed_audiences(context.activation):
        row, given = known.present[audience.name], context.catalog.get(f"list_name:{audience.name}")
        wanted = list_name(audience)
        if row is None or row.get("name") == wanted or given in (None, wanted):
            names[f"list_name:{audience.name}"] = wanted
        else:
            names[f"list_name:{audience.name}"] = str(given)
            waiting.append((audience, str(row["listId"])))
    for _ in range(2):  # one may wait for the name that the next one gives up
        waiting = [one for one in waiting if not await _rename(client, *one, names)]
    return names


def advice(context: Context, known: KnownLists) -> list[str]:
    """Return what a person may want to know of our lists; nothing of it keeps a run from working."""
    named = [(a, known.present[a.name]) for a in listed_audiences(context.activation)]
    differ = [renamed(context, audience, row) for audience, row in named if row is not None]
    return [f"{sentence}. {mend}" for sentence, mend in filter(None, differ)] + [
        f"HubSpot's list {was['name']!r} ({list_id}) was audience {was['audience']}'s, which does not list "
        "people here any more: it is emptied, and deleted after destinations.hubspot.retire_lists_after"
        for list_id, was in known.retired.items()
    ]


def renamed(context: Context, audience: Audience, row: api.Row) -> tuple[str, str] | None:
    """Return that the audience's list is called something else there, with the mend; None if it is not."""
    there, ours = str(row.get("name")), list_name(audience)
    given = context.catalog.get(f"list_name:{audience.name}")
    if there.casefold() in (ours.casefold(), str(given).casefold()):
        return None
    return (
        f"HubSpot's list of audience {audience.name} is called {there!r} there and {ours!r} here; it is "
        "delivered to all the same",
        f"To take that name over, change audiences.{audience.name}.label",
    )


def _known_id(audience: Audience, catalog: Mapping[str, Any]) -> str | None:
    """Return the id of the list that is the audience's, also of one that was retired when the audience went away."""
    if (known := catalog.get(f"list:{audience.name}")) is not None:
        return None if _replaced(audience, catalog) else str(known)
    for key, was in catalog.items():
        if key.startswith(RETIRED) and was["audience"] == audience.name and not was["replaced"]:
            return key.removeprefix(RETIRED)
    return None


def _replaced(audience: Audience, catalog: Mapping[str, Any]) -> bool:
    before = catalog.get(f"list_version:{audience.name}")
    return options_of(audience).new_list and before not in (None, audience.version)


def _left(context: Context, taken: set[str]) -> dict[str, dict[str, Any]]:
    """Return the lists that were an audience's and are not in ``taken``."""
    listed = {a.name: a for a in listed_audiences(context.activation)}
    left: dict[str, dict[str, Any]] = {}
    for key, value in context.catalog.items():
        if key.startswith(RETIRED):
            left[key.removeprefix(RETIRED)] = dict(value)
        elif key.startswith("list:"):
            name = key.removeprefix("list:")
            if name not in listed or _replaced(listed[name], context.catalog):
                given = context.catalog.get(f"list_name:{name}", name)
                left[str(value)] = {"audience": name, "name": given, "replaced": name in listed}
    return {list_id: was for list_id, was in left.items() if list_id not in taken}


async def _rename(client: VendorClient, audience: Audience, list_id: str, names: dict[str, str]) -> bool:
    try:
        await list_api.rename_list(client, list_id, list_name(audience))
    except Rejected:
        return False
    names[f"list_name:{audience.name}"] = list_name(audience)
    return True
