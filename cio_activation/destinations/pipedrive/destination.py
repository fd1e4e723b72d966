"""Pipedrive as a destination: its steps, its client, its limits, and the check of an account."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.delivery.catalog import ADVICE
from cio_activation.delivery.definitions import Definition
from cio_activation.delivery.destination import Context, OwnedField, Step
from cio_activation.delivery.survey import FirstAsk, Survey
from cio_activation.destinations.common import outcome_fields as human
from cio_activation.destinations.common import owned_fields
from cio_activation.destinations.pipedrive import (
    action_catalog,
    budget,
    checks,
    definitions,
    differing_emails,
    flags,
    schema,
    survey,
)
from cio_activation.destinations.pipedrive.activities import ActivityStep, RetiredActivitiesStep
from cio_activation.destinations.pipedrive.activity_sending import ACTIVITY
from cio_activation.destinations.pipedrive.api import CONCURRENCY, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.config import (
    NAME,
    PipedriveAccess,
    PipedriveAudience,
    PipedriveSettings,
    settings_of,
)
from cio_activation.destinations.pipedrive.deals import DealStep, RetiredDealsStep
from cio_activation.destinations.pipedrive.matching import LinksStep
from cio_activation.destinations.pipedrive.mirror import MirrorStep
from cio_activation.destinations.pipedrive.notes import NOTE, NoteStep, RetiredNotesStep
from cio_activation.destinations.pipedrive.outcome_fields import OutcomeFieldsStep
from cio_activation.destinations.pipedrive.persons import FieldsStep, fields_name
from cio_activation.destinations.pipedrive.reading_back import ReadingBack
from cio_activation.destinations.pipedrive.removed_fields import RemovedPersonFieldsStep
from cio_activation.destinations.pipedrive.schema_names import audiences_field
from cio_activation.destinations.pipedrive.wanted import find_field, wanted_fields
from cio_activation.journal.days import Meter
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection


class PipedriveDestination(ReadingBack):
    """Implements ``delivery.destination.Destination``."""

    name = NAME
    settings_model: type[BaseModel] = PipedriveSettings
    audience_model: type[BaseModel] = PipedriveAudience

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return mirror, links, fields and actions of every lane that delivers something here; last, what left.

        Where nothing is delivered any more the daily lane still takes people out of the audiences they are in.
        """
        lanes = [
            lane for lane in Lane if activation.lane_audiences(lane, NAME) or activation.lane_properties(lane, NAME)
        ]
        steps: list[Step] = []
        asking = [a for a in activation.audiences.values() if ACTIVITY.options_of(a) is not None]
        dealing = [a for a, _ in action_catalog.dealing(activation)]
        noting = [a for a in activation.audiences.values() if NOTE.options_of(a) is not None]
        for lane in lanes or [Lane.DAILY]:
            audiences = [a.name for a in activation.lane_audiences(lane, NAME)]
            steps += [MirrorStep(lane), LinksStep(lane), FieldsStep(lane, audiences)]
            emptied = human.has_step(activation, NAME, lane)
            steps += [OutcomeFieldsStep(activation, lane)] if emptied else []
            first = (fields_name(lane), human.step_name(lane)) if emptied else (fields_name(lane),)
            steps += [ActivityStep(a, first) for a in asking if a.lane is lane]
            steps += [NoteStep(a, (fields_name(lane),)) for a in noting if a.lane is lane]
            steps += [DealStep(a, (fields_name(lane),)) for a in dealing if a.lane is lane]
        retired = (RetiredActivitiesStep(asking), RetiredNotesStep(noting), RetiredDealsStep(dealing))
        return [*steps, *retired, RemovedPersonFieldsStep(activation)]

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
        key = wanted_fields(context.activation)[0]
        found = find_field(key, await PipedriveApi(client).person_fields(), {})
        return f"persons have the field {key.name} already" if found else None

    async def survey(self, client: VendorClient) -> Survey:
        """Return what the company shows to whoever writes the first activation."""
        return await survey.survey(client)

    def first_delivery(self, ask: FirstAsk | None) -> dict[str, Any]:
        """Return the options of an audience: its flag, and an activity where a human is asked."""
        return survey.first_delivery(ask)

    def forget_account(self, con: Connection) -> None:
        """Forget the mirror, what fields and records were ours, and the actions that were made."""
        con.execute("DELETE FROM delivery.actions WHERE destination = ?", [NAME])
        for table in ("persons", "mirror_state", "released", "field_codes"):
            con.execute(f"DELETE FROM delivery.pipedrive_{table}")

    def read_again(self, con: Connection) -> None:
        """Walk all persons again in the next run."""
        con.execute("DELETE FROM delivery.pipedrive_mirror_state")

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        """Create missing fields and options, and look up what actions need; ``context.catalog``: the last run's."""
        api = PipedriveApi(client)
        catalog = await schema.ensure_fields(api, context.activation, context.catalog)
        return catalog | await action_catalog.entries(api, context.activation)

    async def definitions(self, client: VendorClient, context: Context) -> Sequence[Definition]:
        """Return our person fields and options, and those under our prefix: one call."""
        return definitions.of(context.activation, await PipedriveApi(client).person_fields(), context.catalog)

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return problems with the token, its rights, the fields and the room for them; changes nothing."""
        return await checks.check(client, context)

    def notices(self, context: Context) -> list[str]:
        """Return whose e-mail address differs, by the mirror."""
        return differing_emails.advice(context)

    def record_of(self, address: str) -> str | None:
        """Return the person of an address: ``https://<company>.pipedrive.com/person/<id>``."""
        found = re.search(r"//[^/]*pipedrive\.com/persons?/(\d+)", address)
        return found[1] if found else None

    async def record_pages(self, client: VendorClient) -> str:
        """Return the company's address of persons."""
        return f"https://{(await PipedriveApi(client).me())['company_domain']}.pipedrive.com/person/"

    def fields(self, activation: Activation) -> Sequence[OwnedField]:
        """Return id, the field of audiences, properties, and what a person is made with."""
        flagged = [a for a in activation.audiences.values() if NAME in a.deliver]
        says = "who is in which of the audiences " + ", ".join(f"`{a.name}`" for a in flagged)
        first = {"name": "first_name last_name", "emails": "email", "phones": "phone"}
        edit = "our options are set again by the next run, others stay"
        audiences = [owned_fields.audience_field(audiences_field(activation), flagged, says, edit)] if flagged else []
        return [
            owned_fields.key_field(wanted_fields(activation)[0].name),
            *audiences,
            *owned_fields.property_fields(activation, NAME),
            *human.owned(activation),
            *owned_fields.first_fields(activation, first),
        ]

    async def advise(self, client: VendorClient, context: Context) -> list[str]:
        """Return whose token it is, which options were renamed or are of no audience, and whose e-mail differs."""
        api = PipedriveApi(client)
        fields = await api.person_fields()
        found = flags.advice(context.activation, fields, context.catalog).get(ADVICE, [])
        token = checks.whose_token(await api.me())
        return [token, *found, *checks.advice(context, fields), *self.notices(context)]


DESTINATION = PipedriveDestination()
"""What ``destinations.py`` registers."""
