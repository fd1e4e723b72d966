"""What HubSpot's account shows to whoever writes the first activation: six reads, whatever its size."""

from __future__ import annotations

from typing import Any

from cio_activation.activation.actions import RECORD_OWNER
from cio_activation.delivery.survey import FirstAsk, Survey
from cio_activation.destinations.hubspot import api, outreach
from cio_activation.destinations.hubspot.checks import tried
from cio_activation.errors import ConfigError
from cio_activation.transport.http import VendorClient


async def survey(client: VendorClient) -> Survey:
    """Return time zone, currency, properties, owners and pipelines; a scope that is missing costs only its own part."""
    problems: list[str] = []
    account = await tried(api.account(client), "", problems)
    if account is None:
        raise ConfigError(*problems)
    unread: dict[str, str] = {}

    def note(what: str) -> None:
        unread.update({what: "; ".join(problems)} if problems else {})
        problems.clear()

    properties = await tried(api.properties(client), "crm.schemas.contacts.read", problems)
    note("properties")
    owners = await tried(outreach.owners(client), "crm.objects.owners.read", problems)
    note("owners")
    pipelines = await tried(api.deal_pipelines(client), "crm.objects.deals.read", problems)
    note("pipelines")
    found = properties or {}
    added = sorted(name for name, row in found.items() if not row.get("hubspotDefined"))
    return Survey(
        account=f"portal {account.get('portalId')}",
        timezone=str(account["timeZone"]) if account.get("timeZone") else None,
        currency=str(account["companyCurrency"]) if account.get("companyCurrency") else None,
        fields=added,
        builtin_fields=len(found) - len(added),
        owners=sorted(o.email for o in owners or () if o.active and o.email),
        pipelines=pipelines or {},
        unread=unread,
    )


def first_delivery(ask: FirstAsk | None) -> dict[str, Any]:
    """Return the options of an audience: a list, and a task where a human is asked."""
    if ask is None:
        return {"list": True}
    kind, priority = ("call", "high") if ask.urgent else ("todo", "medium")
    owner = [RECORD_OWNER, ask.as_owner]
    task = {"subject": ask.subject, "body": ask.body, "type": kind, "priority": priority, "owner": owner}
    return {"list": True, "task": task}
