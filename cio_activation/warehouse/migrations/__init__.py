"""Tables whose shape does not depend on the activation: one numbered SQL file per change, applied once, in order."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

from cio_activation.warehouse.connection import Connection

_RENAMED: Mapping[str, str] = {
    "0002_delivery.sql": "0003_delivery.sql",
    "0003_guards.sql": "0004_guards.sql",
    "0004_moments.sql": "0005_moments.sql",
    "0005_budget.sql": "0006_budget.sql",
    "0005_catalog_age.sql": "0007_catalog_age.sql",
    "0006_moment_people.sql": "0008_moment_people.sql",
    "0007_turns.sql": "0009_turns.sql",
    "0008_moved.sql": "0010_moved.sql",
    "0009_words.sql": "0011_words.sql",
}
"""Name that an older home recorded -> the file's name now; in release 0.1.0 two numbers stood twice."""


def pending(con: Connection) -> dict[str, str]:
    """Return name -> text of the migrations that the warehouse does not have yet, in their order."""
    files = (f for f in resources.files(__name__).iterdir() if f.name.endswith(".sql"))
    applied = _applied(con)
    return {f.name: f.read_text() for f in sorted(files, key=lambda f: f.name) if f.name not in applied}


def unknown(con: Connection) -> list[str]:
    """Return the migrations that the warehouse has and this release does not know: a newer one made them."""
    return sorted(_applied(con) - {f.name for f in resources.files(__name__).iterdir()})


def newest(con: Connection) -> str | None:
    """Return the newest migration that the warehouse has."""
    return max(_applied(con), default=None)


def apply(con: Connection) -> None:
    """Apply what is pending; call inside one transaction, so that a home is at one version or the other."""
    con.execute("CREATE SCHEMA IF NOT EXISTS meta")
    con.execute("CREATE TABLE IF NOT EXISTS meta.migrations (name VARCHAR, applied_at TIMESTAMP)")
    for name, text in pending(con).items():
        con.execute(text)
        con.execute("INSERT INTO meta.migrations VALUES (?, current_localtimestamp())", [name])


def _applied(con: Connection) -> set[str]:
    there = con.execute(
        "SELECT 1 FROM information_schema.tables "
        "WHERE table_catalog = current_database() AND table_schema = 'meta' AND table_name = 'migrations'"
    ).fetchall()
    names = con.execute("SELECT name FROM meta.migrations").fetchall() if there else []
    return {_RENAMED.get(str(name), str(name)) for (name,) in names}
