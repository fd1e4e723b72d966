"""The destinations' ``priority``: whom a scarce budget goes to first. ``ltv_tier DESC, orders_count DESC``.

Names alone, so that nothing of the text reaches the database: what needs an expression is declared as a property.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cio_activation.activation.models import AttributeType, PropertyType
from cio_activation.activation.problems import meant
from cio_activation.errors import ConfigError

_TERM = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\s+(?P<way>asc|desc))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Rank:
    """One thing people are ranked by. Who has no value of it comes last, either way."""

    name: str
    descending: bool
    attribute: bool
    """An attribute of Customer.io, not a property of ours."""
    labels: tuple[str, ...] = ()
    """The order of a closed set of values, lowest first; empty where values have an order of their own."""

    def sql(self, column: str) -> str:
        """Return the sort key over ``column``."""
        listed = ", ".join("'" + label.replace("'", "''") + "'" for label in self.labels)
        value = f"list_position([{listed}], {column})" if self.labels else column
        return f"{value} {'DESC' if self.descending else 'ASC'} NULLS LAST"


def read_order(
    text: str,
    types: Mapping[str, AttributeType | PropertyType],
    labels: Mapping[str, Sequence[str]],
    unchecked: Collection[str] = (),
) -> tuple[Rank, ...]:
    """Return the ranks in ``text``, the first counts most; ConfigError lists all that is wrong with it.

    ``types`` and ``labels`` as in ``expressions.vocabulary``; ``unchecked`` names are let through.
    """
    ranks: list[Rank] = []
    problems: list[str] = []
    for part in text.split(","):
        found = _TERM.match(part.strip())
        if found is None:
            problems.append(f"{part.strip()!r} is not a name with ASC or DESC; write for example: ltv_tier DESC")
            continue
        name = found["name"].lower()
        if name in types:
            way = (found["way"] or "asc").lower()
            ranks.append(Rank(name, way == "desc", isinstance(types[name], AttributeType), tuple(labels.get(name, ()))))
        elif name not in unchecked:
            problems.append(f"{name!r} is not a declared attribute or property{meant(name, types)}")
    if problems:
        raise ConfigError(*problems)
    return tuple(ranks)
