"""An audit of one destination: choose, read back, compare, and lay what was found over what was believed.

    choose (warehouse) -> read (vendor, warehouse closed, into a file) -> compare, treat, note (one transaction)

Nothing is believed before that transaction: an audit that dies leaves a file that the next one throws away.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.audit import choosing, comparing, treating
from cio_activation.audit.interval import interval, require_statistics
from cio_activation.audit.reading import Reading, read
from cio_activation.delivery import catalog
from cio_activation.delivery.accounts import require_account
from cio_activation.delivery.destination import Context, Destination
from cio_activation.delivery.outreach import OpenAction
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.read_back import ReadsBack, TellsHistory
from cio_activation.errors import ConfigError
from cio_activation.journal.attempts import Journal
from cio_activation.journal.leases import lease
from cio_activation.runtime import Runtime
from cio_activation.transport import event_loop
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import scalar

HISTORIES = 5_000
"""Cleared fields at most whose history is asked for, to tell them from what never arrived."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What one audit came to."""

    audit_id: str
    destination: str
    window_key: str
    population: int
    """People who have a record there."""
    records: int
    """Records that were read."""
    compared: int
    """Of these, those of which nothing is in doubt or on its way."""
    deviating: int
    """Of these, those with at least one finding."""
    low: float
    """The share of all records that deviate is between this ..."""
    high: float
    """... and this, 95 times in 100; both are the share itself where all were compared."""
    actions: int
    """Actions that were read."""
    calls: int
    findings: Mapping[str, int] = field(default_factory=dict)
    """``<kind> <subject>`` -> how many."""
    treatments: Mapping[str, int] = field(default_factory=dict)
    note: str | None = None


def audited(destinations: Sequence[Destination], names: Sequence[str]) -> list[Destination]:
    """Return those of ``names`` that can be read back."""
    return [d for d in destinations if d.name in names and isinstance(d, ReadsBack)]


def audit(
    runtime: Runtime, destination: Destination, run_id: str, *, sample: int | None, calls: int | None = None
) -> Audit:
    """Audit ``sample`` people of ``destination`` (all of them if None) by at most about ``calls`` calls.

    The same people for the same newest delivered window. Raises ConfigError where nothing was delivered yet, or
    the library for intervals is not there, and VendorError where the vendor cannot be read; nothing is noted then.
    """
    if not isinstance(destination, ReadsBack):
        raise ConfigError(f"{destination.name} cannot be read back: its package offers no reading by ids")
    require_statistics()
    with (
        closing(Journal(runtime.settings.journal)) as journal,
        lease(journal, f"{destination.name}/audit") as mine,
        mine.renewed(),
    ):
        work = _Audit(runtime, destination, journal, run_id, sample, calls)
        try:
            return work.run()
        finally:
            work.throw_away()


