"""The contract of a lane's state rows, generated from the activation.

A Pandera schema, run in Arrow chunks over the rows about to be published. Rules between rows (a person twice) are SQL:
chunks cannot see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, Lane, Property, PropertyType
from cio_activation.state.columns import table
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier
from cio_activation.warehouse.validation import Breach, validate

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

LAYER = "state"
"""Of this contract's entries in the quarantine."""
LONGEST_TEXT = 65_536
"""HubSpot's limit for one text value (apis/hubspot.md), the largest any destination takes."""
EARLIEST, LATEST = "1900-01-01", "2200-01-01"
LARGEST_NUMBER = 1e15
"""Beyond it a double no longer holds cents."""
MOST_BREACHES = 200_000


def reason(prop: Property) -> str:
    """Return the short, stable reason given for a value of ``prop`` that breaks its rule."""
    match prop.type:
        case PropertyType.ENUM:
            return "value is not one of the labels"
        case PropertyType.FLAG:
            return "value is no flag"
        case PropertyType.DATE:
            return f"date is not between {EARLIEST} and {LATEST}"
        case PropertyType.NUMBER:
            return "number is out of range"
        case PropertyType.TEXT:
            return "text is too long"


def frame_schema(activation: Activation, lane: Lane) -> pa.DataFrameSchema:
    """Return the Pandera schema of one chunk of state rows, with ``cio_id`` as a column.

    Not as the index: rows are picked by it many times, and picking by text takes twice as long (measured).
    """
    import pandera.pandas as pa

    columns = {"cio_id": pa.Column(nullable=False)} | {p.name: _column(p) for p in activation.lane_properties(lane)}
    return pa.DataFrameSchema(columns, strict=False, name=table(lane))


def breaches(con: Connection, activation: Activation, lane: Lane, relation: str) -> list[Breach]:
    """Return every broken rule of every row of ``relation``, once each; also who is there more than once.

    ContractError when there are too many to be bad rows: then the rules or the source are wrong.
    """
    query = f"SELECT {_readable(activation, lane)} FROM {relation}"
    found = validate(con, query, frame_schema(activation, lane), most=MOST_BREACHES).breaches
    doubles = con.execute(duplicates_sql(relation)).fetchall()
    return [*found, *(Breach(str(cio_id), "cio_id", "person is there more than once") for (cio_id,) in doubles)]


def duplicates_sql(relation: str) -> str:
    """Return a SELECT of every ``cio_id`` that ``relation`` has more than once.

    Groups by a 64-bit hash first: at ten million people a third of the memory of grouping by the text.
    """
    return (
        f"SELECT cio_id FROM {relation} WHERE hash(cio_id) IN "
        f"(SELECT hash(cio_id) AS h FROM {relation} GROUP BY h HAVING count(*) > 1) "
        "GROUP BY cio_id HAVING count(*) > 1"
    )


def _column(prop: Property) -> pa.Column:
    import pandera.pandas as pa

    def passes(values: pd.Series[Any]) -> pd.Series[bool]:
        verdict: pd.Series[bool] = within(values) | values.isna()
        return verdict

    within: Callable[[pd.Series[Any]], pd.Series[bool]]
    match prop.type:
        case PropertyType.FLAG:
            # Missing where what it says was never read; its SQL type is the check.
            return pa.Column(nullable=True)
        case PropertyType.ENUM:
            within = partial(_one_of, labels=prop.labels)
        case PropertyType.DATE:
            within = _dates_within
        case PropertyType.NUMBER:
            within = _numbers_within
        case PropertyType.TEXT:
            within = _short_enough
    # Pandera would copy the column without its empty cells for each check, which takes longer than all checks.
    check = pa.Check(passes, error=reason(prop), ignore_na=False)
    return pa.Column(float if prop.type is PropertyType.NUMBER else None, checks=check, nullable=True)


def _one_of(values: pd.Series[Any], labels: Sequence[str]) -> pd.Series[bool]:
    return values.isin(list(labels))


def _numbers_within(values: pd.Series[Any]) -> pd.Series[bool]:
    return values.between(-LARGEST_NUMBER, LARGEST_NUMBER)


def _short_enough(values: pd.Series[Any]) -> pd.Series[bool]:
    verdict: pd.Series[bool] = values.str.len() <= LONGEST_TEXT
    return verdict


def _dates_within(values: pd.Series[Any]) -> pd.Series[bool]:
    import pandas as pd

    return values.between(pd.Timestamp(EARLIEST), pd.Timestamp(LATEST))


def _readable(activation: Activation, lane: Lane) -> str:
    """Return the select list: dates as timestamps, because Arrow dates become Python objects in pandas."""
    listed = ["cio_id"]
    for prop in activation.lane_properties(lane):
        name = identifier(prop.name)
        listed.append(f"CAST({name} AS TIMESTAMP) AS {name}" if prop.type is PropertyType.DATE else name)
    return ", ".join(listed)
