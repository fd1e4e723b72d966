"""The state contract as SQL alone: a peer of the Pandera schema, which has to find the same rows."""

from __future__ import annotations

from cio_activation.activation.models import Activation, Lane, Property, PropertyType
from cio_activation.state.contract import EARLIEST, LARGEST_NUMBER, LATEST, LONGEST_TEXT, reason
from cio_activation.warehouse.sql import identifier, literal
from cio_activation.warehouse.validation import MISSING


def screen_sql(activation: Activation, lane: Lane, relation: str) -> str:
    """Return a SELECT of ``cio_id, "column", reason`` for every broken rule of every row, by SQL alone."""
    rules = [("cio_id", MISSING, "cio_id IS NULL")]
    rules += [
        (p.name, reason(p), _broken(p)) for p in activation.lane_properties(lane) if p.type is not PropertyType.FLAG
    ]
    listed = ", ".join(
        f'CASE WHEN {broken} THEN {{"column": {literal(column)}, "reason": {literal(text)}}} END'
        for column, text, broken in rules
    )
    condition = " OR ".join(f"({broken})" for _, _, broken in rules)
    return (
        'SELECT cio_id, failed."column" AS "column", failed.reason AS reason FROM (SELECT cio_id, unnest(list_filter('
        f"[{listed}], lambda f: f IS NOT NULL)) AS failed FROM {relation} WHERE {condition})"
    )


def _broken(prop: Property) -> str:
    name = identifier(prop.name)
    match prop.type:
        case PropertyType.ENUM:
            labels = ", ".join(map(literal, prop.labels))
            return f"{name} IS NOT NULL AND {name} NOT IN ({labels})" if labels else f"{name} IS NOT NULL"
        case PropertyType.FLAG:
            return "false"
        case PropertyType.DATE:
            return f"{name} IS NOT NULL AND {name} NOT BETWEEN DATE '{EARLIEST}' AND DATE '{LATEST}'"
        case PropertyType.NUMBER:
            return f"{name} IS NOT NULL AND {name} NOT BETWEEN {-LARGEST_NUMBER} AND {LARGEST_NUMBER}"
        case PropertyType.TEXT:
            return f"{name} IS NOT NULL AND length({name}) > {LONGEST_TEXT}"
