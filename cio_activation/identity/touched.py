"""Whom a resolution of few has to decide anew, and with whom they share match keys.

Looked at is whom the change log names since the lane last resolved (the daily one), or whom the real-time lane fetched.
Of them touched are those of whom a key, a name or what ownership goes by is other than in ``identity.persons``.
"""

from __future__ import annotations

from cio_activation.activation.models import Activation, Lane
from cio_activation.identity import ownership
from cio_activation.identity.persons import BAD_KEYS, LAYER, addressed_sql, inputs, keyed_sql, learn_emails
from cio_activation.warehouse import change_log
from cio_activation.warehouse.published import Publication
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar
from cio_activation.warehouse.tables import PEOPLE_CURRENT, PEOPLE_GONE, PEOPLE_LIVE, PERSONS, QUARANTINE

IN_SCOPE = "identity_in_scope"
"""Temporary table of the ``cio_id`` of who is looked at."""
ROWS = "identity_rows"
"""Temporary table of their rows of raw people now, as far as identity reads them."""
BEFORE = "identity_before"
"""Temporary table of the persons they were last resolved as."""
AS_BEFORE = "identity_as_before"
"""Temporary table of the persons among them who are not touched, with the source hash of today."""
TOUCHED = "identity_touched"
TOUCHED_ROWS = "identity_touched_rows"
REBUILT = "identity_rebuilt"
"""Temporary table of the ``cio_id`` of who is decided anew."""
REBUILT_ROWS = "identity_rebuilt_rows"
_COMPARED = ("external_id", "phone", "first_name", "last_name", "known_since")


def take_changed(con: Connection, activation: Activation, last: Publication) -> bool:
    """Fill ``IN_SCOPE`` and ``ROWS`` with whom a change touched since the daily lane resolved ``last``.

    With them goes who broke the contract then. Returns False where it may be anybody.
    """
    people = change_log.since(con, last.sequence, (PEOPLE_CURRENT,))
    if people is None:
        return False
    listed = ", ".join(map(literal, BAD_KEYS))
    refused = (
        f"SELECT cio_id FROM {QUARANTINE} WHERE layer = {literal(LAYER)} AND lane = {literal(Lane.DAILY.value)} "
        f"AND window_key = {literal(last.window_key)} AND reason NOT IN ({listed}) AND cio_id IS NOT NULL"
    )
    _fill(con, activation, f"{people} UNION ALL {refused}")
    return True


def take_fetched(con: Connection, activation: Activation) -> None:
    """Fill ``IN_SCOPE`` and ``ROWS`` with whom the real-time lane fetched, or found gone, and is not resolved so."""
    _fill(
        con,
        activation,
        f"SELECT l.cio_id FROM {PEOPLE_LIVE} AS l "
        f"LEFT JOIN {PERSONS} AS p ON p.cio_id = l.cio_id WHERE p.source_hash IS DISTINCT FROM l.content_hash "
        f"UNION SELECT p.cio_id FROM {PERSONS} AS p WHERE p.cio_id IN (SELECT cio_id FROM {PEOPLE_GONE}) "
        f"AND p.cio_id NOT IN (SELECT cio_id FROM {PEOPLE_LIVE})",
    )


def _fill(con: Connection, activation: Activation, people: str) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {IN_SCOPE} AS SELECT DISTINCT cio_id FROM ({people})")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ROWS} AS {_rows_of(activation, IN_SCOPE)}")


def gather(con: Connection, activation: Activation) -> None:
    """Fill all the other tables, once every phone of ``ROWS`` is known, and ``identity_keyed`` for ownership."""
    _compare(con, activation)
    _find_keys(con, activation)
    others = f"SELECT cio_id FROM {REBUILT} WHERE cio_id NOT IN (SELECT cio_id FROM {ROWS})"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {REBUILT_ROWS} AS "
        f"SELECT * FROM {ROWS} WHERE cio_id IN (SELECT cio_id FROM {REBUILT})"
    )
    if scalar(con, f"SELECT count(*) FROM ({others})"):
        con.execute(f"INSERT INTO {REBUILT_ROWS} {_rows_of(activation, f'({others})')}")
    learn_emails(con, REBUILT_ROWS)


def _rows_of(activation: Activation, people: str) -> str:
    listed = ", ".join(inputs(activation))
    return f"SELECT {listed} FROM {PEOPLE_CURRENT} WHERE cio_id IN (SELECT cio_id FROM {people})"


def _compare(con: Connection, activation: Activation) -> None:
    """Tell who is touched. Who has no valid e-mail or phone always is: what is wrong with it is listed each time."""
    learn_emails(con, ROWS)
    # By their place, so that of everybody else nothing but the key is read.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {BEFORE} AS SELECT * FROM {PERSONS} WHERE rowid IN "
        f"(SELECT rowid FROM {PERSONS} WHERE cio_id IN (SELECT cio_id FROM {IN_SCOPE}))"
    )
    same = " AND ".join(f"n.{column} IS NOT DISTINCT FROM p.{column}" for column in _COMPARED)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {AS_BEFORE} AS
        SELECT p.* REPLACE (n.source_hash AS source_hash), p.source_hash IS DISTINCT FROM n.source_hash AS differs
        FROM ({addressed_sql(ROWS, activation)}) AS n JOIN {BEFORE} AS p ON p.cio_id = n.cio_id
        WHERE n.email = p.email AND (n.raw_phone IS NULL OR n.phone IS NOT NULL) AND {same}"""
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {TOUCHED} AS "
        f"SELECT cio_id FROM {IN_SCOPE} WHERE cio_id NOT IN (SELECT cio_id FROM {AS_BEFORE})"
    )
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {TOUCHED_ROWS} AS "
        f"SELECT * FROM {ROWS} WHERE cio_id IN (SELECT cio_id FROM {TOUCHED})"
    )


def _find_keys(con: Connection, activation: Activation) -> None:
    """Fill ``identity_keys`` and ``identity_keyed`` with all that the touched people's keys depend on.

    Two steps out: whoever shares a key with a touched person is rebuilt, and for that all sharers of *their* other
    keys must be ranked too. Of everybody only the columns of keys are read.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE identity_new AS {keyed_sql(TOUCHED_ROWS, activation)}")
    number = "phone" if activation.match.phone else "CAST(NULL AS VARCHAR)"
    before = (
        f"SELECT email, lower(external_id) AS folded_id, {number} AS phone FROM {BEFORE} "
        f"WHERE cio_id IN (SELECT cio_id FROM {TOUCHED})"
    )
    _keys(con, f"{before} UNION ALL SELECT email, folded_id, phone FROM identity_new")
    _sharers(con, number)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE {REBUILT} AS "
        f"SELECT cio_id FROM {TOUCHED} UNION SELECT cio_id FROM {ownership.KEYED}"
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
        f"{by_phone}) AND cio_id NOT IN (SELECT cio_id FROM {TOUCHED}) UNION ALL SELECT * FROM identity_new"
    )


def _keys(con: Connection, source: str) -> None:
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE identity_keys AS WITH s AS ({source}) "
        "SELECT 'email' AS match_key, email AS value FROM s WHERE email IS NOT NULL "
        "UNION SELECT 'external_id', folded_id FROM s WHERE folded_id IS NOT NULL "
        "UNION SELECT 'phone', phone FROM s WHERE phone IS NOT NULL"
    )
