"""Resolving identity: who each profile is to a CRM. The daily lane decides everyone, the real-time one whom it fetched.

Both give the same table: the real-time lane takes the people it fetched, everyone who shares a match key with
them before or after, and decides these keys anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.windows import Window
from cio_activation.errors import ContractError
from cio_activation.identity import ownership, phones
from cio_activation.identity.contract import persons_schema
from cio_activation.identity.persons import NEXT, bad_keys_sql, keyed_sql, learn_emails, persons_sql
from cio_activation.identity.withheld import undeliverable
from cio_activation.runtime import Runtime
from cio_activation.warehouse import change_log, published, quarantine
from cio_activation.warehouse.sessions import YIELD_S, Connection
from cio_activation.warehouse.sql import exists, scalar
from cio_activation.warehouse.tables import PEOPLE_CURRENT, PEOPLE_GONE, PEOPLE_LIVE, PERSONS
from cio_activation.warehouse.validation import validate

LAYER = "identity"
_TOUCHED = "identity_touched"
_TOUCHED_ROWS = "identity_touched_rows"
_REBUILD = "identity_rebuild"
_SCOPE = f"(SELECT * FROM {PEOPLE_CURRENT} WHERE cio_id IN (SELECT cio_id FROM {_REBUILD}))"


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
    superseded: bool = False


def resolve(runtime: Runtime, window: Window, run_id: str = "") -> IdentityResult:
    """Publish ``identity.persons`` and ``identity.key_clashes`` for the people known now.

    A window older than the lane's newest published one publishes nothing.
    """
    activation = runtime.activation
    region = activation.workspace.default_region
    with runtime.warehouse.write(yield_s=YIELD_S) as con:
        _check_people(con)
        if published.superseded(con, PERSONS, window):
            return IdentityResult(window.key, superseded=True)
        whole = window.lane is Lane.DAILY or published.newest(con, PERSONS) is None
        if not whole:
            _list_touched(con)
        unknown = phones.unknown_phones(con, PEOPLE_CURRENT if whole else _TOUCHED_ROWS, region)
        if not unknown and not whole:
            return _touched_only(con, activation, window, run_id)
    # Parsing is slow and needs no warehouse: others may have it meanwhile.
    parsed = phones.parse(unknown, region)
    with runtime.warehouse.write(yield_s=YIELD_S) as con:
        phones.remember(con, parsed, region)
        if whole:
            return _everyone(con, activation, window, run_id)
        _list_touched(con)
        return _touched_only(con, activation, window, run_id)


def _everyone(con: Connection, activation: Activation, window: Window, run_id: str) -> IdentityResult:
    quarantine.clear(con, LAYER, window)
    learn_emails(con, PEOPLE_CURRENT)
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ownership.KEYED} AS {keyed_sql(PEOPLE_CURRENT, activation)}")
    ownership.find_losers(con)
    con.execute(persons_sql(PEOPLE_CURRENT, activation, window))
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
    return _result(con, window, run_id, people_in_scope, changed, key_clashes)


def _touched_only(con: Connection, activation: Activation, window: Window, run_id: str) -> IdentityResult:
    quarantine.clear(con, LAYER, window, people=f"SELECT cio_id FROM {_TOUCHED}")
    _gather(con, activation)
    ownership.find_losers(con)
    learn_emails(con, _SCOPE)
    # A person at the rim shares a key with someone rebuilt, not with someone touched: its own row stands.
    con.execute(persons_sql(_SCOPE, activation, window))
    quarantine.enter(con, LAYER, window, bad_keys_sql(_TOUCHED_ROWS, activation))
    _refuse_breaches(con, window)
    people_in_scope, changed = _counts(con)
    key_clashes = ownership.list_key_clashes(con, window, keys="SELECT match_key, value FROM identity_keys")
    con.execute(f"DELETE FROM {PERSONS} WHERE cio_id IN (SELECT cio_id FROM {_REBUILD})")
    con.execute(f"INSERT INTO {PERSONS} BY NAME SELECT * EXCLUDE (_changed) FROM {NEXT}")
    con.execute(f"DROP TABLE {NEXT}")
    change_log.note(con, PERSONS, f"SELECT cio_id FROM {_REBUILD}")
    return _result(con, window, run_id, people_in_scope, changed, key_clashes)


def _list_touched(con: Connection) -> None:
    """List who differs from what was last resolved: fetched by the real-time lane, or gone; and their raw rows."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS "
        f"SELECT l.cio_id FROM {PEOPLE_LIVE} AS l "
        f"LEFT JOIN {PERSONS} AS p ON p.cio_id = l.cio_id WHERE p.source_hash IS DISTINCT FROM l.content_hash "
        f"UNION SELECT p.cio_id FROM {PERSONS} AS p WHERE p.cio_id IN (SELECT cio_id FROM {PEOPLE_GONE}) "
        f"AND p.cio_id NOT IN (SELECT cio_id FROM {PEOPLE_LIVE})"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_TOUCHED_ROWS} AS "
        f"SELECT * FROM {PEOPLE_CURRENT} WHERE cio_id IN (SELECT cio_id FROM {_TOUCHED})"
    )


