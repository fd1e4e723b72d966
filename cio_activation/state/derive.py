"""Deriving a lane's state for a window: candidates only, validated, published in one transaction.

A person is a candidate when what their row is derived from changed (``source_hash``), when the clock passed the
row's ``next_transition_at``, or when there is no row yet. Every other row would come out the same, so leaving it
alone gives the table a full recompute gives; ``full=True`` proves it and counts what was missed (nothing). What
breaks the contract keeps what was there, see ``last_good``.

A window's first real-time run looks for candidates among everybody. Within the window its clock stands still, so the
runs that follow look among those only whom the change log names.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cio_activation.activation.models import ExpectNext, Lane
from cio_activation.activation.windows import Window
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation.state import backfill, last_good, median_gaps
from cio_activation.state.contract import LAYER, breaches
from cio_activation.state.distribution import distribution
from cio_activation.state.history import History
from cio_activation.state.sql import StateSql, hash_column
from cio_activation.warehouse import change_log, published, quarantine, stale
from cio_activation.warehouse.scope import EVERYONE, Scope, narrowed_to
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import exists, identifier, scalar, timestamp
from cio_activation.warehouse.tables import STATE_VERSIONS

__all__ = ["StateResult", "derive", "distribution"]

REDERIVE_SHARE = 0.3
"""With more candidates than this share of all people, writing a new table is cheaper than mending the old one."""


@dataclass(frozen=True)
class StateResult:
    """What one derivation did. ``missed`` is counted only by a full one and must be 0."""

    window_key: str
    rows: int = 0
    """People with a row now."""
    people_in_scope: int = 0
    """People among whom candidates were looked for."""
    candidates: int = 0
    changed: int = 0
    """Candidates whose values came out different (new people included)."""
    removed: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    missed: int | None = None
    rebuilt: bool = False
    """The definitions changed, so every row was derived into a new table."""
    superseded: bool = False
    """A newer window is published: nothing was; ``rows`` counts what was written beside the raw files, if anything."""


def derive(runtime: Runtime, window: Window, *, full: bool = False, run_id: str = "") -> StateResult:
    """Bring the state of ``window``'s lane to the window's end.

    Args:
        runtime: activation and warehouse.
        window: an older one than the newest published publishes nothing (see ``StateResult.superseded``).
        full: derive everybody again, and count rows that the incremental rule would have left wrong.
        run_id: noted in ``meta.published``.

    """
    statements = StateSql.of(runtime.activation, window.lane, window.as_of)
    with runtime.warehouse.write(yield_s=YIELD_S) as con:
        if published.superseded(con, statements.table(), window):
            rows = backfill.recompute(con, runtime, window)
            return StateResult(window.key, rows=rows, superseded=True)
        _require(con, statements.people)
        return _Derivation(con, runtime, window, statements, run_id).run(full=full)


class _Derivation:
    """One derivation inside one transaction."""

    def __init__(self, con: Connection, runtime: Runtime, window: Window, statements: StateSql, run_id: str) -> None:
        self.con = con
        self.activation = runtime.activation
        self.window = window
        self.sql = statements
        self.table = statements.table()
        self.quarantined: Counter[str] = Counter()
        self.run_id = run_id
        self.history = History(con, statements, window, run_id)

    def run(self, *, full: bool) -> StateResult:
        """Derive, validate and publish; see :func:`derive`."""
        median_gaps.refresh(self.con, self.sql)
        version = self.sql.version(self.con)
        rebuild = not self._has_table() or self._stored_version() != version
        scope = EVERYONE if rebuild or full else self._scope(version)
        quarantine.clear(self.con, LAYER, self.window)
        candidates, removed = (0, 0) if rebuild else self._find_candidates(scope)
        people = scope.size(self.con)
        people = self._count(self.sql.people) if people is None else people
        missed: int | None = None
        if rebuild or full or (scope.is_everyone and candidates > people * REDERIVE_SHARE):
            missed, changed = self._rederive(rebuild=rebuild, full=full)
            candidates = people if rebuild or full else candidates
        else:
            changed = self._mend() if candidates or removed else 0
        rows = self._count(self.table)
        self._store_version(version)
        self.history.forget()
        published.publish(self.con, self.table, self.window, rows, self.run_id, basis=version)
        quarantined = dict(sorted(self.quarantined.items()))
        return StateResult(self.window.key, rows, people, candidates, changed, removed, quarantined, missed, rebuild)

    def _scope(self, basis: str) -> Scope:
        """Return among whom candidates can be: within a real-time window those only whom a change touched since.

        Everybody where medians of everybody count, and while somebody is refused, who is to be refused and listed again
        by each derivation.
        """
        if (
            self.window.lane is not Lane.REALTIME
            or any(isinstance(p.rule, ExpectNext) for p in self.sql.properties)
            or quarantine.counts(self.con, LAYER, self.window)
        ):
            return EVERYONE
        people = published.changed_since(self.con, self.table, self.window, basis, (self.sql.people,))
        return EVERYONE if people is None else narrowed_to(self.con, people)

    def _find_candidates(self, scope: Scope) -> tuple[int, int]:
        """Fill ``candidates`` and ``removed`` (temporary, ``cio_id``); return their sizes.

        People that the source has twice have two rows here; both tables are only ever asked for membership.
        """
        due = f"s.next_transition_at <= {timestamp(self.window.as_of)}"
        self.con.execute(
            f"""CREATE OR REPLACE TEMP TABLE compared AS
            SELECT coalesce(i.cio_id, s.cio_id) AS cio_id, i.source_hash IS NULL AS gone
            FROM ({self.sql.inputs(only=scope.people)}) AS i
            FULL JOIN (FROM {self.table} WHERE true{scope.condition()}) AS s ON s.cio_id = i.cio_id
            WHERE s.source_hash IS DISTINCT FROM i.source_hash OR {due}"""
        )
        self.con.execute("CREATE OR REPLACE TEMP TABLE candidates AS SELECT cio_id FROM compared WHERE NOT gone")
        self.con.execute("CREATE OR REPLACE TEMP TABLE removed AS SELECT cio_id FROM compared WHERE gone")
        return self._count("candidates"), self._count("removed")

    def _mend(self) -> int:
        """Derive the candidates and put them in place of their old rows; return how many came out different."""
        before = last_good.before(self.con, self.sql)
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE staged AS {self.sql.select('candidates', before)}")
        self._refuse("staged", "SELECT cio_id FROM candidates")
        replaced = "cio_id IN (SELECT cio_id FROM staged UNION ALL SELECT cio_id FROM removed)"
        changed = self.history.note("staged", f"(FROM {self.table} WHERE {replaced})", rebuilt=False)
        self.con.execute(f"DELETE FROM {self.table} WHERE {replaced}")
        self.con.execute(f"INSERT INTO {self.table} BY NAME SELECT * FROM staged")
        stale.forget_without_row(self.con, self.table)
        change_log.note(self.con, self.table, "SELECT cio_id FROM staged UNION ALL SELECT cio_id FROM removed")
        return changed

    def _rederive(self, *, rebuild: bool, full: bool) -> tuple[int | None, int]:
        """Derive everybody into a new table and swap it in; return (rows missed, rows different)."""
        fresh = f"{self.table}__next"
        before = last_good.before(self.con, self.sql)
        self.con.execute(f"CREATE OR REPLACE TABLE {fresh} AS {self.sql.select(before=before)}")
        refused = self._refuse(fresh)
        changed, missed = self._count(fresh), self._missed(fresh) if full and not rebuild else None
        if refused:
            last_good.retain_rows(self.con, self.sql, fresh, f"SELECT key FROM {quarantine.REFUSED}")
        if self._has_table():
            differing = self.history.note(fresh, self.table, rebuilt=rebuild)
            changed = changed if rebuild else differing
        else:
            self.history.begin()
        self.con.execute(f"DROP TABLE IF EXISTS {self.table}")
        self.con.execute(f"ALTER TABLE {fresh} RENAME TO {identifier(self.table.split('.')[1])}")
        change_log.note(self.con, self.table, None)
        return missed, changed

    def _missed(self, fresh: str) -> int:
        """Count rows that are no candidates, yet come out different: what the incremental rule would get wrong."""
        compared = ["row_hash", "next_transition_at", "source_hash", *map(hash_column, self.activation.destinations)]
        # One hash of it all: joining the columns themselves takes twice the memory.
        whole = f"SELECT cio_id, hash({', '.join(map(identifier, compared))}) AS whole FROM"
        query = f"""SELECT count(*) FROM (
            SELECT n.cio_id FROM ({whole} {fresh}) AS n LEFT JOIN ({whole} {self.table}) AS s ON s.cio_id = n.cio_id
            WHERE n.whole IS DISTINCT FROM s.whole
        ) WHERE cio_id NOT IN (SELECT cio_id FROM candidates WHERE cio_id IS NOT NULL)"""
        return int(str(scalar(self.con, query)))

    def _refuse(self, relation: str, people: str | None = None) -> bool:
        """Refuse what breaks its contract in the rows of ``relation``; return whether whole rows were.

        ``people`` is a SELECT of whom ``relation`` is about, None if that is everybody.
        """
        found = breaches(self.con, self.activation, self.window.lane, relation) if self._count(relation) else []
        self.con.execute(f"CREATE OR REPLACE TEMP TABLE {quarantine.REFUSED} (key VARCHAR)")
        self.quarantined.update(last_good.refuse(self.con, self.sql, self.window, relation, found, people))
        return bool(self._count(quarantine.REFUSED))

    def _count(self, relation: str) -> int:
        return int(str(scalar(self.con, f"SELECT count(*) FROM {relation}")))

    def _has_table(self) -> bool:
        return exists(self.con, self.table)

    def _stored_version(self) -> str | None:
        rows = self.con.execute(
            f"SELECT version FROM {STATE_VERSIONS} WHERE lane = ?", [self.window.lane.value]
        ).fetchall()
        return rows[0][0] if rows else None

    def _store_version(self, version: str) -> None:
        if self._stored_version() != version:
            self.con.execute(f"DELETE FROM {STATE_VERSIONS} WHERE lane = ?", [self.window.lane.value])
            self.con.execute(
                f"INSERT INTO {STATE_VERSIONS} (lane, version, since, window_key, activation) VALUES (?, ?, ?, ?, ?)",
                [self.window.lane.value, version, self.window.as_of, self.window.key, self.history.activation],
            )


def _require(con: Connection, people: str) -> None:
    if not exists(con, people):
        raise ContractError(f"{people} is not there yet; materialize the customerio people of this lane first")
