"""The contract of the payload layer, in Pandera: what may leave for a vendor.

The last look before sending: every planned operation names its person and its record, and every value of a declared
property is one the activation allows and the destination documents that it takes. What breaks it goes to quarantine and
is not sent: a value alone, an operation only where it is the operation itself that is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, Property, PropertyType
from cio_activation.activation.windows import Window
from cio_activation.delivery.destination import Limit
from cio_activation.journal.operations import Kind, names_sql
from cio_activation.warehouse import quarantine
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal
from cio_activation.warehouse.validation import Breach, validate

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

LAYER = "payload"
BROKEN = "broken_values"
"""Temporary table of the values that the last :func:`screen` entered: ``operation_id``, ``field``, ``reason``."""
SHOWN = 300
"""Characters of a refused value that its quarantine entry shows."""
_VALUE = "value of "
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"


def screen(
    con: Connection,
    planned: str,
    activation: Activation,
    kinds: Sequence[Kind],
    window: Window,
    origin: str,
    limits: Mapping[str, Limit] | None = None,
) -> str:
    """Move the operations of ``planned`` that break the contract to quarantine, and enter the values that do.

    Returns the name of a temporary table (``operation_id``, ``field``) of these values; they are still in ``planned``.
    ``origin`` is ``destination/step``; a re-run of the same window replaces its own rows. ``limits``: property name ->
    what the destination documents.
    """
    quarantine.clear(con, LAYER, window, detail=origin)
    limits = limits or {}
    checked = [p for p in activation.properties.values() if _allowed(p) is not None or p.name in limits]
    values = "".join(f', "@values"[{n}] AS {identifier(_VALUE + p.name)}' for n, p in enumerate(checked, start=1))
    paths = ", ".join(literal(f"$.{p.name}") for p in checked) or "'$'"  # a payload is parsed once for all of them
    query = f"""SELECT operation_id, kind, cio_id, record_id,
        CASE WHEN kind IN {names_sql(kinds, lambda kind: kind.makes_person)}
             THEN json_extract_string(keys, '$.email') END AS email{values}
        FROM (SELECT *, json_extract_string(payload, [{paths}]) AS "@values" FROM {planned})"""
    breaches = validate(con, query, payload_schema(checked, kinds, limits), key="operation_id").breaches
    of_values = [b for b in breaches if (b.column or "").startswith(_VALUE)]
    shown = "{kind: r.kind, record_id: r.record_id, payload: r.payload}"
    whole = [b for b in breaches if b not in of_values]
    quarantine.refuse(con, LAYER, window, planned, whole, key="operation_id", shown=shown, detail=origin)
    _enter_values(con, planned, window, origin, of_values)
    return BROKEN


def _enter_values(con: Connection, planned: str, window: Window, origin: str, breaches: Sequence[Breach]) -> None:
    con.execute(f"CREATE OR REPLACE TEMP TABLE {BROKEN} (operation_id VARCHAR, field VARCHAR, reason VARCHAR)")
    if not breaches:
        return
    rows = [(b.key, (b.column or "").removeprefix(_VALUE), b.reason) for b in breaches]
    con.executemany(f"INSERT INTO {BROKEN} VALUES (?, ?, ?)", rows)
    quarantine.enter(
        con,
        LAYER,
        window,
        f"""SELECT p.cio_id, b.field, b.reason, ?, CAST(to_json({{kind: p.kind, record_id: p.record_id,
                value: left(json_extract_string(p.payload, '$.' || b.field), {SHOWN})}}) AS VARCHAR)
        FROM {BROKEN} AS b JOIN {planned} AS p ON p.operation_id = b.operation_id""",
        [origin],
    )


def payload_schema(
    properties: list[Property], kinds: Sequence[Kind], limits: Mapping[str, Limit] | None = None
) -> pa.DataFrameSchema:
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
        checks = _checks(prop, (limits or {}).get(prop.name))
        columns[f"{_VALUE}{prop.name}"] = pa.Column(str, checks, nullable=True)
    return pa.DataFrameSchema(
        columns, checks=pa.Check(names_its_record, error="no record"), strict=False, name="payload"
    )


def _checks(prop: Property, limit: Limit | None) -> list[pa.Check]:
    """Return the rules of one property's values, as text."""
    import pandas as pd
    import pandera.pandas as pa

    checks: list[pa.Check] = []
    if (allowed := _allowed(prop)) is not None:
        checks.append(pa.Check.isin(allowed, error=f"not a value of {prop.name}"))
    if limit is None:
        return checks
    if (longest := limit.longest) is not None:
        checks.append(pa.Check.str_length(max_value=longest, error=f"longer than {longest:,} characters"))
    if (below := limit.below) is not None:

        def small(values: pd.Series[str]) -> pd.Series[bool]:
            verdict: pd.Series[bool] = pd.to_numeric(values, errors="coerce").abs() < below
            return verdict

        checks.append(pa.Check(small, error=f"not a number below {below:,.0f}"))
    return checks


def _allowed(prop: Property) -> tuple[str, ...] | None:
    """Return the closed set of values of a property, as text; None if it has none."""
    if prop.type is PropertyType.ENUM:
        return prop.labels
    return ("true", "false") if prop.type is PropertyType.FLAG else None
