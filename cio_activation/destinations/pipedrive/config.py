"""Options of this destination in ``activation.yaml``; unknown keys are refused with a mend by the loader."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from cio_activation.activation.actions import ActionOptions, Ask, named_in
from cio_activation.activation.base import Duration, Model, Name
from cio_activation.activation.models import Activation, DestinationLimits, OnConflict
from cio_activation.activation.settings import Access
from cio_activation.destinations.common.actions.note_options import NoteOptions
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


class DealMode(StrEnum):
    """What is done about deals."""

    CREATE = "create"
    MOVE_EXISTING = "move_existing"


class DealEnd(StrEnum):
    """What becomes of a deal nobody touched since when its reason ends."""

    WON = "won"
    LOST = "lost"
    LEAVE = "leave"


class DealOptions(Model):
    """A deal for every person who enters, or the one they have moved on."""

    mode: DealMode
    """create makes one, once an entry; move_existing moves the person's one open deal of the pipeline forward. Who has
    several is listed, and nothing is guessed."""
    pipeline: Annotated[str, Field(min_length=1)]
    """Its name or id."""
    stage: Annotated[str, Field(min_length=1)]
    """Its name or id. A deal is never moved backwards, nor after a human moved it."""
    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Of a new deal; by default the audience's label. {cart_value} stands for the person's value."""
    value: Name | None = None
    """Attribute or property that holds what it is worth, in workspace.currency."""
    on_end: DealEnd = DealEnd.LEAVE
    max_open_per_organization: Annotated[int, Field(ge=1)] | None = None
    """No new deal where the person's organization has so many open ones, anybody's."""


class PipedriveAudience(Model):
    """``audiences: <audience>: deliver: pipedrive:``."""

    flag: Literal[True] = True
    """The audience is an option of the one set field that holds all audiences of a person."""
    activity: ActivityOptions | None = None
    """Ask a human to act, once an entry."""
    note: NoteOptions | None = None
    """Tell people something, once an entry, where an activity would be too much."""

    deal: DealOptions | None = None
    """Make a deal, or move the one there is."""

    @property
    def asks_somebody(self) -> bool:
        """Whether a human is asked to act; a note or a deal leads to it too."""
        return any(one is not None for one in (self.activity, self.note, self.deal))

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the attributes and properties that its texts show."""
        shown = list(self.activity.placeholders() if self.activity else ())
        shown += named_in(self.note.body) if self.note else ()
        if self.deal is not None:
            shown += [*named_in(self.deal.title), *([self.deal.value] if self.deal.value else [])]
        return tuple(dict.fromkeys(shown))

    @property
    def ask(self) -> Ask | None:
        """Who acts, and how long they have."""
        moves = self.deal is not None and self.deal.mode is DealMode.MOVE_EXISTING
        return Ask.of(self.activity, ("open_deal",) if moves else ()) if self.activity is not None else None


def settings_of(activation: Activation) -> PipedriveSettings:
    """Return this destination's settings in ``activation``, already validated by the loader."""
    settings = activation.destinations[NAME]
    if not isinstance(settings, PipedriveSettings):
        return PipedriveSettings.model_validate(settings or {})
    return settings
