"""Options of this destination in ``activation.yaml``; unknown keys are refused with a mend by the loader."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from cio_activation.activation.actions import ActionOptions, Ask
from cio_activation.activation.base import Duration, Model
from cio_activation.activation.models import Activation, DestinationLimits, OnConflict
from cio_activation.activation.settings import Access
from cio_activation.destinations.common.people import CreatePeople, OnDeleted
from cio_activation.destinations.common.removed_fields import OnRemoval

NAME = "pipedrive"


class PipedriveAccess(Access):
    """How to get into Pipedrive; from the environment."""

    pipedrive_api_token: SecretStr | None = None
    pipedrive_url: str = "https://api.pipedrive.com"


class PipedriveSettings(DestinationLimits):
    """``destinations: pipedrive:``."""

    requests_per_2s: Annotated[int, Field(ge=1)] = 40
    """The plan's burst for an API token in a rolling 2 s: Lite 20, Growth 40, Premium 100, Ultimate 120."""
    daily_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens a day that this project may use of the company's; by default ``rate_share`` of what Pipedrive's answers
    say the company has. A change of a person costs 5."""
    create_people: CreatePeople = CreatePeople.AUDIENCE_MEMBERS
    """Who is created in Pipedrive: everyone, audience_members (in at least one audience now), or never."""
    on_conflict: OnConflict = OnConflict.OVERWRITE
    """Fields under our prefix are ours: the next change overwrites what a human typed. keep leaves it, and lists it as
    a conflict; the comparison is with the mirror and costs nothing. A property may say otherwise for itself."""
    on_deleted: OnDeleted = OnDeleted.LEAVE
    """Somebody whose person was deleted in Pipedrive gets none again, and is listed; recreate makes it anew while the
    deleted one can be restored there (30 days). Nobody can tell a purged one from an erased one."""
    on_removal: OnRemoval = OnRemoval.CLEAR
    """Values of a property that left the activation are cleared wherever we wrote them; leave lets them stand. Of
    people who left Customer.io they are cleared in either case."""
    audience_field: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Name of the one field that holds all audiences of a person, under workspace.prefix: ``cio_segment``;
    ``cio_audiences`` by default. Another name later renames the field, and people keep what they have in it."""
    recent_contact: Duration = timedelta(days=7)
    """Somebody with whom mail was exchanged so short a while ago is being handled: nobody else is asked to act."""
    max_custom_fields: Annotated[int, Field(ge=2)] | None = None
    """Most custom fields this project may take; the plan's cap counts all entities of the company together."""


class ActivityOptions(ActionOptions):
    """A Pipedrive activity for every person who enters."""

    type: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] = "call"
    """The key of an activity type of the company: call, meeting, task, email, or one of its own."""


class PipedriveAudience(Model):
    """``audiences: <audience>: deliver: pipedrive:``."""

    not_built = frozenset({"note", "deal"})

    flag: Literal[True] = True
    """The audience is an option of the one set field that holds all audiences of a person."""
    activity: ActivityOptions | None = None
    """Ask a human to act, once an entry."""

    @property
    def asks_somebody(self) -> bool:
        """Whether a human is asked to act."""
        return self.activity is not None

    @property
    def ask(self) -> Ask | None:
        """Who acts, and how long they have."""
        return Ask.of(self.activity) if self.activity is not None else None


def settings_of(activation: Activation) -> PipedriveSettings:
    """Return this destination's settings in ``activation``, already validated by the loader."""
    settings = activation.destinations[NAME]
    if not isinstance(settings, PipedriveSettings):
        return PipedriveSettings.model_validate(settings or {})
    return settings
