"""The check of Pipedrive: token, rights, fields, options, room, types, users. Reads only; at most 72 tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.delivery.destination import Context
from cio_activation.destinations.pipedrive import action_catalog, options
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import settings_of
from cio_activation.destinations.pipedrive.wanted import (
    WantedField,
    find_field,
    names_of,
    type_problem,
    wanted_fields,
)
from cio_activation.errors import ConfigError
from cio_activation.transport.errors import Rejected, Stop, VendorError
from cio_activation.transport.http import VendorClient

PLANS = {20: ("Lite", 30), 40: ("Growth", 100), 100: ("Premium", 300), 120: ("Ultimate", 500)}
"""``requests_per_2s`` of a plan -> its name, and the custom fields it takes for the whole company (fact sheet, 6)."""


async def check(client: VendorClient, context: Context) -> list[str]:
    """Return one sentence per problem, each with its mend; an empty list means that a run can work."""
    try:
        wanted = wanted_fields(context.activation)
    except ConfigError as error:
        return list(error.problems)
    api = PipedriveApi(client)
    try:
        me = await api.me()
        fields = await api.person_fields()
        async for _ in api.persons([], limit=1):
            break
        problems = _user_problems(me) + _field_problems(wanted, fields, context.catalog, admin=_is_admin(me))
        problems += await _room_problems(api, context, wanted, fields)
        return problems + await action_catalog.problems(api, context.activation)
    except (Stop, Rejected) as error:
        return [access_problem(error)]


def advice(context: Context, fields: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what of fields and options reads like ours and is not, or is called something else; nothing is wrong."""
    told: list[str] = []
    named: dict[str, list[str]] = defaultdict(list)
    for field in fields:
        if field.get("is_custom_field"):
            named[str(field["field_name"])].append(str(field["field_code"]))
    for wanted in wanted_fields(context.activation):
        found = find_field(wanted, fields, context.catalog)
        if found is None:
            continue
        told += options.doubled(wanted, found, context.catalog)
        code = str(found["field_code"])
        if others := [c for c in named[wanted.name] if c != code]:
            told.append(
                f"Pipedrive has {len(others) + 1 if found['field_name'] == wanted.name else len(others)} person fields "
                f"called {wanted.name!r}: ours is {code}, and nothing is written to {', '.join(others)}; rename or "
                "delete what is not ours, people cannot tell them apart"
            )
    return told


def _field_problems(
    wanted: Sequence[WantedField], fields: Sequence[Mapping[str, Any]], catalog: Mapping[str, Any], *, admin: bool
) -> list[str]:
    problems = []
    for field in wanted:
        found = find_field(field, fields, catalog)
        if found is None:
            if f"field:{field.logical}" in catalog:
                problems.append(f"the field {field.name} was deleted in Pipedrive; the next schema run makes it anew")
            elif not admin:
                problems.append(f"the field {field.name} does not exist; let an admin create it ({field.kind})")
        elif drift := type_problem(field, found):
            problems.append(drift)
        else:
            problems += options.problems(field, found, catalog)
            lost = options.missing_labels(field, found, catalog) if f"field:{field.logical}" in catalog else []
            if lost:
                problems.append(
                    f"{field.name} lost {len(lost)} option(s) ({', '.join(lost[:3])}); the next schema run adds them"
                )
    return problems


async def _room_problems(
    api: PipedriveApi, context: Context, wanted: Sequence[WantedField], fields: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return whether what has to be made goes beyond the plan; no answer says which plan a company has."""
    absent = [w for w in wanted if find_field(w, fields, context.catalog) is None]
    known = PLANS.get(settings_of(context.activation).requests_per_2s)
    if not absent or known is None:
        return []
    plan, most = known
    used = sum(bool(f.get("is_custom_field")) for f in [*fields, *await api.deal_fields()])
    if used + len(absent) <= most:
        return []
    return [
        f"Pipedrive's {plan} plan (by destinations.pipedrive.requests_per_2s) takes {most} custom fields for the whole "
        f"company, persons and deals have {used}, and {len(absent)} more are needed ({names_of(absent)}): delete "
        "fields nobody uses, take a larger plan, or remove pipedrive from the deliver lists of these properties"
    ]


def access_problem(error: VendorError) -> str:
    """Return what an answer says of the token, with the mend."""
    mends = {
        401: "the API token is wrong or was regenerated; copy it again from Pipedrive's personal preferences",
        402: "the Pipedrive account is closed or unpaid",
        403: "the token's user may not read persons or person fields, or the firewall blocks it; use an admin's token",
    }
    return f"{error.operation} answered {error.status}: " + mends.get(
        error.status or 0, "check PIPEDRIVE_URL and PIPEDRIVE_API_TOKEN"
    )


def whose_token(me: Mapping[str, Any]) -> str:
    """Say that the token lives and dies with its user; Pipedrive has no other kind, nor tells what a user is for."""
    return (
        f"PIPEDRIVE_API_TOKEN is the own token of user {me.get('id')}: it sees what that user sees, and ends when the "
        "user leaves or makes a new one; if this is a colleague, use the token of a user made for it"
    )


def _is_admin(me: Mapping[str, Any]) -> bool:
    return any(a.get("admin") for a in me.get("access") or ())


def _user_problems(me: Mapping[str, Any]) -> list[str]:
    problems = []
    if me.get("active_flag") is False:
        problems.append("the token's user is deactivated in Pipedrive; use the token of an active user")
    if not _is_admin(me):
        problems.append(
            "the token's user is not an admin: persons it cannot see are not matched and may be created twice, and it "
            "may not create fields; use an admin's token"
        )
    return problems
