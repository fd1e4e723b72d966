"""Customer.io as a destination: its options, its steps, its client, its limits, its check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from pydantic import BaseModel

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.customerio.check import region_problems
from cio_activation.customerio.limits import LIMITS
from cio_activation.delivery.destination import Context, OwnedField, Step
from cio_activation.destinations.customerio import failures, segments
from cio_activation.destinations.customerio.config import NAME, CustomerioSettings, lanes_of, settings_of
from cio_activation.destinations.customerio.desired import attributes
from cio_activation.destinations.customerio.flags import OutreachFlagsStep
from cio_activation.destinations.customerio.track import (
    ACTIVE,
    AUDIENCE,
    BUCKET,
    OUTCOME,
    UNTIL,
    TrackClient,
    region,
)
from cio_activation.transport.errors import OutcomeUnknown, VendorError
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import OUTREACH_FLAGS


class Customerio:
    """A few attributes of people whom somebody is asked to act for, by the Track API."""

    name = NAME
    settings_model: type[BaseModel] = CustomerioSettings
    audience_model: type[BaseModel] | None = None
    """Nothing is delivered here that a property or an audience could name: it follows from the actions."""

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return one step a lane."""
        return [OutreachFlagsStep(lane) for lane in lanes_of(activation)] if NAME in activation.destinations else []

    def connect(self, settings: Settings, pacer: Pacer) -> AbstractAsyncContextManager[VendorClient]:
        """Return a client that can update these attributes and nothing else."""
        return TrackClient(settings, pacer)

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        """Return our share of the Track API's fair use, beside what all that reads by the App API shares."""
        options = settings_of(activation)
        return {BUCKET: (options.requests_per_second * options.rate_share, 1.0), **LIMITS}

    async def account(self, client: VendorClient) -> str:
        """Return the workspace's id, the same that people are read from."""
        found = (await region(client)).get("environment_id")
        if found is None:
            raise OutcomeUnknown("the answer has no 'environment_id'", vendor=NAME, operation="account.region")
        return str(found)

    async def ours_there(self, client: VendorClient, context: Context) -> str | None:  # noqa: ARG002
        """Return nothing: no cheap read tells who carries an attribute."""
        return None

    def forget_account(self, con: Connection) -> None:
        """Forget what was acknowledged there."""
        con.execute(f"DELETE FROM {OUTREACH_FLAGS}")

    def write_again(self, con: Connection) -> int:
        """Have the next plan write the attributes of everybody who was ever marked."""
        con.execute(f"UPDATE {OUTREACH_FLAGS} SET in_doubt = true")
        return int(str(scalar(con, f"SELECT count(*) FROM {OUTREACH_FLAGS}")))

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:  # noqa: ARG002
        """Return the attributes' names; Customer.io makes an attribute when it is first written."""
        prefix = settings_of(context.activation).attribute_prefix
        return {f"attribute:{name}": f"{prefix}{name}" for name in attributes(context.activation)}

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return what is wrong with the Track API's credential and region; changes nothing."""
        try:
            return region_problems(context.settings, await region(client))
        except VendorError as error:
            return [
                f"{error}; see whether CUSTOMERIO_TRACK_SITE_ID and CUSTOMERIO_TRACK_API_KEY are of this workspace, "
                "CUSTOMERIO_REGION and CUSTOMERIO_TRACK_URL are right and Customer.io is up"
            ]

    def fields(self, activation: Activation) -> Sequence[OwnedField]:
        """Return the attributes."""
        prefix = settings_of(activation).attribute_prefix
        says = {
            ACTIVE: "true while somebody is asked to act for the person, false afterwards",
            AUDIENCE: "the audience they are asked for, the newest of several; removed afterwards",
            UNTIL: "when that ends at the latest, in seconds since 1970; removed afterwards",
            OUTCOME: "what a human said came of the last outreach; removed when somebody is asked anew",
        }
        when, edit = "by the first run of either lane after it changed", "overwritten by our next change"
        names = attributes(activation)
        return [OwnedField(f"{prefix}{name}", says[name], "cio_activation", when, edit) for name in names]

    async def advise(self, client: VendorClient, context: Context) -> list[str]:
        """Return which source segments ask for these attributes, and of whom they were not applied."""
        assert isinstance(client, TrackClient)
        return [*await segments.advice(client.pacer, context), *self.notices(context)]

    def notices(self, context: Context) -> list[str]:
        """Return of how many people the attributes were taken there and not applied."""
        return failures.notices(context)


DESTINATION = Customerio()
