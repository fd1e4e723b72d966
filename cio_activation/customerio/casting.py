"""How a text cell of Customer.io becomes a typed value: one SQL expression per attribute type.

Everything in the App API and in exports is text; the same attribute may hold epoch seconds for one person and
ISO 8601 for the next, because senders differ. A cell that cannot be read gives NULL and a reason; an empty cell,
or one of blanks, is an absent attribute.

Every cast reads ``trim(cell)``, never the bare cell: in DuckDB 2.0, TRY_CAST straight over a ``read_csv`` column
aborts the whole load at the first dirty cell (duckdb#23818).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cio_activation.activation.models import AttributeType, EpochUnit

_YEAR_2200 = "7258118400"
"""Epoch seconds at which the plausible span ends."""
_WRITTEN_DATE = "(19|20|21)[0-9]{2}((0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]))?"
"""``2024`` and ``20240115``: dates written badly, not seconds of 1970."""
_PER_SECOND: Mapping[EpochUnit, str] = {EpochUnit.SECONDS: "1", EpochUnit.MILLISECONDS: "1000"}
_YES = ("true", "1", "1.0", "yes", "y", "t", "on")
_NO = ("false", "0", "0.0", "no", "n", "f", "off")
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


def event_time(cell: str) -> str:
    """Return the SQL expression that reads ``cell`` as the time of an event: numbers before 1973 are slips."""
    text = trimmed(cell)
    return f"CASE WHEN abs({_double(text)}) < 1e8 THEN NULL ELSE {_timestamp(text)} END"


def typed_text(kind: AttributeType, text: str, unit: EpochUnit | None = None) -> str:
    """Return the same for a cell that is trimmed already; never for a bare ``read_csv`` column (duckdb#23818).

    Casts name their input several times, and DuckDB computes what stands inside a CASE every time. ``unit`` is that of
    numbers which are times; None: what their size says.
    """
    if kind is AttributeType.TIMESTAMP:
        return _timestamp(text, unit)
    return _date(text, unit) if kind is AttributeType.DATE else _CASTS[kind](text)


def reason(kind: AttributeType) -> str:
    """Return the quarantine's reason for a cell that cannot be read as ``kind``."""
    return f"unparsable {kind.value}"


def _text(cell: str) -> str:
    return f"nullif({cell}, '')"


def _double(text: str) -> str:
    # DuckDB reads 1_000 as a number; no sender means one by it.
    return f"CASE WHEN NOT contains({text}, '_') THEN TRY_CAST({text} AS DOUBLE) END"


def _number(text: str) -> str:
    value = _double(text)
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def _integer(text: str) -> str:
    # The pattern first: a cast alone would round 3.7 to 4.
    return f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.]0*)?') THEN TRY_CAST({text} AS BIGINT) END"


def _boolean(text: str) -> str:
    word = f"lower({text})"
    yes, no = (", ".join(f"'{known}'" for known in words) for words in (_YES, _NO))
    return f"CASE WHEN {word} IN ({yes}) THEN true WHEN {word} IN ({no}) THEN false END"


def _epoch(text: str, unit: EpochUnit | None) -> str:
    """Epoch seconds up to 2200 (and as far before 1970) or, from 1e11 on, milliseconds; a declared ``unit`` decides.

    Refused without one: what reads as a date (``2024``, ``20240115``), and zero, by which senders mean never.
    """
    value = _double(text)
    if unit is not None:
        seconds = f"({value} / {_PER_SECOND[unit]})"
        return f"CASE WHEN abs{seconds} <= {_YEAR_2200} THEN {seconds} END"
    return (
        f"CASE WHEN regexp_full_match({text}, '{_WRITTEN_DATE}') THEN NULL "
        f"WHEN {value} <> 0 AND abs({value}) <= {_YEAR_2200} THEN {value} "
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


def _timestamp(text: str, unit: EpochUnit | None = None) -> str:
    return (
        f"CASE WHEN ({_double(text)}) IS NOT NULL "
        f"THEN make_timestamp(CAST(round(({_epoch(text, unit)}) * 1000000) AS BIGINT)) ELSE {_instant(text)} END"
    )


def _date(text: str, unit: EpochUnit | None = None) -> str:
    # An ISO date is taken as written; only an epoch has to be placed on a calendar, which is UTC's.
    return (
        f"CASE WHEN regexp_full_match({text}, '{_DAY}([T ].*)?') "
        f"THEN TRY_CAST(left({text}, 10) AS DATE) ELSE CAST({_timestamp(text, unit)} AS DATE) END"
    )


_CASTS: Mapping[AttributeType, Callable[[str], str]] = {
    AttributeType.TEXT: _text,
    AttributeType.NUMBER: _number,
    AttributeType.MONEY: _number,
    AttributeType.INTEGER: _integer,
    AttributeType.BOOLEAN: _boolean,
}
