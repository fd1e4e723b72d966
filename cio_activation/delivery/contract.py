"""The contract of the payload layer, in Pandera: what may leave for a vendor.

The last look before sending: every planned operation names its person and its record, and every value of a declared
property is one the activation allows. What breaks it goes to quarantine and is not sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.activation.windows import Window
from cio_activation.journal.operations import Kind, names_sql
from cio_activation.warehouse import quarantine
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal
from cio_activation.warehouse.validation import validate

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

LAYER = "payload"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


def screen(
    con: Connection, planned: str, activation: Activation, kinds: Sequence[Kind], window: Window, origin: str
) -> int:
    """Move the operations of ``planned`` that break the contract to quarantine; return how many.

    ``origin`` is ``destination/step``; a re-run of the same window replaces its own rows.
    """
    quarantine.clear(con, LAYER, window, detail=origin)
    checked = [p for p in activation.properties.values() if _allowed(p) is not None]
    values = "".join(
        f", json_extract_string(payload, {literal(f'$.{p.name}')}) AS {identifier(f'value of {p.name}')}"
        for p in checked
    )
    query = f"""SELECT operation_id, kind, cio_id, record_id,
        CASE WHEN kind IN {names_sql(kinds, lambda kind: kind.makes_person)}
             THEN json_extract_string(keys, '$.email') END AS email{values} FROM {planned}"""
    verdict = validate(con, query, payload_schema(checked, kinds), key="operation_id")
    shown = "{kind: r.kind, record_id: r.record_id, payload: r.payload}"
    quarantine.refuse(con, LAYER, window, planned, verdict.breaches, key="operation_id", shown=shown, detail=origin)
    return len({breach.key for breach in verdict.breaches})


def payload_schema(properties: list[Property], kinds: Sequence[Kind]) -> pa.DataFrameSchema:
    """Return the schema of one chunk of a plan, with a column ``value of <property>`` for each of ``properties``."""
    import pandera.pandas as pa

    without_record = [kind.name for kind in kinds if not kind.needs_record]

    def names_its_record(frame: pd.DataFrame) -> pd.Series[bool]:
        verdict: pd.Series[bool] = frame["record_id"].notna() | frame["kind"].isin(without_record)
        return verdict

    columns: dict[str, Any] = {
        "operation_id": pa.Column(str, pa.Check.str_matches(r"^[0-9a-f]{32}$", error="no operation id")),
        "kind": pa.Column(str, nullable=False),
        "cio_id": pa.Column(str, pa.Check.str_matches(r"^\S+$", error="no person"), nullable=False),
        "email": pa.Column(str, pa.Check.str_matches(_EMAIL, error="not an e-mail"), nullable=True),
    }
    for prop in properties:
        check = pa.Check.isin(_allowed(prop) or (), error=f"not a value of {prop.name}")
        columns[f"value of {prop.name}"] = pa.Column(str, check, nullable=True)
    return pa.DataFrameSchema(
        columns, checks=pa.Check(names_its_record, error="no record"), strict=False, name="payload"
    )


def _allowed(prop: Property) -> tuple[str, ...] | None:
    """Return the closed set of values of a property, as text; None if it has none."""
    if prop.type is PropertyType.ENUM:
        return prop.labels
    return ("true", "false") if prop.type is PropertyType.FLAG else None
