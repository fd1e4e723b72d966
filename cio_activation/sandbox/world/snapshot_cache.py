"""Keeps the snapshots of a world: what is worked out for everyone, and again only for whom somebody acted on.

The facts of everyone at one instant are a *base*, a table that never changes and lives as long as a snapshot shows it.
Whoever is acted on after that has the newest facts in a table beside it, so one action costs one person's facts.

A base of a small world is used for its own second only. In a large world it serves some seconds longer
(:data:`PEOPLE_PER_SECOND`), and the next one is worked out beside the calls: a million people cost seconds. What
people do shows at once also there; what only time does (a cart is two hours old) shows that much later. How soon
the vendor lets time move people is not documented (fact sheet, section 4); every second for everybody it is not.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping

import duckdb

from cio_activation.sandbox.world.snapshot import Base, Snapshot, Table

PEOPLE_PER_SECOND = 20_000
"""For every so many people, a base serves for one more second; below that, for its own second."""
SNAPSHOTS_RETAINED = 4
BASES_RETAINED = 2
"""Bases of a large world: the newest, and the one before for who asks about just before."""
FEW = 100
"""People; a base is done with once more than these and a twentieth of everyone were acted on."""


class SnapshotCache:
    """The snapshots of a world of about ``people`` people.

    ``facts`` returns SQL for the rows of a snapshot at an instant, of those for whom a condition over ``person`` holds;
    it and everything here that the world calls needs ``lock`` to be held, but :meth:`at` takes it itself.
    """

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lock: threading.RLock,
        facts: Callable[[int, str], str],
        picked: Callable[[], dict[int, frozenset[str]]],
        custom: Mapping[str, Mapping[str, str]],
        people: int,
    ) -> None:
        self.serves_s = people // PEOPLE_PER_SECOND
        """Seconds that a base is used for beyond its own."""
        self._con, self._lock, self._facts, self._picked, self._custom = con, lock, facts, picked, custom
        self._many = max(FEW, people // 20)
        self._retained = BASES_RETAINED if self.serves_s else SNAPSHOTS_RETAINED
        self._bases: list[Base] = []
        self._snapshots: OrderedDict[int, Snapshot] = OrderedDict()
        self._touched: dict[str, tuple[str, int]] = {}
        self._actions = 0
        self._names = itertools.count(1)
        self._working = threading.Lock()

    def at(self, at: int) -> Snapshot:
        """Return the snapshot of everyone at ``at``, seconds since the epoch."""
        with self._lock:
            if (snapshot := self._snapshots.get(at)) is not None and not self._late(snapshot.base, at):
                return snapshot
            if (base := self._serving(at)) is not None:
                if self._late(base, at) and not self._working.locked():
                    threading.Thread(target=self._work_out, args=(at,), name="base", daemon=True).start()
                return self._snapshot_of(at, base)
        base = self._work_out(at)
        with self._lock:
            return self._snapshot_of(at, base)

    def _snapshot_of(self, at: int, base: Base) -> Snapshot:
        snapshot = self._snapshots.get(at)
        if snapshot is None or snapshot.base is not base:
            while len(self._snapshots) >= SNAPSHOTS_RETAINED:
                self._snapshots.popitem(last=False)
            snapshot = self._snapshots[at] = self._make(at, base)
        return snapshot

    def touch(self, cio_id: str, person: str) -> None:
        """Note that a person's facts have changed, or that there is one more or one less."""
        self._actions += 1
        self._touched[cio_id] = (person, self._actions)
        self.forget_snapshots()

    def forget_snapshots(self) -> None:
        """Note that what is not in a base has changed."""
        self._snapshots.clear()

    def _late(self, base: Base, at: int) -> bool:
        return at - base.at > self.serves_s

    def _serving(self, at: int) -> Base | None:
        """Return the newest base that may still stand for ``at``: late ones do while the next is worked out."""
        for base in reversed(self._bases):
            if 0 <= at - base.at <= 2 * self.serves_s and len(self._since(base)) <= self._many:
                return base
        return None

    def _since(self, base: Base) -> dict[str, str]:
        return {c: person for c, (person, action) in self._touched.items() if action > base.seen}

    def _work_out(self, at: int) -> Base:
        with self._working:
            with self._lock:
                base = self._serving(at)
                if base is not None and not self._late(base, at):
                    return base
                while len(self._bases) >= self._retained:
                    self._bases.pop(0)
                con = self._con.cursor()
                con.execute("BEGIN")
                con.execute("SELECT 1 FROM people LIMIT 1").fetchall()  # from here on the transaction sees this world
                seen, sql = self._actions, self._facts(at, "TRUE")
            name = f"base_{next(self._names)}"
            con.execute(f"CREATE TABLE {name} AS {sql} ORDER BY cio_id")
            con.execute("COMMIT")
            base = Base(Table(self._con, name), at, seen)
            with self._lock:
                self._bases.append(base)
                oldest = min(b.seen for b in self._bases)
                self._touched = {c: known for c, known in self._touched.items() if known[1] > oldest}
            return base

    def _make(self, at: int, base: Base) -> Snapshot:
        touched = self._since(base)
        beside = None
        if touched:
            beside = Table(self._con, f"beside_{next(self._names)}")
            persons = ", ".join("'" + person.replace("'", "''") + "'" for person in touched.values())
            gone = ", ".join(f"('{cio_id}')" for cio_id in touched)
            self._con.execute(
                f"""
                CREATE TABLE {beside.name} AS
                SELECT t.cio_id AS touched, f.* FROM (VALUES {gone}) AS t(cio_id)
                LEFT JOIN ({self._facts(at, f"person IN ({persons})")}) AS f ON f.cio_id = t.cio_id
                """
            )
        return Snapshot(at, self._con, base, beside, self._custom, self._picked())
