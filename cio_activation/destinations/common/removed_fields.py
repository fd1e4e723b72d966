"""The step ``removed_fields``: what we wrote to fields that left the activation is cleared, wherever we wrote it.

The shadows know: they keep the columns that the activation lost. A destination's catalog has ``field:<name>`` for such
a field as long as the vendor has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import EXIT, AbsoluteStep, Context
from cio_activation.delivery.fields import UNKNOWN, shadow_column, shadow_columns, shadow_name, was_refused
from cio_activation.delivery.shadows import shadows
from cio_activation.destinations.common.kinds import WITHDRAW
from cio_activation.destinations.common.records import forget_shadows
from cio_activation.journal.operations import Kind
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

NAME = "removed_fields"


class OnRemoval(StrEnum):
    """What happens to the values of a property that the activation does not deliver any more."""

    CLEAR = "clear"
    LEAVE = "leave"


def removed_columns(
    con: Connection, activation: Activation, catalog: Mapping[str, Any], destination: str, lane: Lane
) -> list[str]:
    """Return the fields that the lane wrote once, nothing delivers any more, and the vendor still has."""
    delivered = {p.name for p in activation.properties.values() if destination in p.deliver}
    written = shadow_columns(con, destination, lane.value)
    return [name for name in written if name not in delivered and f"field:{name}" in catalog]


class RemovedFieldsStep(AbsoluteStep):
    """Clears dropped properties in both lanes' shadows. A destination says how to write (``send``)."""

    name = NAME
    kinds: tuple[Kind, ...] = (WITHDRAW,)
    lane: Lane | None = Lane.DAILY
    description = "Values of properties that left the activation: cleared, or left where on_removal says so."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("identity/persons",)
    batch_size = 1
    concurrency = 1

    def __init__(self, destination: str, on_removal: OnRemoval) -> None:
        self._destination, self._leave = destination, on_removal is OnRemoval.LEAVE

    def plan(self, con: Connection, context: Context) -> str | None:
        """Return one operation for each record that holds a value of ours in a dropped field.

        Where they are left, those of people who left Customer.io only.
        """
        current = [
            f"""SELECT cio_id, record_id, {literal(name)} AS name, {shadow_column(name)} AS value
            FROM {shadow_name(self._destination, lane.value)}
            WHERE record_id IS NOT NULL AND {shadow_column(name)} <> {UNKNOWN}"""
            for lane in Lane
            for name in removed_columns(con, context.activation, context.catalog, self._destination, lane)
        ]
        if not current:
            return None
        gone = "ANTI JOIN identity.persons USING (cio_id)" if self._leave else ""
        entries = "list({k: name, v: CAST(NULL AS VARCHAR)} ORDER BY name)"
        before = "list({k: name, v: value} ORDER BY name)"
        return f"""
        WITH current AS (
            SELECT cio_id, record_id, name, max(value) AS value
            FROM ({" UNION ALL ".join(current)}) {gone} GROUP BY ALL
        )
        SELECT {literal(WITHDRAW.name)} AS kind, cio_id, record_id, CAST(NULL AS VARCHAR) AS target,
               CAST(to_json(map_from_entries({entries})) AS VARCHAR) AS payload,
               CAST(to_json(map_from_entries({before})) AS VARCHAR) AS before,
               '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, {EXIT} AS priority, {literal(NAME)} AS batch_group
        FROM current GROUP BY cio_id, record_id"""

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Forget the values that were cleared, or that are a human's now; forget records that are gone."""
        settled = """f."end" IN ('delivered', 'unneeded') AND f.cio_id = s.cio_id AND f.record_id = s.record_id"""
        for table in shadows(con, self._destination):
            lane = next(one.value for one in Lane if shadow_name(self._destination, one.value) == table)
            for name in shadow_columns(con, self._destination, lane):
                con.execute(
                    f"""UPDATE {table} AS s SET {shadow_column(name)} = NULL
                    FROM {finished} AS f WHERE {settled} AND json_exists(f.payload, {literal(f"$.{name}")})
                    AND NOT {was_refused(name)}"""
                )
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE gone_records AS SELECT DISTINCT cio_id, record_id FROM {finished}
            WHERE record_id IS NOT NULL AND json_exists(observed, '$.gone')"""
        )
        forget_shadows(con, self._destination, "gone_records")
        con.execute("DROP TABLE gone_records")


def still_there(
    activation: Activation, destination: str, present: Mapping[str, str], names: Sequence[str]
) -> dict[str, str]:
    """Return ``field:`` entries of the vendor's fields under our prefix that nothing delivers any more.

    ``present``: name at the vendor -> how it is addressed; ``names``: those that are in use.
    """
    prefix = activation.workspace.prefix
    delivered = {p.name for p in activation.properties.values() if destination in p.deliver}
    return {
        f"field:{name.removeprefix(prefix)}": address
        for name, address in present.items()
        if name.startswith(prefix) and name not in names and name.removeprefix(prefix) not in delivered
    }
