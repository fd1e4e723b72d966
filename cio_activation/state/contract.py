"""The contract of a lane's state rows, generated from the activation.

Two forms of one set of rules: a Pandera schema, run in Arrow chunks over the rows about to be published, and a SQL
screen that finds the same rows set-based. Rules between rows (a person twice) are SQL only: chunks cannot see them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cio_activation.activation.models import Activation, Lane, Property, PropertyType
from cio_activation.errors import ContractError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import frames, identifier, literal

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

LONGEST_TEXT = 65_536
"""HubSpot's limit for one text value (apis/hubspot.md), the largest any destination takes."""
EARLIEST, LATEST = "1900-01-01", "2200-01-01"
LARGEST_NUMBER = 1e15
"""Beyond it a double no longer holds cents."""
_MOST_FAILURES = 200_000


@dataclass(frozen=True)
class Failure:
    """One rule that one row breaks. Never holds the value itself."""

    cio_id: str | None
    column: str | None
    reason: str


def reason(prop: Property) -> str:
    """Return the short, stable reason given for a value of ``prop`` that breaks its rule."""
    match prop.type:
        case PropertyType.ENUM:
            return "value is not one of the labels"
        case PropertyType.FLAG:
            return "flag is missing"
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
    return pa.DataFrameSchema(columns, strict=False)


def validate(con: Connection, activation: Activation, lane: Lane, relation: str) -> list[Failure]:
    """Run the Pandera schema over ``relation`` in Arrow chunks; return every broken rule of every row, once each.

    ContractError when the failures are too many to be bad rows: then the rules or the source are wrong.
    """
    from pandera.errors import SchemaErrors

    schema = frame_schema(activation, lane)
    failures: list[Failure] = []
    for frame in frames(con, f"SELECT {_readable(activation, lane)} FROM {relation}"):
        try:
            schema.validate(frame, lazy=True)
        except SchemaErrors as broken:
            failures += _failures(broken.failure_cases, frame["cio_id"])
        if len(failures) > _MOST_FAILURES:
            raise ContractError(
                f"more than {_MOST_FAILURES:,} rows of the {lane.value} state break their contract "
                f"(first: {failures[0].column}: {failures[0].reason}); nothing was published"
            )
    return failures


def screen_sql(activation: Activation, lane: Lane, relation: str) -> str:
    """Return a SELECT of ``cio_id, "column", reason`` for every broken rule of every row, by SQL alone."""
    rules = [("cio_id", "cio_id is missing", "cio_id IS NULL")]
    rules += [(p.name, reason(p), _broken(p)) for p in activation.lane_properties(lane)]
    listed = ", ".join(
        f'CASE WHEN {broken} THEN {{"column": {literal(column)}, "reason": {literal(text)}}} END'
        for column, text, broken in rules
    )
    condition = " OR ".join(f"({broken})" for _, _, broken in rules)
    return (
        'SELECT cio_id, failed."column" AS "column", failed.reason AS reason FROM (SELECT cio_id, unnest(list_filter('
        f"[{listed}], lambda f: f IS NOT NULL)) AS failed FROM {relation} WHERE {condition})"
    )


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

    def holds(values: pd.Series[Any]) -> pd.Series[bool]:
        verdict: pd.Series[bool] = within(values) | values.isna()
        return verdict

    within: Callable[[pd.Series[Any]], pd.Series[bool]]
    match prop.type:
        case PropertyType.FLAG:
            return pa.Column(nullable=False)
        case PropertyType.ENUM:
            within = partial(_among, labels=prop.labels)
        case PropertyType.DATE:
            within = _dates_within
        case PropertyType.NUMBER:
            within = _numbers_within
        case PropertyType.TEXT:
            within = _short_enough
    # Pandera would copy the column without its empty cells for each check, which takes longer than all checks.
    check = pa.Check(holds, error=reason(prop), ignore_na=False)
    return pa.Column(float if prop.type is PropertyType.NUMBER else None, checks=check, nullable=True)


def _among(values: pd.Series[Any], labels: Sequence[str]) -> pd.Series[bool]:
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


def _broken(prop: Property) -> str:
    name = identifier(prop.name)
    match prop.type:
        case PropertyType.ENUM:
            labels = ", ".join(map(literal, prop.labels))
            return f"{name} IS NOT NULL AND {name} NOT IN ({labels})" if labels else f"{name} IS NOT NULL"
        case PropertyType.FLAG:
            return f"{name} IS NULL"
        case PropertyType.DATE:
            return f"{name} IS NOT NULL AND {name} NOT BETWEEN DATE '{EARLIEST}' AND DATE '{LATEST}'"
        case PropertyType.NUMBER:
            return f"{name} IS NOT NULL AND {name} NOT BETWEEN {-LARGEST_NUMBER} AND {LARGEST_NUMBER}"
        case PropertyType.TEXT:
            return f"{name} IS NOT NULL AND length({name}) > {LONGEST_TEXT}"


def _failures(cases: pd.DataFrame, people: pd.Series[str]) -> list[Failure]:
    """Turn Pandera's failure cases into failures, dropping the values they carry. ``people``: the chunk's ids."""
    kept: dict[tuple[object, str, str], Failure] = {}
    for context, column, check, index in zip(
        cases["schema_context"], cases["column"], cases["check"], cases["index"], strict=True
    ):
        if context == "DataFrameSchema" or index is None or index != index:
            raise ContractError(f"the state table does not have the shape its schema asks for: {check}")
        found, name = people.iloc[int(index)], str(column)
        cio_id = None if found is None or found != found else str(found)
        missing = "cio_id is missing" if name == "cio_id" else "flag is missing"
        text = missing if check == "not_nullable" else str(check)
        kept[(cio_id, name, text)] = Failure(cio_id, name, text)
    return list(kept.values())
