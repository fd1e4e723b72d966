"""E-mail addresses as both sides of every match compare them: ours, and those that a vendor shows.

One function, :func:`email`, decides. Columns are normalized by SQL that agrees with it: plain ASCII, as nearly all
addresses are, needs no more than lower case and no blanks around; every other spelling is looked up among those that
:func:`learn_spellings` had the function read.

Nothing is guessed or mended. Taken away is only what nobody can see; a domain is written as DNS knows it (IDNA, ASCII).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from cio_activation.warehouse.sessions import Connection

SPELLINGS: Final = "email_spellings"
"""Temporary table of the spellings that are not plain: ``raw``, ``email`` (NULL: nothing is left)."""
_PLAIN: Final = "[ -~]*"
"""RE2 and Python. Printable ASCII and the blank."""
_IS_PLAIN: Final = re.compile(_PLAIN).fullmatch
_BLANK: Final = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def email(text: str | None) -> str | None:
    """Return an address in the form that is compared and sent, valid or not; None if nothing is left of it.

    Lower case, in Unicode's composed form, without blanks around it and without invisible marks anywhere, its domain in
    ASCII.
    """
    if text is None:
        return None
    if _IS_PLAIN(text):
        return text.strip(" ").lower() or None
    kept = _stripped("".join(c for c in text if unicodedata.category(c) != "Cf"))
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", kept).lower())
    local, at, domain = folded.rpartition("@")
    return f"{local}{at}{_ascii(domain)}" if at else folded or None


def unicode_form(address: str) -> str | None:
    """Return a normalized address with its domain as people read it; None if it reads the same."""
    import idna

    local, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return None
    try:
        return f"{local}@{idna.decode(domain)}"
    except idna.IDNAError:
        return None


def email_sql(value: str) -> str:
    """Return the SQL of :func:`email` over ``value``; its spellings have to be learned before."""
    return (
        f"CASE WHEN regexp_full_match({value}, '{_PLAIN}') THEN nullif(lower(trim({value}, ' ')), '') "
        f"ELSE (SELECT any_value(s.email) FROM {SPELLINGS} AS s WHERE s.raw = {value}) END"
    )


def learn_spellings(con: Connection, values: Iterable[str]) -> None:
    """Fill :data:`SPELLINGS` of this session with what is not plain in ``values``, SELECTs of one text column."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE {SPELLINGS} (raw VARCHAR, email VARCHAR)")
    found = " UNION ".join(
        f"SELECT v FROM ({query}) AS q(v) WHERE NOT regexp_full_match(v, '{_PLAIN}')" for query in values
    )
    rows = [(str(raw), email(str(raw))) for (raw,) in con.execute(f"SELECT DISTINCT v FROM ({found})").fetchall()]
    if rows:
        import pyarrow as pa

        con.register(
            "read_spellings",
            pa.table({"raw": [r for r, _ in rows], "email": pa.array([e for _, e in rows], pa.string())}),
        )
        con.execute(f"INSERT INTO {SPELLINGS} SELECT raw, email FROM read_spellings")
        con.unregister("read_spellings")


def _stripped(text: str) -> str:
    """Return ``text`` without blanks of every script, and controls, around it."""
    start, end = 0, len(text)
    while start < end and unicodedata.category(text[start]) in _BLANK:
        start += 1
    while end > start and unicodedata.category(text[end - 1]) in _BLANK:
        end -= 1
    return text[start:end]


def _ascii(domain: str) -> str:
    """Return a domain as DNS knows it; one that cannot be written so stays as it is, and is no valid address."""
    import idna

    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return domain
