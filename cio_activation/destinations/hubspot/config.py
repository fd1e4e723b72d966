"""What an activation may say about HubSpot: ``destinations: hubspot:`` and ``audiences: ...: deliver: hubspot:``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, SecretStr

from cio_activation.activation.actions import ActionOptions, Ask, named_in
from cio_activation.activation.base import Duration, Model
from cio_activation.activation.models import Activation, Audience, DestinationLimits, Lane, OnConflict
from cio_activation.activation.settings import Access
from cio_activation.destinations.common.actions.note_options import NoteOptions
from cio_activation.destinations.common.people import CreatePeople, OnDeleted
from cio_activation.destinations.common.removed_fields import OnRemoval

NAME = "hubspot"
ASKED = "asked:"
"""How the key of an audience that asks, or ever asked, for tasks begins in the catalog."""


class HubSpotAccess(Access):
    """How to get into HubSpot; from the environment."""

    hubspot_access_token: SecretStr | None = None
    """A service key, or the token of a private app."""
    hubspot_url: str = "https://api.hubapi.com"


class HubSpotSettings(DestinationLimits):
    """Settings of the destination ``hubspot``."""

    requests_per_10s: Annotated[int, Field(ge=1, le=1000)] = 190
    """The account's own limit: 100 on Free and Starter, 190 on Professional and Enterprise, more with the add-on."""
    requests_per_day: Annotated[int, Field(ge=1)] | None = None
    """The account's own daily limit, shared by all its apps; by default what HubSpot's answers say it is. Of it, too,
    ``rate_share`` is ours."""
    create_people: CreatePeople = CreatePeople.EVERYONE
    """For whom a contact is made when HubSpot has none: everyone, audience_members or never."""
    list_folder: Annotated[str, Field(min_length=1)] = "Customer.io audiences"
    """Folder that new lists are put into; made if it is not there."""
    retire_lists_after: Duration | None = timedelta(days=30)
    """How long the emptied list of an audience that left the activation stays before it is deleted (HubSpot can restore
    it for 90 days more); null keeps it for good."""
    on_conflict: OnConflict = OnConflict.OVERWRITE
    """Properties under our prefix are ours: the next change overwrites what a human typed. keep leaves it, and lists
    it as a conflict; it reads before it writes, one call per 100 people. A property may say otherwise for itself."""

    on_deleted: OnDeleted = OnDeleted.LEAVE
    """Somebody whose contact was deleted in HubSpot gets none again, and is listed; recreate makes it anew while the
    deleted one lies in the recycle bin (90 days). Nobody can tell a purged one from an erased one."""
    on_removal: OnRemoval = OnRemoval.CLEAR
    """Values of a property that left the activation are cleared wherever we wrote them; leave lets them stand. Of
    people who left Customer.io they are cleared in either case."""
    recent_contact: Duration = timedelta(days=7)
    """Whom a human called, wrote to or met so recently, as HubSpot's notes_last_contacted says, is being handled."""


class TaskType(StrEnum):
    """How HubSpot files a task."""

    TODO = "todo"
    CALL = "call"
    EMAIL = "email"


class TaskOptions(ActionOptions):
    """A HubSpot task for every person who enters."""

    type: TaskType = TaskType.TODO


class HubSpotAudience(Model):
    """How one audience is delivered to HubSpot."""

    list: bool = True
    """Keep a static list of the members."""
    new_list: bool = False
    """A new version of the audience gets a list of its own and the old one is emptied and retired; by default the list
    goes on under the new version's name, because workflows hang on its id."""
    task: TaskOptions | None = None
    """Ask a human to act, once an entry."""
    note: NoteOptions | None = None
    """Tell people something, once an entry, where a task would be too much."""

    @property
    def asks_somebody(self) -> bool:
        """Whether a human is asked to act; a note leads to it too."""
        return self.task is not None or self.note is not None

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Return the attributes and properties that its texts show."""
        shown = (*(self.task.placeholders() if self.task else ()), *(named_in(self.note.body) if self.note else ()))
        return tuple(dict.fromkeys(shown))

    @property
    def ask(self) -> Ask | None:
        """Who acts, and how long they have."""
        return Ask.of(self.task) if self.task is not None else None


def settings_of(activation: Activation) -> HubSpotSettings:
    """Return HubSpot's settings in ``activation``; defaults where it has none."""
    found = activation.destinations.get(NAME)
    return found if isinstance(found, HubSpotSettings) else HubSpotSettings.model_validate(found or {})


def listed_audiences(activation: Activation, lane: Lane | None = None) -> tuple[Audience, ...]:
    """Return the audiences (of ``lane``) that are delivered as a list, in file order."""
    lanes = (lane,) if lane else tuple(Lane)
    found = [a for one in lanes for a in activation.lane_audiences(one, NAME)]
    return tuple(a for a in found if options_of(a).list)


def asking_audiences(activation: Activation, lane: Lane | None = None) -> tuple[Audience, ...]:
    """Return the audiences (of ``lane``) that ask a human to act by a task, in file order."""
    lanes = (lane,) if lane else tuple(Lane)
    return tuple(a for one in lanes for a in activation.lane_audiences(one, NAME) if options_of(a).task is not None)


def delivered_audiences(activation: Activation, lane: Lane | None = None) -> tuple[Audience, ...]:
    """Return the audiences (of ``lane``) whose members need a contact: a list, a task or a note, in file order."""
    lanes = (lane,) if lane else tuple(Lane)
    found = [a for one in lanes for a in activation.lane_audiences(one, NAME)]
    return tuple(a for a in found if options_of(a).list or options_of(a).asks_somebody)


def noting_audiences(activation: Activation, lane: Lane | None = None) -> tuple[Audience, ...]:
    """Return the audiences (of ``lane``) that leave a note, in file order."""
    lanes = (lane,) if lane else tuple(Lane)
    return tuple(a for one in lanes for a in activation.lane_audiences(one, NAME) if options_of(a).note is not None)


def task_of(audience: Audience) -> TaskOptions | None:
    """Return the task that ``audience`` asks for here; None: it asks for none."""
    return options_of(audience).task if NAME in audience.deliver else None


def note_of(audience: Audience) -> NoteOptions | None:
    """Return the note that ``audience`` asks for here; None: it asks for none."""
    return options_of(audience).note if NAME in audience.deliver else None


def asked(activation: Activation, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalog's entries of the audiences that ask, or ever asked, for tasks."""
    before = {key: value for key, value in catalog.items() if key.startswith(ASKED)}
    return before | {f"{ASKED}{audience.name}": "task" for audience in asking_audiences(activation)}


def list_name(audience: Audience) -> str:
    """Return the name we give an audience's list. It is known by its id: somebody may call it something else."""
    return f"{audience.label} [v{audience.version}]"


def options_of(audience: Audience) -> HubSpotAudience:
    """Return how ``audience`` is delivered to HubSpot."""
    return HubSpotAudience.model_validate(_plain(audience.deliver[NAME]))


def _plain(options: object) -> object:
    return {} if options is None else options
