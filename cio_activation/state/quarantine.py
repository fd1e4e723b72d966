"""Moving state rows that break their contract into ``quarantine.rows``: nothing is dropped, everything counted."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.windows import Window
from cio_activation.state.contract import Failure, duplicates_sql
from cio_activation.warehouse.sessions import Connection

LAYER = "state"


def clear(con: Connection, window: Window) -> None:
    """Forget what an earlier run of the same window quarantined, so that its counts do not double."""
    con.execute(
        "DELETE FROM quarantine.rows WHERE layer = ? AND lane = ? AND window_key = ?",
        [LAYER, window.lane.value, window.key],
    )


def refuse(con: Connection, window: Window, relation: str, failures: Sequence[Failure]) -> dict[str, int]:
    """Move the failing rows of ``relation``, and everybody it has twice, into quarantine.

    Leaves their ids in the temporary table ``refused``. Returns the number of broken rules by reason.
    """
    import pyarrow as pa

    given = pa.table(
        {
            "cio_id": pa.array([f.cio_id for f in failures], pa.string()),
            "column": pa.array([f.column for f in failures], pa.string()),
            "reason": pa.array([f.reason for f in failures], pa.string()),
        }
    )
    con.register("given_failures", given)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE failures AS
        SELECT * FROM given_failures
        UNION ALL SELECT cio_id, 'cio_id', 'person is there more than once' FROM ({duplicates_sql(relation)})"""
    )
    con.unregister("given_failures")
    con.execute("CREATE OR REPLACE TEMP TABLE refused AS SELECT DISTINCT cio_id FROM failures")
    con.execute(
        f"""INSERT INTO quarantine.rows (layer, lane, window_key, cio_id, "column", reason, row)
        SELECT '{LAYER}', ?, ?, f.cio_id, f."column", f.reason, CAST(r.row AS VARCHAR)
        FROM failures AS f LEFT JOIN (
            SELECT s.cio_id, min(CAST(to_json(s) AS VARCHAR)) AS row FROM {relation} AS s
            WHERE s.cio_id IS NULL OR s.cio_id IN (SELECT cio_id FROM failures) GROUP BY s.cio_id
        ) AS r ON r.cio_id IS NOT DISTINCT FROM f.cio_id""",
        [window.lane.value, window.key],
    )
    # Not `cio_id IN (...)` alone: a row without an id matches nothing.
    con.execute(f"DELETE FROM {relation} WHERE cio_id IS NULL OR cio_id IN (SELECT cio_id FROM refused)")
    counts = con.execute("SELECT reason, count(*) FROM failures GROUP BY reason ORDER BY reason").fetchall()
    return {str(reason): int(count) for reason, count in counts}
