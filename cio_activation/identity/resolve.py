"""Resolving identity: who each profile is to a CRM, by whom the change log names; seldom of everybody.

Both ways give the same table. Looked at is whoever changed, and of them decided anew whose keys or names did, with all
who share a match key with them before or after. Everybody is where the rules are others than those of the last time,
where it is not known who changed, and every ``CHECKED_EVERY`` days, to count whom the few left wrong: nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.errors import ContractError
from cio_activation.identity import ownership, phones, touched
from cio_activation.identity.contract import persons_schema
from cio_activation.identity.persons import (
    COMPARED,
    LAYER,
    NEXT,
    bad_keys_sql,
    basis,
    keyed_sql,
    learn_emails,
    persons_sql,
)
from cio_activation.identity.withheld import undeliverable
from cio_activation.runtime import Runtime
from cio_activation.warehouse import change_log, published, quarantine
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import exists, scalar
from cio_activation.warehouse.tables import PEOPLE_CURRENT, PERSONS
from cio_activation.warehouse.validation import validate

CHECKED_EVERY = 28
"""Days from one daily window to the next that resolves everybody too, and says whether the few were enough."""


@dataclass(frozen=True)
class IdentityResult:
    """What one resolution came to. ``rows`` counts all persons, ``people_in_scope`` those decided in this run."""

    window_key: str
    rows: int = 0
    people_in_scope: int = 0
    changed: int = 0
    deliverable: int = 0
    key_clashes: int = 0
    undeliverable: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    missed: int | None = None
    """Persons whom resolving few left other than resolving everybody; counted by a check only, and must be 0."""
    superseded: bool = False


def resolve(runtime: Runtime, window: Window, run_id: str = "", *, whole: bool = False) -> IdentityResult:
    """Publish ``identity.persons`` and ``identity.key_clashes`` for the people known now.

    ``whole``: of everybody, whoever changed. A window older than the lane's newest published one publishes nothing.
    """
    activation = runtime.activation
    region = activation.workspace.default_region
    parsed: list[tuple[str, str | None]] = []
    while True:
        with runtime.warehouse.write(yield_s=YIELD_S) as con:
            _check_people(con)
            if published.superseded(con, PERSONS, window):
                return IdentityResult(window.key, superseded=True)
            phones.remember(con, parsed, region)
            scoped = not whole and _find_scope(con, activation, window)
            unknown = phones.unknown_phones(con, touched.ROWS if scoped else PEOPLE_CURRENT, region)
            if not unknown:
                return (
                    _scoped(con, activation, window, run_id) if scoped else _everyone(con, activation, window, run_id)
                )
        # Parsing is slow and needs no warehouse: others may have it meanwhile.
        parsed = phones.parse(unknown, region)


def is_checked(window: Window) -> bool:
    """Return whether everybody is resolved in this window too."""
    return window.lane is Lane.DAILY and window.start.toordinal() % CHECKED_EVERY == 0


def _find_scope(con: Connection, activation: Activation, window: Window) -> bool:
    """List who is looked at; return False where everybody has to be.

    The real-time lane looks at whom it fetched, whatever the rules were: the daily lane knows all the others.
    """
    if window.lane is Lane.REALTIME:
        if published.newest(con, PERSONS) is None:
            return False
        touched.take_fetched(con, activation)
        return True
    last = published.last(con, PERSONS, window.lane.value)
    return last is not None and last.basis == basis(con, activation) and touched.take_changed(con, activation, last)


def _everyone(con: Connection, activation: Activation, window: Window, run_id: str) -> IdentityResult:
    quarantine.clear(con, LAYER, window)
    _build_everyone(con, activation, window)
    quarantine.enter(con, LAYER, window, bad_keys_sql(PEOPLE_CURRENT, activation))
    _refuse_breaches(con, window)
    people_in_scope, changed = _counts(con)
    key_clashes = ownership.list_key_clashes(con, window)
    change_log.note(
        con,
        PERSONS,
        f"SELECT cio_id FROM {NEXT} WHERE _changed "
        f"UNION ALL SELECT cio_id FROM {PERSONS} WHERE cio_id NOT IN (SELECT cio_id FROM {NEXT})",
    )
    con.execute(f"ALTER TABLE {NEXT} DROP COLUMN _changed")
    con.execute(f"DROP TABLE {PERSONS}")
    con.execute(f"ALTER TABLE {NEXT} RENAME TO persons")
    return _result(con, activation, window, run_id, people_in_scope, changed, key_clashes)


def _build_everyone(con: Connection, activation: Activation, window: Window) -> None:
    """Fill ``NEXT`` with everybody."""
    learn_emails(con, PEOPLE_CURRENT)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ownership.KEYED} AS {keyed_sql(PEOPLE_CURRENT, activation)}")
    ownership.find_losers(con)
    con.execute(persons_sql(PEOPLE_CURRENT, activation, window))


def _scoped(con: Connection, activation: Activation, window: Window, run_id: str) -> IdentityResult:
    _carry_quarantine(con, window)
    touched.gather(con, activation)
    ownership.find_losers(con)
    # A person at the rim shares a key with someone rebuilt, not with someone touched: its own row stands.
    con.execute(persons_sql(touched.REBUILT_ROWS, activation, window))
    quarantine.enter(con, LAYER, window, bad_keys_sql(touched.TOUCHED_ROWS, activation))
    _refuse_breaches(con, window)
    people_in_scope, changed = _counts(con)
    key_clashes = ownership.list_key_clashes(con, window, keys="SELECT match_key, value FROM identity_keys")
    rebuilt = f"SELECT cio_id FROM {touched.REBUILT}"
    again = f"{touched.AS_BEFORE} WHERE differs AND cio_id NOT IN ({rebuilt})"
    noted = (
        f"SELECT cio_id FROM {NEXT} WHERE _changed UNION ALL SELECT cio_id FROM {PERSONS} "
        f"WHERE cio_id IN ({rebuilt}) AND cio_id NOT IN (SELECT cio_id FROM {NEXT})"
    )
    if window.lane is Lane.REALTIME:  # for a few carts it costs nothing to have their steps see all that is new of them
        noted = f"{rebuilt} UNION ALL SELECT cio_id FROM {again}"
    change_log.note(con, PERSONS, noted)
    con.execute(f"DELETE FROM {PERSONS} WHERE cio_id IN ({rebuilt} UNION ALL SELECT cio_id FROM {again})")
    con.execute(f"INSERT INTO {PERSONS} BY NAME SELECT * EXCLUDE (_changed) FROM {NEXT}")
    con.execute(f"INSERT INTO {PERSONS} BY NAME SELECT * EXCLUDE (differs) FROM {again}")
    con.execute(f"DROP TABLE {NEXT}")
    found = _result(con, activation, window, run_id, people_in_scope, changed, key_clashes)
    if not is_checked(window):
        return found
    missed = count_missed(con, activation, window)
    return replace(_everyone(con, activation, window, run_id), missed=missed) if missed else replace(found, missed=0)


def count_missed(con: Connection, activation: Activation, window: Window) -> int:
    """Return how many persons are other than resolving everybody would have them; leaves ``identity.persons`` alone."""
    _build_everyone(con, activation, window)
    verdict = validate(con, f"SELECT * FROM {NEXT} WHERE _changed", persons_schema())
    refused = [breach.key for breach in verdict.breaches]
    # One hash of it all: joining the columns themselves takes twice the memory.
    whole = f"SELECT cio_id, hash({', '.join(COMPARED)}) AS whole FROM"
    missed = scalar(
        con,
        f"""SELECT count(*) FROM ({whole} {NEXT}) AS n FULL JOIN ({whole} {PERSONS}) AS p ON p.cio_id = n.cio_id
        WHERE n.whole IS DISTINCT FROM p.whole AND coalesce(n.cio_id, p.cio_id) NOT IN (SELECT unnest(?::VARCHAR[]))""",
        [[key for key in refused if key is not None]],
    )
    con.execute(f"DROP TABLE {NEXT}")
    return int(str(missed))


def _carry_quarantine(con: Connection, window: Window) -> None:
    """Have the window list what the lane's last one did, but for whoever is looked at now."""
    in_scope = f"SELECT cio_id FROM {touched.IN_SCOPE}"
    last = published.last(con, PERSONS, window.lane.value)
    if window.lane is Lane.REALTIME or last is None or last.window_key == window.key:
        quarantine.clear(con, LAYER, window, people=in_scope)
    else:
        quarantine.clear(con, LAYER, window)
        quarantine.carry(con, LAYER, window, last.window_key, but=in_scope)


