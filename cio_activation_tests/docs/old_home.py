"""A home in which both lanes ran, opened by this release: what there is of tables, columns and settings."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from cio_activation.activation.settings import Settings
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation_tests import fixtures


def opened(folder: Path) -> Runtime:
    """Return the home that release 0.1.0 left, unpacked into ``folder`` and migrated."""
    home = fixtures.unpack(folder)
    runtime = Runtime.build(Settings(activation_home=home, _env_file=None), fixtures.activation())  # type: ignore[call-arg]
    with runtime.warehouse.read():
        return runtime


@cache
def columns() -> Mapping[str, tuple[str, ...]]:
    """Return table -> columns of both stores: ``schema.table`` in the warehouse, the bare name in the journal."""
    with TemporaryDirectory(prefix="docs-") as folder:
        runtime = opened(Path(folder))
        with runtime.warehouse.read() as con:
            rows = con.execute(
                """SELECT table_schema || '.' || table_name, list(column_name ORDER BY ordinal_position)
                FROM information_schema.columns WHERE table_schema NOT IN ('information_schema', 'pg_catalog')
                GROUP BY ALL"""
            ).fetchall()
        found = {str(table): tuple(names) for table, names in rows}
        with closing(Journal(runtime.settings.journal)) as journal:
            inspector = sa.inspect(journal.engine)
            for table in inspector.get_table_names():
                found[table] = tuple(c["name"] for c in inspector.get_columns(table))
    return found
