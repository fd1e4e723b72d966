"""What an expression may ask about moments: ``happened('clicked', within 7d)`` and ``times('sent', within 30d) >= 2``.

Both count a person's moments of one name whose own time is within the span before the as-of. How many there are is one
column per name and span, which whoever runs the expression has to provide (:attr:`MomentCount.column`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from cio_activation.activation.durations import format_duration, parse_duration

MOMENT_FUNCTIONS = ("happened", "times")
LONGEST_NAME = 100
"""Characters of a moment's name; what the receiver stores is not longer."""
_WITHIN = "within"


@dataclass(frozen=True, order=True)
class MomentCount:
    """How many moments called ``name`` a person had within the span ``within`` before the as-of."""

    name: str
    within: timedelta

    @property
    def column(self) -> str:
        """The column that holds the number; never NULL.

        Capitals are escaped: names of columns compare without case, names of moments with it.
        """
        name = "".join(f"%{ord(c):x};" if c == "%" or c != c.lower() else c for c in self.name)
        return f"moments:{name}:{self.within // timedelta(seconds=1)}s"

    @property
    def newest(self) -> str:
        """The column that holds when the newest of them happened; NULL if there is none."""
        return f"{self.column}:newest"

    def __str__(self) -> str:
        return f"{self.name} within {format_duration(self.within)}"


def name_flaw(name: str) -> str | None:
    """Return why no moment can be called ``name``, or None."""
    if not name.strip():
        return "is empty; write what the webhook's event is called"
    if len(name) > LONGEST_NAME or not name.isprintable():
        return f"is no moment's name; it has at most {LONGEST_NAME} characters, all of them printable"
    return None


def read_count(node: exp.Expr) -> MomentCount | str:
    """Return what ``happened(...)`` or ``times(...)`` counts, or what is wrong with it."""
    function = str(node.this).lower()
    arguments = node.expressions
    if len(arguments) != 2 or not all(isinstance(a, exp.Literal) and a.is_string for a in arguments):
        return f"{function} takes a moment's name and a span: {function}('winback_clicked', within 7d)"
    name, span = (str(argument.this) for argument in arguments)
    if (flaw := name_flaw(name)) is not None:
        return f"{function}: {name!r} {flaw}"
    try:
        within = parse_duration(span)
    except ValueError as error:
        return f"{function}: {error}"
    if within < timedelta(seconds=1):
        return f"{function}: within {span} is no span; write something longer than zero, such as within 7d"
    return MomentCount(name, within)


def with_spans(text: str, tokens: Sequence[Token]) -> str:
    """Return ``text`` with each argument ``within 7d`` as the text constant '7d', which the parser can read."""
    found = text
    for comma, word, number, unit in reversed(list(zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False))):
        if (
            comma.token_type is TokenType.COMMA
            and word.text.lower() == _WITHIN
            and number.token_type is TokenType.NUMBER
            and re.fullmatch(r"\w+", unit.text)
        ):
            span = re.sub(r"\s", "", text[number.start : unit.end + 1])
            found = f"{found[: word.start]}'{span}'{found[unit.end + 1 :]}"
    return found


def spans_told(text: str) -> str:
    """Return SQL of an expression as its author writes it: the inverse of :func:`with_spans`."""
    functions = "|".join(MOMENT_FUNCTIONS)
    return re.sub(rf"\b((?:{functions})\('(?:[^']|'')*', )'(\w+)'\)", r"\1within \2)", text, flags=re.IGNORECASE)
