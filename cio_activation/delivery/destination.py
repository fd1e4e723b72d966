"""What a destination is to the rest of the project: a name, options, and an ordered list of steps.

A third destination is one package that offers a :class:`Destination` and one line in ``destinations/__init__.py``.
``delivery`` runs the steps; it never imports a vendor. A step's life in one run::

    prepare (vendor reads, warehouse closed) -> absorb, refresh, plan (warehouse, no vendor)
        -> send (journal + vendor, warehouse closed) -> fold (warehouse)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.journal.days import Meter
from cio_activation.journal.operations import End, Kind, Operation, Result
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.scope import EVERYONE, Scope
from cio_activation.warehouse.sessions import Connection

EXIT = 1000
"""From this priority on an operation takes something back: it leaves an audience, clears fields. These go first."""
UNLEARNED = "the outcome was never learned; planned again"
"""Reason of an attempt that was sent and given back without a certain end."""
FOUND_DONE = "no answer, but found as wanted"
"""Reason of a write that never got an answer and that a look-up found done."""
NOT_MADE = "not made; planned again"
"""Reason of a creation without an answer that was looked for and not found."""


@dataclass(frozen=True)
class Context:
    """What a step may know while it works."""

    settings: Settings
    activation: Activation
    window: Window | None
    catalog: Mapping[str, Any] = field(default_factory=dict)
    """Vendor ids of schema objects by our name (``list:vip`` -> list id), as the schema step stored them."""
    scope: Scope = EVERYONE
    """For whom a step that ``reads`` something has to plan."""


@dataclass(frozen=True)
class Limit:
    """What a vendor documents of the values of one property."""

    longest: int | None = None
    """Characters of a text."""
    below: float | None = None
    """What a number, without its sign, has to be less than; one that is not finite never is."""


class Step(Protocol):
    """One deliver asset: what it needs, how it is planned, sent and folded."""

    name: str
    """Unique within the destination; becomes the asset name: ``properties_daily``, ``list/vip``."""
    kinds: tuple[Kind, ...]
    """Every kind of operation it plans."""
    lane: Lane | None
    """None for steps without partitions (schema)."""
    description: str
    after: tuple[str, ...]
    """Names of steps of this destination that come first."""
    needs: tuple[str, ...]
    """Asset keys of the deciding rooms it reads, joined by ``/``: ``state/daily_properties``."""
    batch_size: int
    concurrency: int
    tokens_per_call: int
    """What one call takes of a daily budget that the vendor counts in tokens; 0 where it counts none."""

    late_creation_doubles: bool
    """A creation that the vendor commits after ``recover`` looked for it would be made a second time."""
    flags: tuple[str, ...]
    """Names in a payload that say who a record is to us and which audiences it is in: after a refusal they go first."""

    def limits(self, context: Context) -> Mapping[str, Limit]:
        """Return property name -> what the vendor documents that a value of it may be; those without one are left out.

        A value beyond it is not sent; the rest of its operation is.
        """

    def reads(self, context: Context) -> tuple[str, ...]:
        """Return the tables with ``cio_id`` that its plan is made from, person by person.

        A step that names them is planned for the people in ``context.scope`` only, and then gives what it gives of
        them for everybody; it reads these tables as ``context.scope.rows(table)``. One that names none is always
        planned for everybody.
        """

    def objects(self, context: Context) -> tuple[str, ...]:
        """Return the keys of ``context.catalog`` it writes to; a plan that finds one missing is held."""

    def predecessors(self, context: Context) -> Sequence[Step]:
        """Return steps that are no more and whose work it goes on with: what they sent is settled before it plans."""

    def movements(self, con: Connection, context: Context, planned: str) -> str | None:
        """Return a SELECT of how the plan moves audiences, None if it does not: one row a person and audience moved.

        Columns: ``audience``, ``cio_id``, ``enters`` (else leaves), ``acknowledged`` (people the destination has in
        the audience). ``planned`` is a relation of operations (``delivery.plan.COLUMNS``), all of the plan's or some.
        Called after ``plan``, on the same connection.
        """

    async def prepare(self, client: VendorClient, context: Context) -> list[dict[str, Any]]:
        """Read what planning needs from the vendor; return rows for ``absorb``. Most steps return ``[]``."""

    def absorb(self, con: Connection, context: Context, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store what ``prepare`` read, in the warehouse."""

    def refresh(self, con: Connection, context: Context) -> None:
        """Bring up to date what the plan compares with: match people, make tables, forget what no longer holds.

        Called before ``plan`` in the same transaction, for everybody whatever the scope.
        """

    def plan(self, con: Connection, context: Context) -> str | None:
        """Return a SELECT giving one row per operation (columns of ``delivery.plan.COLUMNS``); None plans nothing.

        Changes nothing.
        """

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Settle operations that were sent and never answered: look creations up, give absolute writes back.

        One result per operation: DELIVERED (found at the vendor, adopted) or RETRY (surely not there).
        """

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send one batch; return exactly one result per operation. Raises only VendorError (whole batch)."""

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Update links and shadow from ``finished``, a relation of ended attempts (``delivery.fold.COLUMNS``)."""

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Return steps to run at once in the same window, in this order, because of what was folded; mostly none.

        Asked after a run of the step, and after what it named was run, until it names none (a few times at most).
        """