class _Audit:
    """One audit, under its lease."""

    def __init__(
        self, runtime: Runtime, destination: Destination, journal: Journal, run_id: str, sample: int | None,
        calls: int | None,
    ) -> None:  # fmt: skip
        assert isinstance(destination, ReadsBack)
        self._runtime, self._destination, self._reads = runtime, destination, destination
        self._journal, self._run_id, self._sample, self._most = journal, run_id, sample, calls
        folder = runtime.settings.raw_dir / "audits"
        self._chosen, self._seen = folder / f"{destination.name}.parquet", folder / f"{destination.name}.ndjson"
        self.throw_away()  # of one that was killed
        self._started = _now()

    def run(self) -> Audit:
        """Do the whole of it; see :func:`audit`."""
        name = self._destination.name
        with self._runtime.warehouse.read() as con:
            window = newest_window(con, name)
            context = Context(self._runtime.settings, self._runtime.activation, window, catalog.read(con, name))
            population = choosing.choose(con, name, window.key, self._sample, self._chosen)
            actions = choosing.open_actions(con, name, self._chosen)
        found, blanks, calls = event_loop.run(self._call(context, actions))
        # First whom the journal has: what is sent after this is in the ledger with a later end than the reading.
        at_work = self._journal.people_at_work(name)
        with self._runtime.warehouse.write(yield_s=YIELD_S) as con:
            self._compare(con, context, found, at_work)
            comparing.never_arrived(con, blanks)
            for audience, listed in found.members.items():
                comparing.strangers(con, name, audience, listed)
            treating.treat(con, self._destination, context)
            treating.note_deleted(con, name, context, found.deleted)
            return self._note(con, window, found, population, calls)

    def throw_away(self) -> None:
        """Delete what was read: it is personal data twice."""
        for path in (self._chosen, self._seen):
            path.unlink(missing_ok=True)

    async def _call(
        self, context: Context, actions: Mapping[str, Sequence[OpenAction]]
    ) -> tuple[Reading, set[tuple[str, str]] | None, int]:
        """Read back; then ask which of the fields that are empty were never anything else (None: it does not tell)."""
        pacer = pacer_for(self._runtime.activation, self._journal, self._destination, str(Lane.DAILY), context.catalog)
        async with self._destination.connect(self._runtime.settings, pacer) as client:
            await require_account(self._runtime, self._destination, client, context)
            found = await read(
                self._reads, client, context,
                chosen=self._chosen, seen=self._seen, actions=actions, calls=self._most, lists=self._sample is None,
            )  # fmt: skip
            blanks = await self._blanks(client, context, found)
            return found, blanks, sum(client.calls.made.values())

    async def _blanks(self, client: VendorClient, context: Context, found: Reading) -> set[tuple[str, str]] | None:
        if not isinstance(self._destination, TellsHistory):
            return None
        with self._runtime.warehouse.read() as con:
            self._compare(con, context, found, ())
            cleared = con.execute(
                f"""SELECT record_id, name FROM deviations WHERE kind = 'cleared' AND subject = 'field'
                ORDER BY record_id, name LIMIT {HISTORIES}"""
            ).fetchall()
        asked: dict[str, list[str]] = {}
        for record_id, name in cleared:
            asked.setdefault(str(record_id), []).append(str(name))
        before = await self._destination.ever_filled(client, context, asked) if asked else set()
        return {(record, name) for record, names in asked.items() for name in names} - before

    def _compare(self, con: Connection, context: Context, found: Reading, at_work: Sequence[str] | set[str]) -> None:
        comparing.compare(con, self._reads, self._destination.name, context, found.comparable, self._seen, at_work)

    def _note(self, con: Connection, window: Window, found: Reading, population: int, calls: int) -> Audit:
        audit_id = f"{self._destination.name}-{uuid.uuid4().hex[:12]}"
        compared = _count(con, "SELECT count(DISTINCT cio_id) FROM compared")
        deviating = _count(con, "SELECT count(DISTINCT cio_id) FROM treated WHERE cio_id IS NOT NULL")
        low, high = interval(deviating, compared, population)
        left_out = [f"{name} was left out: {why}" for name, why in found.comparable.left_out.items()]
        note = "; ".join([*([found.ended_early] if found.ended_early else []), *left_out]) or None
        con.execute(
            "INSERT INTO delivery.audits VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [audit_id, self._run_id, self._destination.name, window.key, window.as_of, self._started, _now(),
             population, found.records, compared, deviating, low, high, found.actions, calls, note],
        )  # fmt: skip
        con.execute(
            """INSERT INTO delivery.audit_findings BY NAME
            SELECT ? AS audit_id, ? AS run_id, ? AS destination, ? AS window_key, ? AS found_at,
                   kind, treatment, subject, name, cio_id, record_id, ours, theirs
            FROM treated""",
            [audit_id, self._run_id, self._destination.name, window.key, _now()],
        )
        counts = con.execute(
            "SELECT kind || ' ' || subject, count(*) FROM treated GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        treatments = con.execute("SELECT treatment, count(*) FROM treated GROUP BY ALL ORDER BY ALL").fetchall()
        return Audit(
            audit_id=audit_id, destination=self._destination.name, window_key=window.key, population=population,
            records=found.records, compared=compared, deviating=deviating, low=low, high=high, actions=found.actions,
            calls=calls, findings=dict(counts), treatments=dict(treatments), note=note,
        )  # fmt: skip


def newest_window(con: Connection, destination: str) -> Window:
    """Return the newest window that was planned for ``destination``; ConfigError if there is none."""
    rows = con.execute(
        """SELECT lane, window_key, window_end FROM delivery.plans WHERE destination = ?
        ORDER BY lane = 'daily' DESC, window_end DESC LIMIT 1""",
        [destination],
    ).fetchall()
    if not rows:
        raise ConfigError(f"nothing was delivered to {destination} yet, so there is nothing to audit")
    lane, key, end = rows[0]
    at = end.replace(tzinfo=UTC)
    return Window(Lane(lane), str(key), at, at)


def _count(con: Connection, query: str) -> int:
    return int(str(scalar(con, query)))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
