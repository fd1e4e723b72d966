"""What Pipedrive's company shows to whoever writes the first activation: five reads, at most 42 tokens."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from cio_activation.delivery.survey import FirstAsk, Survey
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.checks import access_problem
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Rejected, Stop, VendorError
from cio_activation.transport.http import VendorClient

T = TypeVar("T")


async def survey(client: VendorClient) -> Survey:
    """Return time zone, currency, fields, users and pipelines; a right that is missing costs only its own part."""
    api, unread = PipedriveApi(client), dict[str, str]()

    async def read(what: str, call: Awaitable[T]) -> T | None:
        try:
            return await call
        except (Stop, Rejected) as error:
            unread[what] = access_problem(error)
            return None

    try:
        me = await api.me()
    except (Stop, Rejected) as error:
        raise ConfigError(f"{access_problem(error)} (PIPEDRIVE_API_TOKEN)") from None
    except VendorError as error:
        raise ConfigError(f"{error}; see whether PIPEDRIVE_URL is right and Pipedrive is up") from None
    fields = await read("fields", api.person_fields()) or []
    users = await read("users", api.users()) or []
    pipelines = await read("pipelines", api.pipelines()) or []
    stages = await read("stages", api.stages()) or []
    added = sorted(str(f["field_name"]) for f in fields if f.get("is_custom_field"))
    ordered = sorted(stages, key=lambda stage: int(stage.get("order_nr") or 0))
    return Survey(
        account=f"company {me.get('company_id')}",
        timezone=str(me["timezone_name"]) if me.get("timezone_name") else None,
        currency=str(me["default_currency"]) if me.get("default_currency") else None,
        fields=added,
        builtin_fields=len(fields) - len(added),
        fields_are_scarce=True,  # Lite: 30 for the whole company (fact sheet, 6)
        owners=sorted(str(u["email"]).lower() for u in users if u.get("active_flag") and u.get("email")),
        pipelines={
            str(p["name"]): tuple(str(s["name"]) for s in ordered if s["pipeline_id"] == p["id"]) for p in pipelines
        },
        unread=unread,
    )


def first_delivery(ask: FirstAsk | None) -> dict[str, Any]:
    """Return the options of an audience: its flag, and an activity where a human is asked."""
    if ask is None:
        return {"flag": True}
    activity = {"subject": ask.subject, "body": ask.body, "type": "call" if ask.urgent else "task"}
    # Not the record's owner: a person whom we make belongs to the token's user, who is nobody to call.
    return {"flag": True, "activity": activity | {"owner": ask.as_owner}}
