"""The journal's tables, and how an older journal becomes a newer one.

One schema for SQLite and PostgreSQL. Text has no length: vendors choose how long their ids and reasons are, and
PostgreSQL, unlike SQLite, would refuse what does not fit.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from cio_activation.errors import ConfigError

metadata = sa.MetaData()
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # only INTEGER counts up by itself in SQLite

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("operation_id", sa.String, nullable=False),
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("plan_id", sa.String, nullable=False),
    sa.Column("destination", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("lane", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("cio_id", sa.String, nullable=False),
    sa.Column("record_id", sa.String),
    sa.Column("target", sa.String),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("keys", sa.Text, nullable=False),
    sa.Column("row_hash", sa.String),
    sa.Column("window_key", sa.String, nullable=False),
    sa.Column("window_end", sa.Float, nullable=False),
    sa.Column("end", sa.String, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("result_record_id", sa.String),
    sa.Column("status", sa.Integer),
    sa.Column("request_id", sa.String),
    sa.Column("observed", sa.Text),
    sa.Column("intent_at", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
    sa.Column("claim", sa.String),  # what it brings into being; NULL for what only changes what is there
    sa.Index("attempts_by_step", "destination", "step", "end"),
    sa.Index("attempts_by_operation", "operation_id"),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("destination", sa.String, primary_key=True),
    sa.Column("claim", sa.String, primary_key=True),
    sa.Column("operation_id", sa.String, nullable=False),
    sa.Column("record_id", sa.String),
    sa.Index("claims_by_operation", "operation_id"),
)

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)

paces = sa.Table(
    "paces",
    metadata,
    sa.Column("vendor", sa.String, primary_key=True),
    sa.Column("bucket", sa.String, primary_key=True),
    sa.Column("lane", sa.String, primary_key=True),
    sa.Column("arrival", sa.Float, nullable=False),
    sa.Column("used_at", sa.Float, nullable=False),
    sa.Column("paused_until", sa.Float, nullable=False, default=0.0),
    sa.Column("recent", sa.LargeBinary),  # when the calls of one window were to go out: doubles, oldest first
)

days = sa.Table(  # what was used of a vendor's day, by all processes, and what the vendor last said of it
    "days",
    metadata,
    sa.Column("vendor", sa.String, primary_key=True),
    sa.Column("day", sa.String, primary_key=True),  # a date where the vendor's day turns
    sa.Column("used", sa.Float, nullable=False),
    sa.Column("told_limit", sa.Float),
    sa.Column("told_left", sa.Float),  # less what was used since
    sa.Column("told_at", sa.Float),
)

open_plans = sa.Table(  # a row lives from the first batch of a plan to the next run of its step
    "open_plans",
    metadata,
    sa.Column("plan_id", sa.String, primary_key=True),
    sa.Column("destination", sa.String, nullable=False),
    sa.Column("step", sa.String, nullable=False),
)

inbox = sa.Table(  # what Customer.io's webhooks brought; customerio/inbox.py
    "inbox",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("event_id", sa.String, nullable=False),
    sa.Column("signature", sa.String),  # only where the event's id is not part of what was signed
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("delivery_id", sa.String),
    sa.Column("signed_at", sa.Float),
    sa.Column("received_at", sa.Float, nullable=False),
    sa.Column("landed_at", sa.Float),
    sa.Column("body", sa.LargeBinary),  # bytes as signed; NULL once landed: only the key stays, to know repetitions
    sa.Index("inbox_events", "source", "event_id", unique=True),
    sa.Index("inbox_signatures", "signature", unique=True),
    sa.Index("inbox_received", "received_at"),
)
sa.Index(
    "inbox_new",
    inbox.c.id,
    sqlite_where=inbox.c.landed_at.is_(None),
    postgresql_where=inbox.c.landed_at.is_(None),
)

versions = sa.Table("journal_version", metadata, sa.Column("version", sa.Integer, nullable=False))


def version_of(con: sa.Connection) -> int | None:
    """Return the journal's version; None for an empty database, 1 for one made before versions were written down."""
    inspector = sa.inspect(con)
    if inspector.has_table("journal_version"):
        return int(con.execute(sa.select(versions.c.version)).scalar_one())
    return 1 if inspector.has_table("attempts") else None


def upgrade(con: sa.Connection, where: str) -> None:
    """Create the tables, or apply to an older journal the steps it does not have, in the transaction of ``con``.

    Raises ConfigError for a journal of a newer release, which is left as it is.
    """
    if con.dialect.name == "postgresql":
        # Two processes at once would race on CREATE TABLE; the lock ends with the transaction.
        con.execute(sa.text("SELECT pg_advisory_xact_lock(7206821)"))
    found = version_of(con)
    if found is not None and found > NEWEST:
        raise ConfigError(
            f"the journal at {where} was made by a newer release (version {found}; this one knows {NEWEST}): "
            "install that release, or let JOURNAL_URL name another journal"
        )
    if found is None:
        metadata.create_all(con)
    else:
        versions.create(con, checkfirst=True)
        for number in range(found + 1, NEWEST + 1):
            _STEPS[number](con)
    con.execute(sa.delete(versions))
    con.execute(sa.insert(versions).values(version=NEWEST))


