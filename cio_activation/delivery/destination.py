"""What a destination is to the rest of the project: a name, options, and an ordered list of steps.

A third destination is one package that offers a :class:`Destination` and one line in ``destinations.py``.
``delivery`` runs the steps; it never imports a vendor. A step's life in one run::

    prepare (vendor reads, warehouse closed) -> absorb (warehouse) -> plan (warehouse, no vendor)
        -> send (journal + vendor, warehouse closed) -> fold (warehouse)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier

EXIT = 1000
"""From this priority on an operation takes something back: it leaves an audience, clears fields. These go first."""


@dataclass(slots=True)
class Operation:
    """One intended change at a destination, as planned. ``payload`` holds logical names and values.

    Never changed once made; not ``frozen``, since that makes reading a plan file a third slower.

    ``operation_id`` is a pure function of destination, step, kind, person, target and payload.
    ``keys`` are the match keys a creation may need: ``cio_id``, ``external_id``, ``email``, ``phone``, ``name``.
    """

    operation_id: str
    step: str
    kind: str
    cio_id: str
    record_id: str | None
    target: str | None
    payload: Mapping[str, Any]
    keys: Mapping[str, str | None] = field(default_factory=dict)
    row_hash: int | None = None
    """Hash of the person's whole desired row; becomes the shadow's hash when this is delivered."""
    priority: int = 0
    before: Mapping[str, Any] = field(default_factory=dict)
    """Logical name -> what the destination last acknowledged; names it never acknowledged are left out."""
    in_doubt: Sequence[Mapping[str, Any]] = ()
    """Payloads sent since then whose outcome was never learned: the record may hold any of them."""
    current: Mapping[str, Any] = field(default_factory=dict)
    """Logical name -> what the record holds now, as far as that is known without asking."""

    @property
    def creates(self) -> str | None:
        """What this operation brings into being, as a key of the journal's claims; None for absolute writes."""
        if self.kind != "create":
            return None
        # A record that was deleted at the destination may be made anew, once: that is another creation.
        previous = self.keys.get("previous_record")
        return f"person:{self.cio_id}" + (f":after:{previous}" if previous else "")


class End(StrEnum):
    """How one attempt to send an operation ended."""

    DELIVERED = "delivered"
    REJECTED = "rejected"  # the vendor refused this record, with a reason
    UNNEEDED = "unneeded"  # nothing was left to write; settled as it is
    RETRY = "retry"  # surely not applied; planned again by a later run
    UNKNOWN = "unknown"  # may have been applied; looked up before it is tried again


@dataclass(frozen=True)
class Result:
    """The end of one operation's attempt.

    ``observed`` is what the vendor said the record now holds, if it did; under ``ownership.CONFLICTS`` what was not
    written because a human changed it.
    """

    operation_id: str
    end: End
    reason: str | None = None
    record_id: str | None = None
    status: int | None = None
    request_id: str | None = None
    observed: Mapping[str, Any] = field(default_factory=dict)
    frees: str | None = None
    """Claim of an earlier creation (``Operation.creates``) whose record is gone: it may be made again."""


@dataclass(frozen=True)
class Context:
    """What a step may know while it works."""

    settings: Settings
    activation: Activation
    window: Window | None
    catalog: Mapping[str, Any] = field(default_factory=dict)
    """Vendor ids of schema objects by our name (``list:vip`` -> list id), as the schema step stored them."""
    among: str | None = None
    """Relation of the ``cio_id`` of those for whom a step that ``narrows`` has to plan; None: everybody."""

    def rows(self, con: Connection, table: str) -> str:
        """Return a relation: the rows of ``table`` (with ``cio_id``) that a plan is made from, and ``@place``.

        Of few people they are gathered once: a plan asks for some tables three times, and each look is at all rows.
        """
        if self.among is None:
            return f'(SELECT *, rowid AS "@place" FROM {table})'
        gathered = identifier(f"{self.among} of {table}")
        con.execute(
            f"""CREATE TEMP TABLE IF NOT EXISTS {gathered} AS
            SELECT *, rowid AS "@place" FROM {table} SEMI JOIN {self.among} USING (cio_id)"""
        )
        return gathered


Rows = Callable[[str], str]
"""``Context.rows`` on one connection."""


class Step(Protocol):
    """One deliver asset: what it needs, how it is planned, sent and folded."""

    name: str
    """Unique within the destination; becomes the asset name: ``properties_daily``, ``list/vip``."""
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

    narrows: bool
    """It can plan for the people in ``Context.among`` only, and then gives what it gives of them for everybody."""

    def objects(self, context: Context) -> tuple[str, ...]:
        """Return the keys of ``context.catalog`` it writes to; a plan that finds one missing is held."""

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

    def plan(self, con: Connection, context: Context) -> str | None:
        """Return a SELECT giving one row per operation (columns of ``delivery.plan.COLUMNS``); None plans nothing."""

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Settle operations that were sent and never answered: look creations up, give absolute writes back.

        One result per operation: DELIVERED (found at the vendor, adopted) or RETRY (surely not there).
        """

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send one batch; return exactly one result per operation. Raises only VendorError (whole batch)."""

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Update links and shadow from ``finished``, a relation of ended attempts (``delivery.fold.COLUMNS``)."""


class AbsoluteStep:
    """Defaults for a step that reads nothing first and only makes writes that may be repeated."""

    tokens_per_call = 0
    late_creation_doubles = False
    narrows = False

    def objects(self, context: Context) -> tuple[str, ...]:
        """Need nothing of the catalog."""
        return ()

    def movements(self, con: Connection, context: Context, planned: str) -> str | None:
        """Move no audience."""
        return None

    async def prepare(self, client: VendorClient, context: Context) -> list[dict[str, Any]]:
        """Read nothing."""
        return []

    def absorb(self, con: Connection, context: Context, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store nothing."""

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Give everything back: the next plan compares with the shadow and sends it again if it is still wanted."""
        return [Result(o.operation_id, End.RETRY, "the outcome was never learned; planned again") for o in open]


class Destination(Protocol):
    """A place that decisions are delivered to."""

    name: str
    settings_model: type[BaseModel]
    """Options under ``destinations: <name>:`` of the activation."""
    audience_model: type[BaseModel]
    """Options under ``audiences: <audience>: deliver: <name>:``."""

    def steps(self, activation: Activation) -> Sequence[Step]:
        """Return the steps, in an order that respects ``after``."""

    def connect(self, settings: Settings, pacer: Pacer) -> AbstractAsyncContextManager[VendorClient]:
        """Return a client; ConfigError if a credential is missing."""

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        """Return bucket -> (units, seconds) of the vendor's own windows, our share of them already applied."""

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        """Create or extend fields, options and lists; return the catalog. Calls do not grow with people."""

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        """Return problems with credentials, scopes and field drift, each with its mend; changes nothing."""
