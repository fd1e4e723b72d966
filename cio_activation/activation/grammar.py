"""The allowlist behind ``expressions.py``: what an expression may be made of, and the SQL each part becomes.

Every node type that is understood has one method; anything else is refused, so that a new feature of the parser
is never let through by accident. Problems are collected, and reading goes on with a term of any kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlglot import exp

from cio_activation.activation.models import AttributeType, PropertyType
from cio_activation.activation.moment_terms import MOMENT_FUNCTIONS, MomentCount, read_count
from cio_activation.activation.problems import meant
from cio_activation.activation.terms import (
    BROKEN,
    CLOCK_FUNCTIONS,
    KINDS,
    LONGEST,
    NOW,
    UNIT_US,
    Clock,
    Kind,
    Term,
    is_instant,
    no_function,
    no_now,
    quoted,
    refusal,
    shown,
)

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}


class Reader:
    """Reads one syntax tree; afterwards holds the columns, clocks, moments and problems it met."""

    def __init__(
        self,
        types: Mapping[str, AttributeType | PropertyType],
        labels: Mapping[str, Sequence[str]],
        unchecked: frozenset[str],
        *,
        moments: bool = False,
    ) -> None:
        self.columns: set[str] = set()
        self.clocks: list[Clock] = []
        self.moments: set[MomentCount] = set()
        self.problems: list[str] = []
        self._types = types
        self._labels = labels
        self._unchecked = unchecked
        self._moments_allowed = moments

    def value(self, node: exp.Expr | None) -> Term:
        """Read ``node`` as a value of its own."""
        return self._settled(self._term(node))

    def _settled(self, term: Term) -> Term:
        """Return ``term`` if it is a value of its own; a bare ``days_since`` is none (see :meth:`_clock_test`)."""
        if term.clock is not None:
            attribute, unit = term.clock
            return self._problem(
                f"{unit}_since({attribute}) must be compared with a whole number right away, such as "
                f"{unit}_since({attribute}) >= 60, so that the instant it turns true is known"
            )
        return term

    def _term(self, node: exp.Expr | None) -> Term:
        if node is None:  # the parser lets some operators stand without their operand
            return self._problem("the expression is incomplete; an operator or function lacks a value")
        entry = _HANDLERS.get(type(node))
        if entry is None:
            return self._problem(refusal(node))
        read, known = entry
        extra = sorted(name for name, value in node.args.items() if value and name not in known)
        return self._problem(refusal(node)) if extra else read(self, node)

    def _problem(self, message: str) -> Term:
        self.problems.append(message)
        return BROKEN

    # names and constants

    def _column(self, node: exp.Expr) -> Term:
        identifier = node.this
        if not isinstance(identifier, exp.Identifier):
            return self._problem(refusal(node))
        name = identifier.name if identifier.quoted else identifier.name.lower()
        if name in self._unchecked:
            self.columns.add(name)
            return replace(BROKEN, column=name)
        if name not in self._types:
            if name in NOW:
                return self._problem(no_now(name))
            return self._problem(f"{name!r} is not declared{meant(name, self._types)}")
        self.columns.add(name)
        return Term(quoted(name), KINDS[self._types[name]], column=name)

    def _literal(self, node: exp.Expr) -> Term:
        if node.is_string:
            text = str(node.this)
            if "\x00" in text:
                return self._problem("a text constant holds a NUL character; remove it")
            return Term("'" + text.replace("'", "''") + "'", Kind.TEXT, literal=text)
        try:
            number = float(str(node.this))
        except ValueError:  # the parser reads '. 2.5' as one number
            return self._problem(f"{node.this} is not a number")
        if not math.isfinite(number):
            return self._problem(f"{node.this} is too large a number")
        whole = number.is_integer() and abs(number) < 2**53
        return Term(str(int(number)) if whole else repr(number), Kind.NUMBER, literal=number)

    def _boolean(self, node: exp.Expr) -> Term:
        return Term("TRUE" if node.this else "FALSE", Kind.BOOLEAN)

    # logic

    def _paren(self, node: exp.Expr) -> Term:
        return self._term(node.this)  # every composite is written with brackets of its own

    def _connective(self, node: exp.Expr) -> Term:
        word = "AND" if isinstance(node, exp.And) else "OR"
        sides = [self._expect(side, Kind.BOOLEAN, word).sql for side in node.flatten(unnest=False)]
        return Term(f"({f' {word} '.join(sides)})", Kind.BOOLEAN)

    def _not(self, node: exp.Expr) -> Term:
        return Term(f"(NOT {self._expect(node.this, Kind.BOOLEAN, 'NOT').sql})", Kind.BOOLEAN)

    def _is(self, node: exp.Expr) -> Term:
        other = node.expression
        if isinstance(other, exp.Null):
            return Term(f"({self.value(node.this).sql} IS NULL)", Kind.BOOLEAN)
        if isinstance(other, exp.Boolean):
            side = self._expect(node.this, Kind.BOOLEAN, "IS")
            return Term(f"({side.sql} IS {self._boolean(other).sql})", Kind.BOOLEAN)
        return self._problem(refusal(node))

    def _expect(self, node: exp.Expr | None, kind: Kind, where: str) -> Term:
        term = self.value(node)
        if term.kind not in {kind, Kind.ANY}:
            return self._problem(f"{where} takes a {kind}, but {shown(node)} is a {term.kind}")
        return term

    # comparisons

    def _comparison(self, node: exp.Expr) -> Term:
        sign = _COMPARISONS[type(node)]
        left, right = self._term(node.this), self._term(node.expression)
        if left.clock is not None and right.clock is None:
            return self._clock_test(node, left, sign, [right])
        if right.clock is not None and left.clock is None:
            return self._clock_test(node, right, _MIRRORED[sign], [left])
        sides = [self._settled(left), self._settled(right)]
        terms = self._alike(node, sides, ordered=sign not in {"=", "<>"})
        return Term(f"({terms[0].sql} {sign} {terms[1].sql})", Kind.BOOLEAN)

    def _between(self, node: exp.Expr) -> Term:
        ends = [self.value(node.args["low"]), self.value(node.args["high"])]
        low, high = (end.literal for end in ends)
        if isinstance(low, float) and isinstance(high, float) and low > high:
            return self._problem(f"{shown(node)} is never true; write the smaller number first")
        subject = self._term(node.this)
        if subject.clock is not None:
            return self._clock_test(node, subject, "BETWEEN", ends)
        terms = self._alike(node, [subject, *ends], ordered=True)
        return Term(f"({terms[0].sql} BETWEEN {terms[1].sql} AND {terms[2].sql})", Kind.BOOLEAN)

    def _in(self, node: exp.Expr) -> Term:
        choices = [self.value(choice) for choice in node.expressions]
        if not choices:
            return self._problem(f"{shown(node)}: IN takes a list of constants in brackets")
        if any(choice.literal is None and choice.kind is not Kind.ANY for choice in choices):
            return self._problem(f"{shown(node)}: IN takes constants only")
        subject = self._term(node.this)
        if subject.clock is not None:
            return self._clock_test(node, subject, "IN", choices)
        subject, *choices = self._alike(node, [subject, *choices])
        return Term(f"({subject.sql} IN ({', '.join(choice.sql for choice in choices)}))", Kind.BOOLEAN)

    def _like(self, node: exp.Expr) -> Term:
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        sides = [self._expect(side, Kind.TEXT, word) for side in (node.this, node.expression)]
        return Term(f"({sides[0].sql} {'NOT ' if node.args.get('negate') else ''}{word} {sides[1].sql})", Kind.BOOLEAN)

    def _alike(self, node: exp.Expr, terms: list[Term], *, ordered: bool = False) -> list[Term]:
        """Return ``terms`` fit to be compared with each other; note a problem if they are not."""
        kinds = {term.kind for term in terms}
        if Kind.NULL in kinds:
            self.problems.append(f"{shown(node)} is never true; write IS NULL or IS NOT NULL")
        if Kind.TIME in kinds:
            terms = [self._as_time(term) for term in terms]
            kinds = {term.kind for term in terms}
        kinds -= {Kind.ANY, Kind.NULL}
        if len(kinds) > 1:
            self.problems.append(f"{shown(node)} compares a {' with a '.join(sorted(kinds))}")
        for enum in [term.column for term in terms if term.column in self._labels]:
            self._check_labels(node, str(enum), terms, ordered)
        return terms

    def _check_labels(self, node: exp.Expr, enum: str, terms: list[Term], ordered: bool) -> None:
        if ordered:
            self.problems.append(f"{shown(node)}: labels have no order; list them: {enum} IN (...)")
        allowed = self._labels[enum]
        for term in terms:
            if isinstance(term.literal, str) and term.literal not in allowed:
                self.problems.append(
                    f"{term.literal!r} is no label of {enum}{meant(term.literal, allowed)} "
                    f"(labels: {', '.join(allowed)})"
                )

    def _as_time(self, term: Term) -> Term:
        """Return a text constant such as '2026-01-31' as a instant; other terms as they are."""
        if not isinstance(term.literal, str):
            return term
        try:
            instant = datetime.fromisoformat(term.literal)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is not None:
            return self._problem(f"{term.literal!r} is not a time in UTC; write '2026-01-31' or '2026-01-31 14:00'")
        return Term(f"TIMESTAMP '{instant.isoformat(sep=' ')}'", Kind.TIME)

    # clocks

    def _since(self, node: exp.Expr) -> Term:
        name = str(node.this).lower()
        if name in MOMENT_FUNCTIONS:
            return self._moments(node, name)
        if name not in CLOCK_FUNCTIONS:
            return self._problem(no_now(name) if name in NOW else no_function(name))
        arguments = node.expressions
        subject = self._term(arguments[0]) if len(arguments) == 1 else None
        if subject is not None and subject.kind is Kind.ANY:
            return BROKEN
        declared = self._types.get(subject.column or "") if subject is not None else None
        if subject is None or not is_instant(declared):
            return self._problem(f"{shown(node)}: {name} takes one attribute of type timestamp or date")
        unit = CLOCK_FUNCTIONS[name]
        type_name = "TIMESTAMP" if declared is AttributeType.TIMESTAMP else "DATE"
        instant = subject.sql if type_name == "TIMESTAMP" else f"CAST({subject.sql} AS TIMESTAMP)"
        periods = f"CAST(greatest(0, (epoch_us(as_of) - epoch_us({instant})) // {UNIT_US[unit]}) AS BIGINT)"
        # greatest() skips NULL in DuckDB: without the CASE a missing instant would count as 0 periods. And one
        # instant outside these years ('infinity', year 290000) would overflow and stop the query for everyone.
        years = f"{type_name} '0001-01-01' AND {type_name} '9999-12-31'"
        sql = f"(CASE WHEN {subject.sql} BETWEEN {years} THEN {periods} END)"
        return Term(sql, Kind.NUMBER, clock=(str(subject.column), unit))

    def _clock_test(self, node: exp.Expr, subject: Term, sign: str, constants: list[Term]) -> Term:
        """Return the comparison of a clock with constants, and note when it may change."""
        attribute, unit = subject.clock or ("", "days")
        numbers: list[int] = []
        for constant in constants:
            number = constant.literal
            if constant.kind is Kind.ANY:
                return BROKEN
            if not isinstance(number, float) or not number.is_integer() or not 0 <= number <= LONGEST[unit]:
                return self._problem(
                    f"{shown(node)}: compare {unit}_since with a whole number from 0 to {LONGEST[unit]}"
                )
            numbers.append(int(number))
        self.clocks += [Clock(attribute, unit, n) for n in _turns(sign, numbers) if n > 0]
        if sign == "BETWEEN":
            return Term(f"({subject.sql} BETWEEN {numbers[0]} AND {numbers[1]})", Kind.BOOLEAN)
        right = f"({', '.join(map(str, numbers))})" if sign == "IN" else str(numbers[0])
        return Term(f"({subject.sql} {sign} {right})", Kind.BOOLEAN)

    def _moments(self, node: exp.Expr, function: str) -> Term:
        if not self._moments_allowed:
            return self._problem(f"{function}: only the expressions of audiences read moments; ask for it in a gate")
        count = read_count(node)
        if isinstance(count, str):
            return self._problem(count)
        self.moments.add(count)
        number = quoted(count.column)
        return Term(f"({number} > 0)", Kind.BOOLEAN) if function == "happened" else Term(number, Kind.NUMBER)

    # values

    def _arithmetic(self, node: exp.Expr) -> Term:
        sign = _ARITHMETIC[type(node)]
        # As DOUBLE: whole numbers would stop the whole query when one person's product overflows.
        left, right = (
            f"CAST({self._expect(side, Kind.NUMBER, sign).sql} AS DOUBLE)" for side in (node.this, node.expression)
        )
        right = f"nullif({right}, 0)" if sign == "/" else right  # else infinity or NaN, which sorts above all
        return Term(f"({left} {sign} {right})", Kind.NUMBER)

    def _negative(self, node: exp.Expr) -> Term:
        term = self._expect(node.this, Kind.NUMBER, "-")
        if isinstance(term.literal, float):
            return Term(f"(-{term.sql})", Kind.NUMBER, literal=-term.literal)
        return Term(f"(-CAST({term.sql} AS DOUBLE))", Kind.NUMBER)

    def _case(self, node: exp.Expr) -> Term:
        subject = self.value(node.this) if node.this is not None else None
        whens: list[str] = []
        results: list[Term] = []
        for branch in node.args["ifs"]:
            if subject is None:
                when = self._expect(branch.this, Kind.BOOLEAN, "WHEN").sql
            else:
                terms = self._alike(branch.this, [subject, self.value(branch.this)])
                when = f"({terms[0].sql} = {terms[1].sql})"
            whens.append(when)
            results.append(self.value(branch.args["true"]))
        default = node.args.get("default")
        results.append(self.value(default) if default is not None else Term("NULL", Kind.NULL))
        kind = self._one_kind(node, results)
        branches = " ".join(f"WHEN {when} THEN {result.sql}" for when, result in zip(whens, results, strict=False))
        return Term(f"(CASE {branches} ELSE {results[-1].sql} END)", kind)

    def _choice(self, node: exp.Expr) -> Term:
        name = node.key  # coalesce, greatest or least: what _HANDLERS sends here
        terms = [self.value(part) for part in (node.this, *node.expressions)]
        kind = self._one_kind(node, terms)
        return Term(f"{name}({', '.join(term.sql for term in terms)})", kind)

    def _one_kind(self, node: exp.Expr, terms: list[Term]) -> Kind:
        kinds = sorted({term.kind for term in terms} - {Kind.ANY, Kind.NULL})
        if len(kinds) > 1:
            return self._problem(f"{shown(node)} mixes a {' with a '.join(kinds)}").kind
        return kinds[0] if kinds else Kind.ANY

    def _text_function(self, node: exp.Expr) -> Term:
        name = node.key  # lower, upper or length
        term = self._expect(node.this, Kind.TEXT, name)
        return Term(f"{name}({term.sql})", Kind.NUMBER if name == "length" else Kind.TEXT)

    def _number_function(self, node: exp.Expr) -> Term:
        name = node.key  # abs or round
        term = self._expect(node.this, Kind.NUMBER, name)
        places = node.args.get("decimals")
        if places is None:
            return Term(f"{name}(CAST({term.sql} AS DOUBLE))", Kind.NUMBER)
        digits = self.value(places).literal
        if not isinstance(digits, float) or not digits.is_integer() or not 0 <= digits <= 9:
            return self._problem(f"{shown(node)}: round takes a whole number of places from 0 to 9")
        return Term(f"round(CAST({term.sql} AS DOUBLE), {int(digits)})", Kind.NUMBER)


def _turns(sign: str, numbers: list[int]) -> list[int]:
    """Return at which counts of whole periods ``count sign numbers`` may turn."""
    if sign in {">=", "<"}:
        return numbers
    if sign in {">", "<="}:
        return [numbers[0] + 1]
    if sign == "BETWEEN":
        return [numbers[0], numbers[1] + 1]
    return [turn for number in numbers for turn in (number, number + 1)]


_Read = Callable[[Reader, exp.Expr], Term]
_HANDLERS: dict[type[exp.Expr], tuple[_Read, frozenset[str]]] = {
    node: (read, frozenset(arguments.split()))
    for nodes, read, arguments in (
        ((exp.Column,), Reader._column, "this"),
        ((exp.Literal,), Reader._literal, "this is_string"),
        ((exp.Boolean,), Reader._boolean, "this"),
        ((exp.Null,), lambda _reader, _node: Term("NULL", Kind.NULL), ""),
        ((exp.Paren,), Reader._paren, "this"),
        ((exp.And, exp.Or), Reader._connective, "this expression"),
        ((exp.Not,), Reader._not, "this"),
        ((exp.Is,), Reader._is, "this expression"),
        (tuple(_COMPARISONS), Reader._comparison, "this expression"),
        ((exp.Between,), Reader._between, "this low high"),
        ((exp.In,), Reader._in, "this expressions"),
        ((exp.Like, exp.ILike), Reader._like, "this expression negate"),
        ((exp.Anonymous,), Reader._since, "this expressions"),
        (tuple(_ARITHMETIC), Reader._arithmetic, "this expression"),
        ((exp.Neg,), Reader._negative, "this"),
        ((exp.Case,), Reader._case, "this ifs default"),
        ((exp.Coalesce,), Reader._choice, "this expressions"),
        ((exp.Greatest, exp.Least), Reader._choice, "this expressions ignore_nulls"),
        ((exp.Lower, exp.Upper, exp.Length), Reader._text_function, "this"),
        ((exp.Abs,), Reader._number_function, "this"),
        ((exp.Round,), Reader._number_function, "this decimals"),
    )
    for node in nodes
}