def _sharing(con: sa.Connection) -> None:
    """Version 2: plans other workers may help with; creations found by operation; no lengths in PostgreSQL."""
    con.execute(sa.text("ALTER TABLE attempts ADD COLUMN worker VARCHAR"))
    con.execute(sa.text("CREATE INDEX claims_by_operation ON claims (operation_id)"))
    con.execute(
        sa.text(
            "CREATE TABLE plans (plan_id VARCHAR NOT NULL PRIMARY KEY, destination VARCHAR NOT NULL, "
            "step VARCHAR NOT NULL, lane VARCHAR NOT NULL, window_key VARCHAR NOT NULL, "
            "window_start FLOAT NOT NULL, window_end FLOAT NOT NULL, path TEXT NOT NULL, batch_size INTEGER NOT NULL, "
            "activation VARCHAR NOT NULL, catalog TEXT NOT NULL, open BOOLEAN NOT NULL)"
        )
    )
    con.execute(
        sa.text(
            "CREATE TABLE batches (plan_id VARCHAR NOT NULL, number INTEGER NOT NULL, worker VARCHAR, "
            "claimed_at FLOAT NOT NULL, PRIMARY KEY (plan_id, number))"
        )
    )
    con.execute(
        sa.text(
            "CREATE TABLE helpers (plan_id VARCHAR NOT NULL, worker VARCHAR NOT NULL, operations INTEGER NOT NULL, "
            "ends TEXT NOT NULL, reasons TEXT NOT NULL, PRIMARY KEY (plan_id, worker))"
        )
    )
    if con.dialect.name == "postgresql":
        con.execute(sa.text("ALTER TABLE attempts ALTER COLUMN id TYPE BIGINT"))
        con.execute(sa.text("ALTER SEQUENCE attempts_id_seq AS BIGINT"))
        for table in ("attempts", "claims", "leases", "paces"):
            for column in sa.inspect(con).get_columns(table):
                if isinstance(column["type"], sa.String) and column["type"].length:
                    name = con.dialect.identifier_preparer.quote(column["name"])
                    con.execute(sa.text(f"ALTER TABLE {table} ALTER COLUMN {name} TYPE VARCHAR"))


def _inbox(con: sa.Connection) -> None:
    """Version 3: the webhooks' inbox."""
    postgres = con.dialect.name == "postgresql"
    identity = "BIGSERIAL NOT NULL PRIMARY KEY" if postgres else "INTEGER NOT NULL PRIMARY KEY"
    con.execute(
        sa.text(
            f"CREATE TABLE inbox (id {identity}, source VARCHAR NOT NULL, event_id VARCHAR NOT NULL, "
            "signature VARCHAR, kind VARCHAR NOT NULL, delivery_id VARCHAR, signed_at FLOAT, "
            f"received_at FLOAT NOT NULL, landed_at FLOAT, body {'BYTEA' if postgres else 'BLOB'})"
        )
    )
    for index in (
        "UNIQUE INDEX inbox_events ON inbox (source, event_id)",
        "UNIQUE INDEX inbox_signatures ON inbox (signature)",
        "INDEX inbox_received ON inbox (received_at)",
        "INDEX inbox_new ON inbox (id) WHERE landed_at IS NULL",
    ):
        con.execute(sa.text(f"CREATE {index}"))


def _days(con: sa.Connection) -> None:
    """Version 4: what was used of a vendor's day; when the calls of a window went out."""
    con.execute(
        sa.text(f"ALTER TABLE paces ADD COLUMN recent {'BYTEA' if con.dialect.name == 'postgresql' else 'BLOB'}")
    )
    con.execute(
        sa.text(
            "CREATE TABLE days (vendor VARCHAR NOT NULL, day VARCHAR NOT NULL, used FLOAT NOT NULL, told_limit FLOAT, "
            "told_left FLOAT, told_at FLOAT, PRIMARY KEY (vendor, day))"
        )
    )


def _claims(con: sa.Connection) -> None:
    """Version 5: an attempt knows its claim; one sender a plan, so what helpers needed goes."""
    previous = (
        "CAST(keys AS json) ->> 'previous_record'"
        if con.dialect.name == "postgresql"
        else "json_extract(keys, '$.previous_record')"
    )
    for statement in (
        "ALTER TABLE attempts ADD COLUMN claim VARCHAR",
        "UPDATE attempts SET claim = 'person:' || cio_id || "
        f"coalesce(':after:' || nullif({previous}, ''), '') WHERE kind = 'create'",
        "ALTER TABLE attempts DROP COLUMN worker",
        "ALTER TABLE claims RENAME COLUMN entry TO claim",
        "CREATE TABLE open_plans (plan_id VARCHAR NOT NULL PRIMARY KEY, destination VARCHAR NOT NULL, "
        "step VARCHAR NOT NULL)",
        "DROP TABLE plans",
        "DROP TABLE batches",
        "DROP TABLE helpers",
    ):
        con.execute(sa.text(statement))


_STEPS: dict[int, Callable[[sa.Connection], None]] = {2: _sharing, 3: _inbox, 4: _days, 5: _claims}
"""Version -> what brings a journal of the version before to it. Written once, never changed: a step says what the
tables were then, ``metadata`` what they are now; a test holds the two equal."""
NEWEST = max(_STEPS)
