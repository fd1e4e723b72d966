"""Attributes as columns of text: the world's own, with what was set by hand or through the API over them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import duckdb
import pyarrow as pa

from cio_activation.sandbox.world.condition import column_of
from cio_activation.sandbox.world.facts import ATTRIBUTES, wire_sql

Custom = Mapping[str, Mapping[str, str]]
"""Per ``cio_id``, attribute to text; an empty text hides what the world says."""


def custom_attributes_sql(con: duckdb.DuckDBPyConnection, rows: str, names: Collection[str], custom: Custom) -> str:
    """Return SQL for ``rows`` (of a snapshot) with a column per attribute of ``names`` (``column_of``); NULL if absent.

    What is set by hand at this instant is registered with ``con``, the connection that the SQL is for.
    """
    set_by_hand = list(custom.items()) if names else []
    if not set_by_hand:
        shown = "".join(f", {_world_sql(name)} AS {column_of(name)}" for name in names)
        return f"SELECT *{shown} FROM {rows}"
    given_by = [(cio_id, dict(given)) for cio_id, given in set_by_hand]
    columns = {f"given_{column_of(n)}": pa.array([given.get(n) for _, given in given_by], pa.string()) for n in names}
    con.register("set_by_hand", pa.table({"owner": [cio_id for cio_id, _ in given_by], **columns}))
    shown = "".join(
        f", CASE WHEN owner IS NULL THEN {_world_sql(n)} "
        f"ELSE nullif(coalesce(given_{column_of(n)}, {_world_sql(n)}), '') END AS {column_of(n)}"
        for n in names
    )
    return f"SELECT *{shown} FROM {rows} AS r LEFT JOIN set_by_hand ON owner = r.cio_id"


def _world_sql(name: str) -> str:
    return f"({wire_sql(name)})" if name in ATTRIBUTES else "NULL::VARCHAR"
