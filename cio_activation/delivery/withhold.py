"""Takes single fields out of planned operations: those a vendor refused and that are not due, those beyond a limit."""

from __future__ import annotations

from collections.abc import Callable

from cio_activation.delivery.destination import Step
from cio_activation.journal.operations import names_sql
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar

_LEFT = """CAST(to_json(map_from_entries(list_transform(
    list_filter(json_keys(p.payload), lambda name: NOT list_contains(w.fields, name)),
    lambda name: {k: name, v: json_extract(p.payload, concat('$."', name, '"'))}))) AS VARCHAR)"""


def withhold(con: Connection, planned: str, fields: str, step: Step, identified: Callable[[str], str]) -> int:
    """Take ``fields`` (a relation of ``operation_id, field``) out of ``planned``; return how many operations end there.

    An operation with nothing left is taken out itself, unless it also makes a record or writes our key to it. Without a
    hash of the whole row: the shadow must not take the row for written, so that every plan compares it again.
    ``identified`` gives the SQL of an operation's id over a row's alias.
    """
    if not scalar(con, f"SELECT EXISTS ({fields})"):
        return 0
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE reduced AS
        SELECT p.* REPLACE ({_LEFT} AS payload, CAST(NULL AS UBIGINT) AS row_hash)
        FROM {planned} AS p JOIN (
            SELECT operation_id, list(DISTINCT field) AS fields FROM ({fields}) GROUP BY operation_id
        ) AS w ON w.operation_id = p.operation_id"""
    )
    con.execute(f"DELETE FROM {planned} WHERE operation_id IN (SELECT operation_id FROM reduced)")
    does_more = names_sql(step.kinds, lambda kind: kind.creates or kind.stamps)
    nothing = f"payload = '{{}}' AND kind NOT IN {does_more}"
    ended = int(str(scalar(con, f"SELECT count(*) FROM reduced WHERE {nothing}")))
    con.execute(
        f"INSERT INTO {planned} SELECT r.* REPLACE ({identified('r')} AS operation_id) "
        f"FROM reduced AS r WHERE NOT ({nothing})"
    )
    con.execute("DROP TABLE reduced")
    return ended
