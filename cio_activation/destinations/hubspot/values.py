"""Logical values as HubSpot writes them: everything is text, and an empty text clears a property.

Canonical forms on purpose: what HubSpot would rewrite on arrival would come back as another value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.activation.models import Property, PropertyType
from cio_activation.destinations.hubspot.api import KEY
from cio_activation.warehouse.addresses import email as normalized

TEXT_MAX = 65_536
"""Characters of a text property (fact sheet, section 5)."""
CLEARED = ""
"""Empties a property; a JSON null would leave it as it is (fact sheet, section 1)."""


def value_sql(prop: Property, column: str) -> str:
    """Return a SQL expression giving ``column``'s logical value as VARCHAR, NULL where there is none.

    Numbers have at most 15 significant digits: what follows is noise of binary fractions, not data.
    """
    if prop.type is PropertyType.NUMBER:
        # %g would write very large and very small numbers with an exponent.
        digits = f"printf('%.15g', CAST({column} AS DOUBLE))"
        plain = f"rtrim(rtrim(printf('%.15f', CAST({column} AS DOUBLE)), '0'), '.')"
        return (
            f"CASE WHEN NOT isfinite(CAST({column} AS DOUBLE)) THEN NULL "
            f"WHEN {column} = 0 THEN '0' "
            f"WHEN abs({column}) >= 1e-4 AND abs({column}) < 1e15 THEN {digits} ELSE {plain} END"
        )
    if prop.type is PropertyType.FLAG:
        return f"CASE {column} WHEN true THEN 'true' WHEN false THEN 'false' END"
    if prop.type is PropertyType.DATE:
        return f"strftime(CAST({column} AS DATE), '%Y-%m-%d')"
    if prop.type is PropertyType.ENUM:
        return f"nullif(trim(CAST({column} AS VARCHAR)), '')"
    return f"nullif(CAST({column} AS VARCHAR), '')"


def wire(value: Any) -> str:
    """Return a planned value as it goes into a request."""
    return CLEARED if value is None else str(value)


def emails_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a contact's e-mail and its additional e-mails, as ours are compared."""
    shown = row.get("properties") or {}
    texts = [shown.get("email") or "", *str(shown.get("hs_additional_emails") or "").split(";")]
    return tuple(known for t in texts if (known := normalized(t)))


def stamp_of(row: Mapping[str, Any]) -> str | None:
    """Return the ``cio_id`` a contact carries, None if it carries none."""
    value = (row.get("properties") or {}).get(KEY)
    return str(value) if value else None
