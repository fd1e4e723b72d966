"""The check of HubSpot: credential, scopes, owners, property and list drift, room for properties. Reads only."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from cio_activation.delivery.destination import Context
from cio_activation.destinations.hubspot import api, known_lists, outreach, property_definitions
from cio_activation.destinations.hubspot.config import listed_audiences
from cio_activation.destinations.hubspot.schema import list_problems, property_problems
from cio_activation.destinations.hubspot.task_checks import owner_problems
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Stop, VendorError
from cio_activation.transport.http import VendorClient

T = TypeVar("T")


async def check(client: VendorClient, context: Context) -> list[str]:
    """Return one sentence per problem, each with its mend; an empty list means that a run can work."""
    problems: list[str] = []
    if await tried(api.account(client), "", problems) is None:
        return problems
    await tried(api.contacts_page(client), "crm.objects.contacts.read and crm.objects.contacts.write", problems)
    owners = await tried(outreach.owners(client), "crm.objects.owners.read", problems)
    if owners is not None:
        problems.extend(owner_problems(context.activation, owners))
    await _check_properties(client, context, problems)
    await _check_lists(client, context, problems)
    return problems


async def _check_properties(client: VendorClient, context: Context, problems: list[str]) -> None:
    try:
        wanted = property_definitions.delivered(context.activation)
    except ConfigError as error:
        problems.extend(error.problems)
        return
    scopes = "crm.schemas.contacts.read and crm.schemas.contacts.write"
    present = await tried(api.properties(client), scopes, problems)
    if present is None:
        return
    problems.extend(property_problems(wanted, present))
    missing = [name for name in (api.KEY, *wanted) if name not in present]
    limits = await tried(api.custom_property_limits(client), "crm.objects.contacts.read", problems)
    if limits is not None and missing:
        problems.extend(property_definitions.room_problems(limits, missing))


async def _check_lists(client: VendorClient, context: Context, problems: list[str]) -> None:
    if not listed_audiences(context.activation):
        return
    found = await tried(known_lists.find(client, context), "crm.lists.read and crm.lists.write", problems)
    if found is not None:
        problems.extend(list_problems(found.present))


async def tried(call: Awaitable[T], scopes: str, problems: list[str]) -> T | None:
    """Return what ``call`` gives; a refusal becomes a problem that names the scopes to grant."""
    try:
        return await call
    except Stop as error:
        if error.status == 403 and scopes:
            problems.append(f"{error}; grant the HubSpot credential the scopes {scopes}")
        else:
            problems.append(f"{error}; set HUBSPOT_ACCESS_TOKEN to a service key or private app token that is active")
    except VendorError as error:
        problems.append(f"{error}; see whether HUBSPOT_URL is right and HubSpot is up, then check again")
    return None
