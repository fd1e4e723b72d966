"""How a text cell of Customer.io becomes a typed value: one SQL expression per attribute type.

Everything in the App API and in exports is text; the same attribute may hold epoch seconds for one person and
ISO 8601 for the next, because senders differ. A cell that cannot be read gives NULL and a reason; an empty cell,
or one of blanks, is an absent attribute.

Every cast reads ``trim(cell)``, never the bare cell: in DuckDB 2.0, TRY_CAST straight over a ``read_csv`` column
aborts the whole load at the first dirty cell (duckdb#23818).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cio_activation.activation.models import AttributeType

_YEAR_2200 = "7258118400"
"""Epoch seconds at which the plausible span ends."""
_DAY = "(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"


def trimmed(cell: str) -> str:
    """Return ``cell`` without surrounding blanks; NULL if nothing is left.

    The pattern is the fast way for the many cells without any blank: trimming a set of characters costs three times
    as much, and there are some twenty cells a person.
    """
    return f"nullif(CASE WHEN regexp_full_match({cell}, '[!-~]*') THEN {cell} ELSE trim({cell}, E' \\t\\r\\n') END, '')"


def typed(kind: AttributeType, cell: str) -> str:
    """Return the SQL expression that reads ``cell`` (a VARCHAR expression) as ``kind``; NULL if it cannot."""
    return typed_text(kind, cell if kind is AttributeType.TEXT else trimmed(cell))


def typed_text(kind: AttributeType, text: str) -> str:
    """Return the same for a cell that is trimmed already; never for a bare ``read_csv`` column (duckdb#23818).

    Casts name their input several times, and DuckDB computes what stands inside a CASE every time.
    """
    return _CASTS[kind](text)


def reason(kind: AttributeType) -> str:
    """Return the quarantine's reason for a cell that cannot be read as ``kind``."""
    return f"unparsable {kind.value}"


def _text(cell: str) -> str:
    return f"nullif({cell}, '')"


def _number(text: str) -> str:
    value = f"TRY_CAST({text} AS DOUBLE)"
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _integer(text: str) -> str:
    # The pattern first: a cast alone would round 3.7 to 4.
    return f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST({text} AS BIGINT) END"


def _boolean(text: str) -> str:
    word = f"lower({text})"
    return f"CASE WHEN {word} IN ('true', '1') THEN true WHEN {word} IN ('false', '0') THEN false END"


def _epoch(text: str) -> str:
    """Epoch seconds from 1973 to 2200 (and as far before 1970), or milliseconds for the same span.

    Other numbers are refused: ``2024`` and ``20240115`` are dates written badly, not seconds in 1970.
    """
    value = f"TRY_CAST({text} AS DOUBLE)"
    return (
        f"CASE WHEN abs({value}) BETWEEN 1e8 AND {_YEAR_2200} THEN {value} "
        f"WHEN abs({value}) BETWEEN 1e11 AND {_YEAR_2200} * 1e3 THEN {value} / 1000 END"
    )


def _instant(text: str) -> str:
    """ISO 8601 of the years 1900 to 2199 with an offset, Z, or nothing (then UTC).

    Cast to TIMESTAMPTZ, since a cast to TIMESTAMP silently ignores the offset. Both patterns mend spellings that
    DuckDB 1.5 does not read: a blank before the offset (Ruby), and a time without seconds.
    """
    mended = f"regexp_replace({text}, ' ([+-][0-9]{{2}}:?[0-9]{{2}})$', '\\1')"
    mended = f"regexp_replace({mended}, '^(.{{10}}[T ][0-9]{{2}}:[0-9]{{2}})(Z|[+-][0-9:]+)?$', '\\1:00\\2')"
    return f"CASE WHEN regexp_matches({text}, '^{_DAY}') THEN TRY_CAST({mended} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"


def _timestamp(text: str) -> str:
    return (
        f"CASE WHEN TRY_CAST({text} AS DOUBLE) IS NOT NULL "
        f"THEN make_timestamp(CAST(round({_epoch(text)} * 1000000) AS BIGINT)) ELSE {_instant(text)} END"
    )


def _date(text: str) -> str:
    # An ISO date is taken as written; only an epoch has to be placed on a calendar, which is UTC's.
    return (
        f"CASE WHEN regexp_full_match({text}, '{_DAY}([T ].*)?') "
        f"THEN TRY_CAST(left({text}, 10) AS DATE) ELSE CAST({_timestamp(text)} AS DATE) END"
    )


_CASTS: Mapping[AttributeType, Callable[[str], str]] = {
    AttributeType.TEXT: _text,
    AttributeType.NUMBER: _number,
    AttributeType.MONEY: _number,
    AttributeType.INTEGER: _integer,
    AttributeType.TIMESTAMP: _timestamp,
    AttributeType.DATE: _date,
    AttributeType.BOOLEAN: _boolean,
}