@runtime_checkable
class Stages(Protocol):
    """A step whose plan is made from temporary tables of its own."""

    def stage(self, con: Connection, context: Context) -> None:
        """Fill those for ``context.scope``, others for some people than for everybody; called before ``plan``."""


@runtime_checkable
class LooksUp(Protocol):
    """A step whose vendor can be asked what a record holds, where a write gets no answer again and again."""

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Return DELIVERED for the writes that one reading finds done; leave out the others. Writes nothing."""


@runtime_checkable
class FollowsActions(Protocol):
    """A step that tells elsewhere what humans were asked to do: it comes after all steps of its lane that ask them."""

    follows_actions: bool


class AbsoluteStep:
    """Defaults for a step that reads nothing first and only makes writes that may be repeated."""

    tokens_per_call = 0
    late_creation_doubles = False
    flags: tuple[str, ...] = ()

    def limits(self, context: Context) -> Mapping[str, Limit]:
        """Know of no limits."""
        return {}

    def reads(self, context: Context) -> tuple[str, ...]:
        """Name no table: the plan is always for everybody."""
        return ()

    def objects(self, context: Context) -> tuple[str, ...]:
        """Need nothing of the catalog."""
        return ()

    def predecessors(self, context: Context) -> Sequence[Step]:
        """Go on with nobody's work."""
        return ()

    def movements(self, con: Connection, context: Context, planned: str) -> str | None:
        """Move no audience."""
        return None

    async def prepare(self, client: VendorClient, context: Context) -> list[dict[str, Any]]:
        """Read nothing."""
        return []

    def absorb(self, con: Connection, context: Context, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store nothing."""

    def refresh(self, con: Connection, context: Context) -> None:
        """Compare with what is there."""

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Follow up nothing."""
        return ()

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Give everything back: the next plan compares with the shadow and sends it again if it is still wanted."""
        return [Result(o.operation_id, End.RETRY, UNLEARNED) for o in open]


class Destination(Protocol):
    """A place that decisions are delivered to."""

    name: str
    settings_model: type[BaseModel]
    """Options under ``destinations: <name>:`` of the activation."""

    @property
    def audience_model(self) -> type[BaseModel] | None:
        """Options under ``audiences: <audience>: deliver: <name>:``; None: it is given no property and no audience."""

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return the steps, in an order that respects ``after``."""

    def connect(self, settings: Settings, pacer: Pacer) -> AbstractAsyncContextManager[VendorClient]:
        """Return a client; ConfigError if a credential is missing."""

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        """Return bucket -> (units, seconds) of the vendor's own windows, our share of them already applied."""

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        """Create or extend fields, options and lists; return the catalog. Calls do not grow with people.

        What it had to make again adds an entry ``delivery.resync.ANEW``, so that it is filled; what it found of ours or
        under our prefix goes under ``delivery.definitions.FOUND``.
        """

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return problems with credentials, scopes and field drift, each with its mend; changes nothing."""


@runtime_checkable
class IdentifiesAccount(Protocol):
    """A destination that can tell which account a credential opens: record ids mean something in one only."""

    async def account(self, client: VendorClient) -> str:
        """Return the vendor's own id of the account, by one cheap read."""

    async def ours_there(self, client: VendorClient, context: Context) -> str | None:
        """Return in words what of ours the account holds already ("12 contacts carry cio_id"); None: nothing.

        At most two cheap reads; asked for at first contact.
        """

    def forget_account(self, con: Connection) -> None:
        """Forget what tables of its own hold of the account: ids of lists and fields, mirrored records."""


@runtime_checkable
class CarriesKey(Protocol):
    """A destination whose records keep our key when all else of ours is taken back, so that they are found again."""

    async def take_key(self, client: VendorClient, people: Sequence[str]) -> None:
        """Take the key off the records of ``people`` (``cio_id``), who are forgotten. Again, it changes nothing."""


@runtime_checkable
class KeepsAcknowledged(Protocol):
    """A destination that keeps what was acknowledged in a table of its own, beside the lanes' shadows."""

    def write_again(self, con: Connection) -> int:
        """Have the next plan write all of it anew; return of how many records that is."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A destination whose records are mirrored here, changes only being read."""

    def read_again(self, con: Connection) -> None:
        """Forget up to where it was read, so that the next run reads all of it."""


@runtime_checkable
class Metered(Protocol):
    """A destination whose vendor counts by the day."""

    def meter(self, activation: Activation, catalog: Mapping[str, Any]) -> Meter:
        """Return how it counts; ``catalog`` is what the schema step stored."""


@dataclass(frozen=True)
class OwnedField:
    """One field of a destination's records that is written, for people to read."""

    name: str
    """As the destination calls it."""
    source: str
    """What it holds, and what of the person that comes from."""
    owner: str
    changes: str
    """When we write it."""
    edit: str
    """What becomes of a human's edit."""
    of_property: str | None = None
    """The property it delivers, if it is one."""


@runtime_checkable
class TellsFields(Protocol):
    """A destination that can say whose its fields are."""

    def fields(self, activation: Activation) -> Sequence[OwnedField]:
        """Return every field that is written with this activation; calls nobody."""


@runtime_checkable
class ReadsAddresses(Protocol):
    """A destination whose records a person may name by the address of their page."""

    def record_of(self, address: str) -> str | None:
        """Return the id of the person's record that ``address`` shows; None if it is no page of one here."""


@runtime_checkable
class GivesAddresses(Protocol):
    """A destination that can say at which address a person finds a record."""

    async def record_pages(self, client: VendorClient) -> str:
        """Return the address of a person's record without its id, which comes last; one call."""


@runtime_checkable
class Advising(Protocol):
    """A destination that has more to say than what is wrong."""

    async def advise(self, client: VendorClient, context: Context) -> list[str]:
        """Return what a person may want to know of lists, fields and options; reads only, and no error."""


@runtime_checkable
class Noticing(Protocol):
    """A destination whose tables here tell something that a person may want to know."""

    def notices(self, context: Context) -> list[str]:
        """Return it, by the warehouse alone; nothing is wrong."""


def meters(activation: Activation, destinations: Sequence[Destination], catalog: Mapping[str, Any]) -> dict[str, Meter]:
    """Return the meters of those of ``destinations`` that have one, by name."""
    return {
        d.name: d.meter(activation, catalog)
        for d in destinations
        if d.name in activation.destinations and isinstance(d, Metered)
    }