def _gather(con: Connection, activation: Activation) -> None:
    """Fill ``identity_keys`` and ``identity_keyed`` with all that the touched people's keys depend on.

    Two steps out: whoever shares a key with a touched person is rebuilt, and for that all sharers of *their* other
    keys must be ranked too. Of everybody only the columns of keys are read.
    """
    learn_emails(con, _TOUCHED_ROWS)
    con.execute(f"CREATE OR REPLACE TEMP TABLE identity_new AS {keyed_sql(_TOUCHED_ROWS, activation)}")
    number = "phone" if activation.match.phone else "CAST(NULL AS VARCHAR)"
    before = (
        f"SELECT email, lower(external_id) AS folded_id, {number} AS phone FROM {PERSONS} "
        f"WHERE cio_id IN (SELECT cio_id FROM {_TOUCHED})"
    )
    _keys(con, f"{before} UNION ALL SELECT email, folded_id, phone FROM identity_new")
    _sharers(con, number)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {_REBUILD} AS "
        f"SELECT cio_id FROM {_TOUCHED} UNION SELECT cio_id FROM {ownership.KEYED}"
    )
    if scalar(con, f"SELECT (SELECT count(*) FROM {ownership.KEYED}) > (SELECT count(*) FROM identity_new)"):
        _keys(con, f"{before} UNION ALL SELECT email, folded_id, phone FROM {ownership.KEYED}")
        _sharers(con, number)  # where nobody shares a key there are no other keys, and this would find the same


def _sharers(con: Connection, number: str) -> None:
    """Fill ``identity_keyed`` with everyone who has one of ``identity_keys``; of touched people the new keys count.

    ``number``: SQL of the phone, NULL where that is no key.
    """
    by_phone = (
        f"UNION SELECT rowid FROM {PERSONS} WHERE phone IN (SELECT value FROM identity_keys WHERE match_key = 'phone')"
        if number == "phone"
        else ""
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {ownership.KEYED} AS "
        f"SELECT cio_id, email, lower(external_id) AS folded_id, {number} AS phone, known_since FROM {PERSONS} "
        "WHERE rowid IN ("
        f"SELECT rowid FROM {PERSONS} WHERE email IN (SELECT value FROM identity_keys WHERE match_key = 'email') "
        f"UNION SELECT rowid FROM {PERSONS} "
        "WHERE lower(external_id) IN (SELECT value FROM identity_keys WHERE match_key = 'external_id') "
        f"{by_phone}) AND cio_id NOT IN (SELECT cio_id FROM {_TOUCHED}) UNION ALL SELECT * FROM identity_new"
    )


def _keys(con: Connection, source: str) -> None:
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE identity_keys AS WITH s AS ({source}) "
        "SELECT 'email' AS match_key, email AS value FROM s WHERE email IS NOT NULL "
        "UNION SELECT 'external_id', folded_id FROM s WHERE folded_id IS NOT NULL "
        "UNION SELECT 'phone', phone FROM s WHERE phone IS NOT NULL"
    )


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
    con: Connection, window: Window, run_id: str, people_in_scope: int, changed: int, key_clashes: int
) -> IdentityResult:
    rows = int(str(scalar(con, f"SELECT count(*) FROM {PERSONS}")))
    published.publish(con, PERSONS, window, rows, run_id)
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
