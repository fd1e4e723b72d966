"""What an expression may say, what it becomes, and how every refusal names its mend."""

import duckdb
import pytest

from cio_activation.activation.expressions import MAXIMUM_LENGTH, Clock, parse_expression
from cio_activation.activation.models import AttributeType, PropertyType
from cio_activation.errors import ConfigError

TYPES: dict[str, AttributeType | PropertyType] = {
    "amount": AttributeType.MONEY,
    "orders": AttributeType.INTEGER,
    "bought_at": AttributeType.TIMESTAMP,
    "born_on": AttributeType.DATE,
    "city": AttributeType.TEXT,
    "unsubscribed": AttributeType.BOOLEAN,
    "tier": PropertyType.ENUM,
    "vip": PropertyType.FLAG,
    "engaged_on": PropertyType.DATE,
    "select": AttributeType.NUMBER,
}
LABELS = {"tier": ("bronze", "gold", "platinum")}
ROW = """
    SELECT 150.0::DOUBLE AS amount, 9000000000000000000::BIGINT AS orders, TIMESTAMP '2026-01-01 06:00' AS bought_at,
        DATE '2026-01-01' AS born_on, 'Ulm' AS city, FALSE AS unsubscribed, 'gold' AS tier, TRUE AS vip,
        DATE '2026-01-30' AS engaged_on, 1.0::DOUBLE AS "select", TIMESTAMP '2026-02-01 00:00' AS as_of
"""


