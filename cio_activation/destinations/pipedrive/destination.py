"""Pipedrive as a destination: its steps, its client, its limits, and the check of an account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.delivery.catalog import ADVICE
from cio_activation.delivery.destination import Context, Step
from cio_activation.destinations.pipedrive import budget, differing_emails, flags, schema
from cio_activation.destinations.pipedrive.api import CONCURRENCY, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.config import (
    NAME,
    PipedriveAccess,
    PipedriveAudience,
    PipedriveSettings,
    settings_of,
)
from cio_activation.destinations.pipedrive.matching import LinksStep
from cio_activation.destinations.pipedrive.mirror import MirrorStep
from cio_activation.destinations.pipedrive.persons import FieldsStep
from cio_activation.destinations.pipedrive.removed_fields import RemovedPersonFieldsStep
from cio_activation.errors import ConfigError
from cio_activation.journal.days import Meter
from cio_activation.transport.errors import Rejected, Stop, VendorError
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection


class PipedriveDestination:
    """Implements ``delivery.destination.Destination``."""

    name = NAME
    settings_model: type[BaseModel] = PipedriveSettings
    audience_model: type[BaseModel] = PipedriveAudience

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return mirror, links and fields of every lane that delivers something here; last, what left.

        Where nothing is delivered any more the daily lane still takes people out of the audiences they are in.
        """
        lanes = [
            lane for lane in Lane if activation.lane_audiences(lane, NAME) or activation.lane_properties(lane, NAME)
        ]
        steps: list[Step] = []
        for lane in lanes or [Lane.DAILY]:
            audiences = [a.name for a in activation.lane_audiences(lane, NAME)]
            steps += [MirrorStep(lane), LinksStep(lane), FieldsStep(lane, audiences)]
        return [*steps, RemovedPersonFieldsStep(activation)]

    def connect(self, settings: Settings, pacer: Pacer) -> VendorClient:
        """Return a client with the API token in its header."""
        access = settings.access(PipedriveAccess)
        return VendorClient(
            NAME,
            access.pipedrive_url.rstrip("/"),
            {"x-api-token": access.secret("pipedrive_api_token")},
            pacer=budget.BudgetPacer(pacer),
            daily_cost=lambda operation: TOKENS[operation],
            max_connections=CONCURRENCY,
            timeout_s=settings.vendor_timeout_s,
            backoff_s=settings.vendor_backoff_s,
        )

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        """Return the burst window per token: requests in a rolling 2 s."""
        settings = settings_of(activation)
        return {"default": (settings.requests_per_2s * settings.rate_share, 2.0)}

    def meter(self, activation: Activation, catalog: Mapping[str, Any]) -> Meter:  # noqa: ARG002
        """Return how the company's daily tokens are counted."""
        return budget.meter(activation)

    async def account(self, client: VendorClient) -> str:
        """Return the company's id."""
        return str((await PipedriveApi(client).me())["company_id"])

    async def ours_there(self, client: VendorClient, context: Context) -> str | None:
        """Return whether our id field is there; how many persons carry it shows the first walk of the mirror."""
        key = schema.wanted_fields(context.activation)[0]
        found = schema.find_field(key, await PipedriveApi(client).person_fields(), {})
        return f"persons have the field {key.name} already" if found else None

    def forget_account(self, con: Connection) -> None:
        """Forget the mirror, and what fields and records were ours."""
        for table in ("persons", "mirror_state", "released", "field_codes"):
            con.execute(f"DELETE FROM delivery.pipedrive_{table}")

    def read_again(self, con: Connection) -> None:
        """Walk all persons again in the next run."""
        con.execute("DELETE FROM delivery.pipedrive_mirror_state")

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        """Create missing fields and options; ``context.catalog`` is what the last run stored."""
        return await schema.ensure_fields(PipedriveApi(client), context.activation, context.catalog)

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return problems with the token, its rights and the fields; at most 22 tokens, changes nothing."""
        try:
            wanted = schema.wanted_fields(context.activation)
        except ConfigError as error:
            return list(error.problems)
        api = PipedriveApi(client)
        try:
            me = await api.me()
            fields = await api.person_fields()
            async for _ in api.persons([], limit=1):
                break
        except (Stop, Rejected) as error:
            return [_access_problem(error)]
        return _user_problems(me) + _field_problems(wanted, fields, context.catalog, admin=_is_admin(me))

    async def advise(self, client: VendorClient, context: Context) -> list[str]:
        """Return whose token it is, which options were renamed or are of no audience, and whose e-mail differs."""
        api = PipedriveApi(client)
        found = flags.advice(context.activation, await api.person_fields(), context.catalog)
        return [_whose_token(await api.me()), *found.get(ADVICE, []), *differing_emails.advice(context)]


def _access_problem(error: VendorError) -> str:
    mends = {
        401: "the API token is wrong or was regenerated; copy it again from Pipedrive's personal preferences",
        402: "the Pipedrive account is closed or unpaid",
        403: "the token's user may not read persons or person fields, or the firewall blocks it; use an admin's token",
    }
    return f"{error.operation} answered {error.status}: " + mends.get(
        error.status or 0, "check PIPEDRIVE_URL and PIPEDRIVE_API_TOKEN"
    )


def _whose_token(me: Mapping[str, Any]) -> str:
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


def _field_problems(
    wanted: Sequence[schema.WantedField],
    fields: Sequence[Mapping[str, Any]],
    catalog: Mapping[str, Any],
    *,
    admin: bool,
) -> list[str]:
    problems = []
    for field in wanted:
        found = schema.find_field(field, fields, catalog)
        if found is None:
            if f"field:{field.logical}" in catalog:
                problems.append(f"the field {field.name} was deleted in Pipedrive; the next schema run makes it anew")
            elif not admin:
                problems.append(f"the field {field.name} does not exist; let an admin create it ({field.kind})")
        elif drift := schema.type_problem(field, found):
            problems.append(drift)
        elif f"field:{field.logical}" in catalog and (labels := schema.missing_labels(field, found, catalog)):
            problems.append(
                f"{field.name} lost {len(labels)} option(s) ({', '.join(labels[:3])}); the next schema run adds them"
            )
    return problems


DESTINATION = PipedriveDestination()
"""What ``destinations.py`` registers."""
