"""What an attribute is taken for, by its name and values, in shops that call things otherwise."""

from __future__ import annotations

from datetime import datetime

import pytest

from cio_activation.activation.models import AttributeType
from cio_activation.onboarding.attributes import ENOUGH, AttributeFound, count, rounded
from cio_activation.onboarding.meanings import Meaning, is_personal, meaning_of
from cio_activation.onboarding.properties import drafted, recognised
from cio_activation.onboarding.purposes import purpose_of

NOW = datetime(2026, 11, 30)
EPOCH = 1_795_000_000


def found(**cells: list[str]) -> dict[str, AttributeFound]:
    """Return what a sample of people with these cells comes to; an empty cell is no attribute."""
    size = max(len(values) for values in cells.values())
    profiles = [{n: v[i] for n, v in cells.items() if i < len(v) and v[i]} for i in range(size)]
    return {a.name: a for a in count(profiles, NOW)[0]}


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("lastOrderAt", ["2026-11-01T10:00:00Z"] * 9, "timestamp"),
        ("lastOrderAt", [str(EPOCH + i) for i in range(9)], "timestamp"),
        ("trial_ends", [f"2026-11-{i:02}" for i in range(1, 10)], "date"),
        ("member_number", [str(EPOCH + i) for i in range(9)], "integer"),
        ("visits", ["0", "1", "1", "0"], "integer"),
        ("is_member", ["0", "1", "1", "0"], "boolean"),
        ("likes_tea", ["true", "false", "yes"], "boolean"),
        ("cart_total", ["12", "13", "7"], "money"),
        ("score", ["0.5", "1", "2.25"], "number"),
        ("favourite_colour", ["red", "12", "blue"], "text"),
        ("visits", ["1"] * 19 + ["many"], "integer"),  # dirt: one of twenty
        ("visits", ["1"] * 8 + ["many", "few"], "text"),
    ],
)
def test_a_type_is_what_nine_of_ten_values_read_as(name: str, cells: list[str], kind: str) -> None:
    assert found(**{name: cells})[name].type == kind


@pytest.mark.parametrize(
    ("name", "kind", "meaning"),
    [
        ("lastOrderAt", "timestamp", Meaning.LAST_ORDER),
        ("Last Purchase Date", "timestamp", Meaning.LAST_ORDER),
        ("last_order_value", "money", None),
        ("last_order_at", "text", None),
        ("LTV", "money", Meaning.SPENT),
        ("total_spent", "integer", Meaning.SPENT),
        ("ordersCount", "integer", Meaning.ORDERS),
        ("number_of_orders", "integer", Meaning.ORDERS),
        ("cart_total", "money", Meaning.CART_VALUE),
        ("abandonedCheckoutValue", "number", Meaning.CART_VALUE),
        ("avg_order_value", "money", Meaning.AVERAGE),
        ("favorite_category", "text", Meaning.FAVOURITE),
        ("last_seen", "timestamp", None),
    ],
)
def test_a_meaning_is_a_name_and_a_type_that_fits(name: str, kind: str, meaning: Meaning | None) -> None:
    assert meaning_of(name, AttributeType(kind)) is meaning


def test_what_may_say_who_somebody_is_has_no_quantiles() -> None:
    cells = [str(i) for i in range(1, 60)]
    told = found(age=cells, zip_code=cells, customerId=cells, loyalty_points=cells)
    assert {name for name, a in told.items() if a.quantiles} == {"loyalty_points"}
    assert all(is_personal(name) for name in ("Phone Number", "homeAddress", "birthday", "id", "firstName"))
    assert not any(is_personal(name) for name in ("last_order_at", "cart_value", "widget_count", "page_views"))


def test_a_quantile_needs_enough_people_and_shows_two_figures() -> None:
    few = found(points=[str(100 + i) for i in range(ENOUGH - 1)])["points"]
    many = found(points=[str(1000 + i) for i in range(ENOUGH)])["points"]
    assert few.quantiles == {}
    assert set(many.quantiles.values()) == {1000.0}
    assert [rounded(v) for v in (1234.0, 0.0567, 99.6, 0.0)] == [1200.0, 0.057, 100.0, 0.0]


def test_names_that_look_like_values_are_counted_and_not_told() -> None:
    told, left_out = count([{"ann@example.com": "1", "order 4915123": "1", "x" * 61: "1", "visits": "2"}], NOW)
    assert ([a.name for a in told], left_out) == (["visits"], 3)


def test_edges_follow_the_values_and_fall_back_where_there_are_too_few() -> None:
    spent = [str(10 * i) for i in range(1, 101)]
    days = [f"2026-11-{1 + i % 28:02}T00:00:00Z" for i in range(100)]
    made = {
        p.name: p for p in drafted(recognised(list(found(ltv=spent, last_purchase=days, cart_value=["50"]).values())))
    }
    assert made["ltv_tier"].rule["edges"] == [500, 800, 950]
    assert "everybody into one bucket" in made["lapse_bucket"].why[0]
    assert made["lapse_bucket"].rule["edges"][-1] < 30
    assert made["cart_value_tier"].rule["edges"] == [75, 200]
    assert "made up" in made["cart_value_tier"].why[0]
    flat = drafted(recognised(list(found(ltv=["5"] * 50).values())))
    assert flat[0].rule["labels"] == ["bronze", "platinum"]


def test_two_attributes_for_one_meaning_are_named() -> None:
    told = recognised(list(found(ltv=["5"] * 50, total_spent=["5"] * 30).values()))
    assert told.by_meaning[Meaning.SPENT].name == "ltv"
    assert told.doubtful == ["total_spent could be total_spent as well as ltv, which more people have"]


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("Abandoned checkout (2h)", "cart_rescue"),
        ("High-value lapsed", "churn_risk_outreach"),
        ("Inactive for 90 days", "lapsed"),
        ("VIP lapsed 60 days", "churn_risk_outreach"),
        ("Returning customers", None),
        ("Returns last 30 days", "recent_refund"),
        ("Newsletter", None),
        ("Win-back: clicked", "winback_clicked"),
    ],
)
def test_a_purpose_is_read_off_a_segments_name(name: str, purpose: str | None) -> None:
    assert getattr(purpose_of(name), "name", None) == purpose
