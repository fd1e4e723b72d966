"""What a window older than the published one may do: derive its own state into a file beside its raw data.

Nothing in the warehouse moves, so a backfill never puts an old truth over a newer one.
"""

from __future__ import annotations

from cio_activation.activation.windows import Window
from cio_activation.runtime import Runtime
from cio_activation.state import median_gaps
from cio_activation.state.sql import StateSql
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar
from cio_activation.warehouse.tables import MEDIAN_GAPS

PEOPLE_FILE, STATE_FILE = "people.parquet", "state.parquet"


def recompute(con: Connection, runtime: Runtime, window: Window) -> int:
    """Write ``state.parquet`` from the window's ``people.parquet`` (columns of raw.people); return its rows.

    Without that file nothing is written: today's people say nothing about what was true then.
    """
    folder = runtime.raw_folder(window.lane.value, window.key)
    people = folder / PEOPLE_FILE
    if not people.is_file():
        return 0
    statements = StateSql(
        runtime.activation,
        window.lane,
        window.as_of,
        people=f"read_parquet({literal(str(people))})",
        gaps="backfill_gaps",
    )
    con.execute(f"CREATE OR REPLACE TEMP TABLE backfill_gaps AS FROM {MEDIAN_GAPS} LIMIT 0")
    median_gaps.refresh(con, statements)
    target = literal(str(folder / STATE_FILE))
    con.execute(
        f"COPY (SELECT * FROM ({statements.select()}) ORDER BY cio_id) TO {target} (FORMAT parquet, COMPRESSION zstd)"
    )
    return int(str(scalar(con, f"SELECT count(*) FROM read_parquet({target})")))
