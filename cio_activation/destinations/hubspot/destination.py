"""HubSpot as a destination: its options, its steps, its client, its limits, its check."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.delivery.definitions import Definition
from cio_activation.delivery.destination import Context, OwnedField, Step
from cio_activation.delivery.outcomes import OutcomeFields, OutcomesAsked
from cio_activation.delivery.outreach import OpenAction, Owner, PersonContext, SeenAction
from cio_activation.delivery.read_back import Comparable, SeenRecord
from cio_activation.delivery.survey import FirstAsk, Survey
from cio_activation.destinations.common import outcome_fields as human
from cio_activation.destinations.common import owned_fields
from cio_activation.destinations.common.people import lane_is_delivered
from cio_activation.destinations.hubspot import (
    api,
    checks,
    definitions,
    differing_emails,
    known_lists,
    outcome_fields,
    outreach,
    quota,
    reading_back,
    schema,
    survey,
)
from cio_activation.destinations.hubspot.config import (
    NAME,
    HubSpotAccess,
    HubSpotAudience,
    HubSpotSettings,
    asking_audiences,
    delivered_audiences,
    list_name,
    listed_audiences,
    noting_audiences,
    settings_of,
)
from cio_activation.destinations.hubspot.contact_links import LinksStep
from cio_activation.destinations.hubspot.errors import daily_limit_reached
from cio_activation.destinations.hubspot.lists import MembersStep
from cio_activation.destinations.hubspot.notes import NotesStep, RetiredNotesStep
from cio_activation.destinations.hubspot.properties import PropertiesStep
from cio_activation.destinations.hubspot.removed_fields import RemovedPropertiesStep
from cio_activation.destinations.hubspot.retired_lists import RetiredListsStep
from cio_activation.destinations.hubspot.task_checks import owner_advice
from cio_activation.destinations.hubspot.tasks import RetiredTasksStep, TasksStep
from cio_activation.journal.days import Meter
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection

SEARCH_PER_SECOND = 5.0
"""Search has a window of its own, shared by all apps of an account."""


class HubSpot:
    """Contacts, their properties, static lists, tasks and notes, over the dated API."""

    name = NAME
    settings_model: type[BaseModel] = HubSpotSettings
    audience_model: type[BaseModel] = HubSpotAudience
    read_at_once = api.MAX_BATCH
    heals_memberships = False

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return, for each lane that delivers anything: links, properties, lists, tasks, notes. Last, what left."""
        steps: list[Step] = []
        for lane in Lane:
            if lane_is_delivered(activation, NAME, lane, delivered_audiences(activation)):
                steps += [LinksStep(activation, lane), PropertiesStep(activation, lane)]
                steps += [MembersStep(audience) for audience in listed_audiences(activation, lane)]
                emptied = human.has_step(activation, NAME, lane)
                steps += [outcome_fields.OutcomeFieldsStep(activation, lane)] if emptied else []
                first = (human.step_name(lane),) if emptied else ()
                steps += [TasksStep(audience, first) for audience in asking_audiences(activation, lane)]
                steps += [NotesStep(audience) for audience in noting_audiences(activation, lane)]
        retired = (RetiredListsStep(), RetiredTasksStep(activation), RetiredNotesStep(activation))
        return [*steps, RemovedPropertiesStep(activation), *retired]

    def connect(self, settings: Settings, pacer: Pacer) -> AbstractAsyncContextManager[VendorClient]:
        """Return a client with the service key (or private app token) of the environment."""
        access = settings.access(HubSpotAccess)
        token = access.secret("hubspot_access_token")
        return VendorClient(
            NAME,
            access.hubspot_url,
            {"authorization": f"Bearer {token}"},
            pacer=pacer,
            spent=daily_limit_reached,
            daily_cost=lambda _operation: 1.0,
            max_connections=api.CONCURRENCY,
            timeout_s=settings.vendor_timeout_s,
            backoff_s=settings.vendor_backoff_s,
        )

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        """Return our share of the ten-second window and of search's own."""
        options = settings_of(activation)
        return {
            "default": (options.requests_per_10s * options.rate_share, 10.0),
            "search": (SEARCH_PER_SECOND * options.rate_share, 1.0),
        }

    def meter(self, activation: Activation, catalog: Mapping[str, Any]) -> Meter:
        """Return how the account's daily limit is counted."""
        return quota.meter(activation, catalog)

    async def account(self, client: VendorClient) -> str:
        """Return the portal's id."""
        return str((await api.account(client))["portalId"])

    async def ours_there(self, client: VendorClient, context: Context) -> str | None:  # noqa: ARG002
        """Return how many contacts carry our key."""
        carrying = await api.contacts_with_key(client) if api.KEY in await api.properties(client) else 0
        return f"{carrying:,} contacts carry {api.KEY}" if carrying else None

    async def take_key(self, client: VendorClient, people: Sequence[str]) -> None:
        """Empty ``cio_id`` on the contacts that carry one of ``people``."""
        for start in range(0, len(people), api.MAX_BATCH):
            found = await api.read_contacts(client, people[start : start + api.MAX_BATCH], [api.KEY], by=api.KEY)
            emptied = [{"id": str(row["id"]), "properties": {api.KEY: ""}} for row in found.results]
            if emptied:
                await api.update_contacts(client, emptied)

    async def survey(self, client: VendorClient) -> Survey:
        """Return what the account shows to whoever writes the first activation."""
        return await survey.survey(client)

    def first_delivery(self, ask: FirstAsk | None) -> dict[str, Any]:
        """Return the options of an audience: a list, and a task where a human is asked."""
        return survey.first_delivery(ask)

    def forget_account(self, con: Connection) -> None:
        """Forget which lists the acknowledged members are on, and the tasks and notes that were made."""
        con.execute("DELETE FROM delivery.hubspot_lists")
        con.execute("DELETE FROM delivery.actions WHERE destination = ?", [NAME])

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        """Create or extend property group, properties, options and lists; return the catalog."""
        return await schema.ensure_schema(client, context)

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return what is wrong with credential, scopes, properties, lists and limits; changes nothing."""
        return await checks.check(client, context)

    def fields(self, activation: Activation) -> Sequence[OwnedField]:
        """Return key, properties, lists, tasks, notes, and what a contact is made with."""
        edit = "stays until an audit finds it, or `resync --list`, or until the person enters or leaves"
        lists = [
            owned_fields.audience_field(f"list {list_name(a)}", [a], f"who is in the audience `{a.name}`", edit)
            for a in listed_audiences(activation)
        ]
        tasks = [
            owned_fields.audience_field(
                f"tasks of {a.label}", [a], f"what a human is asked to do for who enters `{a.name}`",
                "stays; a task that a human wrote into or took up is theirs",
            )
            for a in asking_audiences(activation)
        ]  # fmt: skip
        notes = [
            owned_fields.audience_field(
                f"notes of {a.label}", [a], f"what people should know about who enters `{a.name}`",
                "stays; a note that a human wrote into is theirs",
            )
            for a in noting_audiences(activation)
        ]  # fmt: skip
        first = {"email": "email", "firstname": "first_name", "lastname": "last_name", "phone": "phone"}
        return [
            owned_fields.key_field(api.KEY),
            *owned_fields.property_fields(activation, NAME),
            *human.owned(activation),
            *lists,
            *tasks,
            *notes,
            *owned_fields.first_fields(activation, first),
        ]

    def record_of(self, address: str) -> str | None:
        """Return the contact of an address: ``/contacts/<portal>/record/0-1/<id>``, or ``contact/<id>`` as of old."""
        found = re.search(r"//[^/]*hubspot\.com/contacts/\d+/(?:record/0-1|contact)/(\d+)", address)
        return found[1] if found else None

    async def record_pages(self, client: VendorClient) -> str:
        """Return the portal's address of contacts; of portals in Europe the host is another (``uiDomain``)."""
        found = await api.account(client)
        return f"https://{found.get('uiDomain') or 'app.hubspot.com'}/contacts/{found['portalId']}/record/0-1/"

    async def advise(self, client: VendorClient, context: Context) -> list[str]:
        """Return which lists are called something else there or are about to be retired, and whose e-mail differs."""
        lists = known_lists.advice(context, await known_lists.find(client, context))
        owners = await owner_advice(client, context)
        return lists + owners + await differing_emails.advice(client, context)

    async def definitions(self, client: VendorClient, context: Context) -> Sequence[Definition]:
        """Return our properties and lists, those under our prefix and those in our folder: four calls at most."""
        there, lists = await api.properties(client), await known_lists.known(client, context.catalog)
        strangers = await definitions.strangers(client, context, context.catalog)
        return definitions.of(context, context.catalog, there, lists, strangers)

    def asks(self, activation: Activation) -> bool:
        """Return whether an audience asks for a task or a note."""
        return bool(asking_audiences(activation) or noting_audiences(activation))

    async def owners(self, client: VendorClient, context: Context) -> list[Owner]:  # noqa: ARG002
        """Return all owners, deactivated ones too."""
        return await outreach.owners(client)

    async def actions(self, client: VendorClient, context: Context, open: Sequence[OpenAction]) -> list[SeenAction]:  # noqa: ARG002
        """Return what became of tasks; of notes nothing is asked."""
        return await outreach.actions(client, open)

    async def contexts(
        self, client: VendorClient, context: Context, records: Sequence[str], ours: Sequence[OpenAction]
    ) -> list[PersonContext]:
        """Return who has each contact, and whether somebody is on them."""
        return await outreach.contexts(client, context, records, {one.record_id for one in ours})

    async def comparable(self, client: VendorClient, context: Context) -> Comparable:
        """Return the properties that HubSpot does not calculate, and the sizes of our lists."""
        return await reading_back.comparable(client, context)

    async def records(
        self, client: VendorClient, context: Context, people: Mapping[str, str], fields: Sequence[str]
    ) -> list[SeenRecord]:
        """Return what contacts hold."""
        return await reading_back.records(client, context, people, fields)

    async def actions_back(
        self, client: VendorClient, context: Context, open: Sequence[OpenAction]
    ) -> list[SeenAction]:
        """Return what became of tasks."""
        return await self.actions(client, context, open)

    async def ever_filled(
        self, client: VendorClient, context: Context, asked: Mapping[str, Sequence[str]]
    ) -> set[tuple[str, str]]:
        """Return which properties have a history."""
        return await reading_back.ever_filled(client, context, asked)

    def members_of(self, client: VendorClient, context: Context, audience: str) -> AsyncIterator[Sequence[str]]:
        """Yield the members of a list, page by page."""
        return reading_back.members_of(client, context, audience)

    def acknowledged_members(self, context: Context) -> str:  # noqa: ARG002
        """Return who was acknowledged to be on which list."""
        return reading_back.acknowledged_members()

    def unsettled(self) -> str:
        """Return those whose contact is to be looked at by its id."""
        return reading_back.unsettled()

    def take_in(self, con: Connection, context: Context, repairs: str, seen: str) -> None:  # noqa: ARG002
        """Lay what was found over links, shadows and acknowledged members."""
        reading_back.take_in(con, repairs)

    async def outcomes(self, client: VendorClient, context: Context, asked: OutcomesAsked) -> list[OutcomeFields]:
        """Return what humans wrote into the fields of outcomes."""
        return await outcome_fields.outcomes(client, context, asked)


DESTINATION = HubSpot()