def _refuse_breaches(con: Connection, window: Window) -> None:
    """Check changed persons against the identity schema; who breaks it goes into quarantine and stays as they were."""
    verdict = validate(con, f"SELECT * FROM {NEXT} WHERE _changed", persons_schema())
    if quarantine.refuse(con, LAYER, window, NEXT, verdict.breaches):
        con.execute(
            f"INSERT INTO {NEXT} BY NAME SELECT *, FALSE AS _changed FROM {PERSONS} "
            f"WHERE cio_id IN (SELECT key FROM {quarantine.REFUSED})"
        )


def _counts(con: Connection) -> tuple[int, int]:
    rows = con.execute(f"SELECT count(*), count(*) FILTER (_changed) FROM {NEXT}").fetchall()
    return int(rows[0][0]), int(rows[0][1])


def _result(
    con: Connection,
    activation: Activation,
    window: Window,
    run_id: str,
    people_in_scope: int,
    changed: int,
    key_clashes: int,
) -> IdentityResult:
    rows = int(str(scalar(con, f"SELECT count(*) FROM {PERSONS}")))
    published.publish(con, PERSONS, window, rows, run_id, basis=basis(con, activation))
    withheld = undeliverable(con)
    return IdentityResult(
        window.key,
        rows,
        people_in_scope,
        changed,
        rows - sum(withheld.values()),
        key_clashes,
        withheld,
        quarantine.counts(con, LAYER, window),
    )


def _check_people(con: Connection) -> None:
    if not exists(con, PEOPLE_CURRENT):
        raise ContractError("there are no people yet; materialize customerio/people first")
