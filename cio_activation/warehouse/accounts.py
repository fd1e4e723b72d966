"""Which account of each vendor this home belongs to: noted at first contact, compared before anything is used in it.

Record ids, list ids and what was acknowledged mean something in one account only. Where another account has the same
ids, strangers would get our values; where it has not, nobody would get any and all would look delivered.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.tables import ACCOUNTS

MAX_AGE = timedelta(hours=1)
"""So long an account that was seen to be the right one is not asked for again, with the same credential."""


def known(con: Connection, vendor: str) -> str | None:
    """Return the id of the account this home belongs to; None before first contact."""
    rows = con.execute(f"SELECT account_id FROM {ACCOUNTS} WHERE destination = ?", [vendor]).fetchall()
    return str(rows[0][0]) if rows else None


def all_known(path: Path) -> dict[str, str]:
    """Return vendor -> account of the home with the warehouse ``path``; empty if there is none. Changes nothing."""
    if not path.exists():
        return {}
    with Warehouse(path).read() as con:
        query = "SELECT 1 FROM duckdb_tables() WHERE schema_name || '.' || table_name = ?"
        if not con.execute(query, [ACCOUNTS]).fetchall():
            return {}  # a home of an earlier release that no run has opened since
        return dict(con.execute(f"SELECT destination, account_id FROM {ACCOUNTS}").fetchall())


def is_checked(con: Connection, vendor: str, access_hash: str) -> bool:
    """Return whether this credential was seen to open the right account within ``MAX_AGE``."""
    rows = con.execute(
        f"SELECT 1 FROM {ACCOUNTS} WHERE destination = ? AND access_hash = ? AND checked_at >= ?",
        [vendor, access_hash, _utc_now() - MAX_AGE],
    ).fetchall()
    return bool(rows)


def meet(con: Connection, vendor: str, account_id: str, access_hash: str, home: Path) -> None:
    """Note the account at first contact, and from then on that it was seen; ConfigError if it is another one."""
    before = known(con, vendor)
    if problem := difference(vendor, before, account_id, home):
        raise ConfigError(problem)
    if before is None:
        con.execute(
            f"INSERT INTO {ACCOUNTS} VALUES (?, ?, ?, ?, ?)", [vendor, account_id, _utc_now(), _utc_now(), access_hash]
        )
    else:
        con.execute(
            f"UPDATE {ACCOUNTS} SET checked_at = ?, access_hash = ? WHERE destination = ?",
            [_utc_now(), access_hash, vendor],
        )


def forget(con: Connection, vendor: str) -> None:
    """Forget which account it was: the next contact is the first."""
    con.execute(f"DELETE FROM {ACCOUNTS} WHERE destination = ?", [vendor])


def difference(vendor: str, before: str | None, account_id: str, home: Path) -> str | None:
    """Return why ``account_id`` is not to be used with this home, with the mends; None if it is the right account."""
    if before is None or before == account_id:
        return None
    return (
        f"{vendor}: the credential opens the account {account_id}, but the home {home.absolute()} belongs to the "
        f"account {before}; nothing was sent. Set the credential and address of {before} again; or give the account "
        f"{account_id} a home of its own (ACTIVATION_HOME); or, to leave {before} for good, run "
        f"`cio-activation resync --destination {vendor} --new-account`"
    )


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