def evaluate(text: str) -> object:
    expression = parse_expression(text, TYPES, LABELS)
    return duckdb.connect().execute(f"SELECT {expression.sql} FROM ({ROW})").fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("amount >= 100 AND tier IN ('gold', 'platinum')", True),
        ("AMOUNT < 100 OR Tier = 'gold'", True),
        ("NOT (vip OR amount > 100)", False),
        ("amount BETWEEN 1.5 AND 2e2", True),
        ("amount NOT BETWEEN 1 AND 2", True),
        ("tier NOT IN ('gold')", False),
        ("city LIKE 'U%' AND city NOT ILIKE 'x%' AND lower(city) = 'ulm' AND length(upper(city)) = 3", True),
        ("city IS NOT NULL AND unsubscribed IS NOT TRUE AND vip IS TRUE", True),
        ("coalesce(city, 'none') <> 'none'", True),
        ("greatest(amount, orders) > least(amount, 5)", True),
        ("round(abs(-amount / 7), 1) = 21.4", True),
        ("CASE WHEN vip THEN amount ELSE 0 END + 1 > 100", True),
        ("CASE city WHEN 'Ulm' THEN 'a' END = 'a'", True),
        ("amount / (orders - orders) > 1", None),
        ("orders * orders > 1", True),
        ("orders + 9000000000000000000 > 0", True),
        ('"select" = 1', True),
        ("bought_at >= '2026-01-01' AND born_on < '2026-01-01 01:00'", True),
        ("bought_at < engaged_on", True),
        ("city = 'it''s'", False),
        ("days_since(bought_at) = 30 AND hours_since(bought_at) = 738", True),
        ("days_since(born_on) = 31", True),
        ("30 <= days_since(bought_at)", True),
        ("(days_since(bought_at)) IN (1, 30)", True),
        ("amount IN (-1, 150)", True),
    ],
)
def test_a_sound_expression_gives_what_it_says(text: str, result: object) -> None:
    assert evaluate(text) is result


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("amout > 1", "'amout' is not declared; did you mean 'amount'?"),
        ("p.city = 'x'", "p.city: names stand alone, without a table"),
        ("city IN (SELECT 'x')", "is not allowed"),
        ("amount > (SELECT 1)", "is not allowed"),
        ("EXISTS(SELECT 1)", "is not allowed"),
        ("SELECT 1", "cannot be read as one expression"),
        ("DROP TABLE people", "cannot be read as one expression"),
        ("ATTACH 'x'", "cannot be read as one expression"),
        ("vip; DROP TABLE people", "';' is not allowed"),
        ("vip;", "';' is not allowed"),
        ("vip -- really", "comments are not allowed"),
        ("/* really */ vip", "comments are not allowed"),
        ("vip AND", "cannot be read as one expression near 'AND'"),
        ("city = 'x", "check its quotes and brackets"),
        ("", "is empty"),
        ("md5(city) = 'x'", "the function md5 is not allowed"),
        ("lowr(city) = 'x'", "the function lowr is not allowed; did you mean 'lower'"),
        ("read_text('/etc/passwd') = city", "the function read_text is not allowed"),
        ("count(city) > 1", "the function count is not allowed"),
        ("amount > 1 AND row_number() OVER () = 1", "is not allowed"),
        ("bought_at > now()", "now is not allowed: the as-of is the only now"),
        ("bought_at > current_timestamp", "current_timestamp is not allowed: the as-of is the only now"),
        ("bought_at < as_of", "as_of is not allowed: the as-of is the only now"),
        ("city::INT = 1", "casts are not allowed"),
        ("TRY_CAST(city AS INT) = 1", "casts are not allowed"),
        ("amount % 2 = 1", "is not allowed"),
        ("city || 'x' = 'y'", "is not allowed"),
        ("city SIMILAR TO 'x'", "is not allowed"),
        ("amount = $1", "is not allowed"),
        ("amount = ?", "is not allowed"),
        ("COLUMNS('x')", "is not allowed"),
        ("*", "is not allowed"),
        ("amount BETWEEN SYMMETRIC 2 AND 1", "is not allowed"),
        ("lower(DISTINCT city) = 'x'", "is not allowed"),
        ("city IS DISTINCT FROM 'x'", "is not allowed"),
        ("amount", "gives a number, not true or false"),
        ("1 = 1", "reads no attribute or property"),
        ("city = 1", "compares a number with a text"),
        ("vip = 'true'", "compares a boolean with a text"),
        ("amount > '10'", "compares a number with a text"),
        ("amount IN (1, 'x')", "compares a number with a text"),
        ("amount IN (orders)", "IN takes constants only"),
        ("city IN tier", "city IN tier is not allowed"),
        ("amount = NULL", "write IS NULL or IS NOT NULL"),
        ("city + 1 > 2", "+ takes a number, but city is a text"),
        ("bought_at - born_on > 1", "- takes a number, but bought_at is a time"),
        ("amount AND vip", "AND takes a boolean, but amount is a number"),
        ("NOT amount", "NOT takes a boolean"),
        ("amount LIKE '1%'", "LIKE takes a text, but amount is a number"),
        ("coalesce(city, 1) = 'x'", "mixes a number with a text"),
        ("CASE WHEN vip THEN 1 ELSE 'x' END = 1", "mixes a number with a text"),
        ("bought_at > 'yesterday'", "'yesterday' is not a time in UTC"),
        ("bought_at > '2026-01-01T00:00:00+02:00'", "is not a time in UTC"),
        ("amount BETWEEN 5 AND 1", "write the smaller number first"),
        ("amount > 1e999", "too large a number"),
        ("tier = 'golden'", "'golden' is no label of tier; did you mean 'gold'? (labels: bronze, gold, platinum)"),
        ("tier IN ('gold', 'Gold')", "'Gold' is no label of tier"),
        ("tier <> 'x'", "'x' is no label of tier"),
        ("tier >= 'gold'", "labels have no order"),
        ("days_since(bought_at) + 1 > 30", "must be compared with a whole number right away"),
        ("days_since(bought_at) > orders", "compare days_since with a whole number"),
        ("days_since(bought_at) > days_since(born_on)", "must be compared with a whole number right away"),
        ("days_since(bought_at) IS NULL", "must be compared with a whole number right away"),
        ("round(days_since(bought_at)) > 1", "must be compared with a whole number right away"),
        ("days_since(bought_at) > 1.5", "compare days_since with a whole number from 0 to 36500"),
        ("days_since(bought_at) > -1", "compare days_since with a whole number"),
        ("hours_since(bought_at) > 99999999", "compare hours_since with a whole number"),
        ("days_since(city) > 1", "takes one attribute of type timestamp or date"),
        ("days_since(engaged_on) > 1", "takes one attribute of type timestamp or date"),
        ("days_since(bought_at, born_on) > 1", "takes one attribute of type timestamp or date"),
        ("days_since() > 1", "takes one attribute of type timestamp or date"),
        ("round(amount, 99) > 1", "whole number of places from 0 to 9"),
    ],
)
def test_everything_else_is_refused_with_its_mend(text: str, refusal: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expression(text, TYPES, LABELS)
    assert refusal in str(caught.value)


def test_all_problems_of_an_expression_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_expression("amout > 1 AND tier = 'golden' AND md5(city) = 'x'", TYPES, LABELS)
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "text", ["(" * 900 + "vip" + ")" * 900, "NOT " * 450 + "vip", "vip AND " * 300 + "vip", "((vip=" * 100 + "vip"]
)
def test_length_and_depth_have_a_limit_and_never_a_traceback(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_expression(text, TYPES)


def test_a_long_chain_within_the_limit_is_fine() -> None:
    text = " AND ".join(["vip"] * 240)
    assert len(text) < MAXIMUM_LENGTH
    assert parse_expression(text, TYPES).sql.count("AND") == 239


def test_nested_comparisons_are_read_once_each() -> None:
    text = "(" * 25 + "vip" + " = vip)" * 25
    assert parse_expression(text, TYPES).sql.count('"vip"') == 26


def test_columns_are_what_the_expression_reads() -> None:
    assert parse_expression("AMOUNT > 1 AND days_since(bought_at) > 3", TYPES).columns == {"amount", "bought_at"}


@pytest.mark.parametrize(
    ("test", "turns"),
    [
        (">= 60", [60]),
        ("< 60", [60]),
        ("> 60", [61]),
        ("<= 60", [61]),
        ("= 60", [60, 61]),
        ("<> 60", [60, 61]),
        ("BETWEEN 21 AND 35", [21, 36]),
        ("IN (1, 5)", [1, 2, 5, 6]),
        (">= 0", []),
        ("= 0", [1]),
    ],
)
def test_clocks_are_the_counts_at_which_the_value_may_turn(test: str, turns: list[int]) -> None:
    clocks = parse_expression(f"vip OR NOT (days_since(bought_at) {test})", TYPES).clocks
    assert clocks == tuple(Clock("bought_at", "days", n) for n in turns)


def test_clocks_of_several_attributes_and_units_are_all_there() -> None:
    text = "days_since(born_on) > 1 AND 2 > hours_since(bought_at) AND days_since(born_on) > 1"
    assert parse_expression(text, TYPES).clocks == (Clock("born_on", "days", 2), Clock("bought_at", "hours", 2))


def test_a_name_whose_declaration_is_broken_may_stand_anywhere() -> None:
    expression = parse_expression("ghost > 1 AND ghost = 'x' AND days_since(ghost) > 3", {}, unchecked={"ghost"})
    assert expression.columns == {"ghost"}
