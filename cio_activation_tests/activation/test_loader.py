"""What a correct file becomes."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from cio_activation.activation.expressions import gate_expression, moments_read, rule_expressions, vocabulary
from cio_activation.activation.models import (
    AttributeType,
    Case,
    Cases,
    DaysSince,
    ExitReason,
    ExpectNext,
    Flag,
    Lane,
    Property,
    PropertyType,
    Tiers,
    Value,
)
from cio_activation.activation.moment_source import MomentSource
from cio_activation.activation.moment_terms import MomentCount
from cio_activation.activation.moment_where import parse_where
from cio_activation.activation.problems import OldKey
from cio_activation_tests.activation.toys import ToyAudience, ToySettings, ToyTask, load, text


def prop(folder: Path, rule: str) -> Property:
    return load(folder, text(more_properties=f"p: {{{rule}, lane: daily, owner: a@example.com}}")).properties["p"]


def test_a_small_file_is_loaded_whole(tmp_path: Path) -> None:
    activation = load(tmp_path, text("match: {keys: [email]}\nprofile: {phone: null}\n"))
    assert activation.workspace.timezone == "America/New_York"
    assert activation.workspace.realtime_window == timedelta(minutes=15)
    assert activation.match.keys == ("email",)
    assert activation.profile.phone is None
    assert activation.profile.last_name == "last_name"
    assert activation.limits.guards.max_operations == 200_000
    assert activation.destinations == {"hubspot": ToySettings(), "pipedrive": ToySettings()}
    assert activation.attributes["gap"].source == "median_days_between_orders"
    assert activation.attributes["category"].source == "category"
    assert activation.attributes["joined_on"].type is AttributeType.DATE
    assert [p.name for p in activation.lane_properties(Lane.DAILY)] == ["lapse"]


@pytest.mark.parametrize(
    ("old", "new"), [("moments_kept", "moment_retention"), ("moment_bodies_kept", "moment_body_retention")]
)
def test_a_key_of_release_0_1_0_is_read_with_a_warning_that_names_its_line(tmp_path: Path, old: str, new: str) -> None:
    written = text(workspace=f"\n  currency: USD\n  {old}: 90d\n")
    (line,) = (n for n, content in enumerate(written.splitlines(), 1) if old in content)
    with pytest.warns(OldKey, match=rf"^activation\.yaml:{line}: workspace\.{old}: is called {new} now; rename it$"):
        activation = load(tmp_path, written)
    assert getattr(activation.workspace, new) == timedelta(days=90)


def test_an_audience_carries_its_options_as_models(tmp_path: Path) -> None:
    extra = """
    b:
      label: RET - B - Do
      version: 3
      owner: team:cx
      segment: 2
      lane: daily
      grace: 2h
      expires_after: 7d
      exit_on: [purchase]
      deliver:
        hubspot: {list: false, task: {subject: Call}}
        pipedrive:
    """
    audience = load(tmp_path, text(more_audiences=extra)).audiences["b"]
    assert audience.version == 3
    assert audience.grace == timedelta(hours=2)
    assert audience.expires_after == timedelta(days=7)
    assert audience.deliver["hubspot"] == ToyAudience(list=False, task=ToyTask(subject="Call"))
    assert audience.deliver["pipedrive"] == ToyAudience()


def test_leaving_the_segment_always_ends_a_stay(tmp_path: Path) -> None:
    written = text().replace("lane: realtime\n", "lane: realtime\n    exit_on: [purchase]\n", 1)
    audience = load(tmp_path, written).audiences["vip_cart"]
    assert audience.exit_on == (ExitReason.LEFT_SEGMENT, ExitReason.PURCHASE)


@pytest.mark.parametrize(
    ("rule", "expected", "kind", "labels", "sentence"),
    [
        (
            "days_since: joined_on, edges: [0, 30], labels: [today, new, old]",
            DaysSince(attribute="joined_on", edges=(0, 30), labels=("today", "new", "old")),
            PropertyType.ENUM,
            ("today", "new", "old"),
            "Whole days since joined on: today (0 to 0), new (1 to 30), old (31 and more).",
        ),
        (
            "tiers: cart_value, edges: [75, 1200.5], labels: [low, mid, high]",
            Tiers(attribute="cart_value", edges=(75, 1200.5), labels=("low", "mid", "high")),
            PropertyType.ENUM,
            ("low", "mid", "high"),
            "Cart value in tiers: low (below 75), mid (from 75), high (from 1,200.5).",
        ),
        (
            "expect_next: {from: last_order_at, every: gap, open: -36h, close: +7d, fallback_by: category}",
            ExpectNext(
                since="last_order_at",
                every="gap",
                open=timedelta(hours=-36),
                close=timedelta(days=7),
                fallback_by="category",
            ),
            PropertyType.ENUM,
            ("before", "open", "due", "overdue"),
            "Where the next order stands, expected gap after last order at: before, open (from 36h before it), "
            "due (until 7d after it), overdue.",
        ),
        (
            "flag: orders_count = 1 AND days_since(joined_on) >= 3",
            Flag(when="orders_count = 1 AND days_since(joined_on) >= 3"),
            PropertyType.FLAG,
            (),
            "True when orders_count = 1 AND days_since(joined_on) >= 3.",
        ),
        (
            "cases: [{label: a, when: unsubscribed}, {label: b, when: gap > 1}, {label: a, when: gap < 0}], "
            "otherwise: c",
            Cases(
                cases=(
                    Case(label="a", when="unsubscribed"),
                    Case(label="b", when="gap > 1"),
                    Case(label="a", when="gap < 0"),
                ),
                otherwise="c",
            ),
            PropertyType.ENUM,
            ("a", "b", "c"),
            "The first that holds: a when unsubscribed; b when gap > 1; a when gap < 0; otherwise c.",
        ),
        ("value: category", Value(attribute="category"), PropertyType.TEXT, (), "Category, as Customer.io holds it."),
    ],
)
def test_each_rule_becomes_its_model_and_a_sentence(
    tmp_path: Path, rule: str, expected: object, kind: PropertyType, labels: tuple[str, ...], sentence: str
) -> None:
    found = prop(tmp_path, rule)
    assert found.rule == expected
    assert (found.type, found.labels, found.description) == (kind, labels, sentence)


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [
        ("last_order_at", PropertyType.DATE),
        ("joined_on", PropertyType.DATE),
        ("cart_value", PropertyType.NUMBER),
        ("orders_count", PropertyType.NUMBER),
        ("gap", PropertyType.NUMBER),
    ],
)
def test_a_value_takes_the_type_of_its_attribute(tmp_path: Path, attribute: str, kind: PropertyType) -> None:
    assert prop(tmp_path, f"value: {attribute}").type is kind


def test_label_and_destinations_have_defaults_and_can_be_said(tmp_path: Path) -> None:
    plain = load(tmp_path, text()).properties["cart_tier"]
    assert (plain.label, plain.deliver) == ("Cart Tier", ("hubspot", "pipedrive"))
    said = prop(tmp_path, "value: gap, label: Gap (days), description: Usual gap., deliver: [pipedrive]")
    assert (said.label, said.description, said.deliver) == ("Gap (days)", "Usual gap.", ("pipedrive",))
    assert prop(tmp_path, "value: gap, deliver: []").deliver == ()
    assert prop(tmp_path, "value: gap, on_conflict: overwrite").type is PropertyType.NUMBER


@pytest.mark.parametrize("window", ["1m", "5m", "15m", "20m", "1h", "2h", "12h", "1d"])
def test_windows_that_fit_the_day_are_taken(tmp_path: Path, window: str) -> None:
    activation = load(tmp_path, text(workspace=f"{{realtime_window: {window}, start: 2026-03-01}}"))
    assert activation.workspace.start == date(2026, 3, 1)


def test_rooms_get_the_checked_expressions_of_gates_and_rules(tmp_path: Path) -> None:
    written = text(more_properties="p: {flag: days_since(joined_on) > 3, lane: daily, owner: a@example.com}")
    activation = load(tmp_path, written)
    gate = gate_expression(activation, activation.audiences["vip_cart"])
    assert gate is not None
    assert gate.columns == {"cart_value", "lapse"}
    (flag,) = rule_expressions(activation, activation.properties["p"])
    assert [clock.n for clock in flag.clocks] == [4]
    assert rule_expressions(activation, activation.properties["lapse"]) == ()
    types, labels = vocabulary(activation)
    assert types["lapse"] is PropertyType.ENUM
    assert labels == {"lapse": ("0-30", "31-90", "91+"), "cart_tier": ("low", "high")}


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    assert load(tmp_path, text()) == load(tmp_path, text())


def test_an_audience_may_start_from_a_moment(tmp_path: Path) -> None:
    extra = """
    b:
      label: CX - Help - Call
      owner: b@example.com
      moment: {name: requested_help, where: "order.Amount > 100 AND reason = 'size'"}
      lane: realtime
      gate: times('winback_sent', WITHIN 30 d) >= 2 OR NOT happened('Sent', '2h')
      expires_after: 48h
      deliver: {hubspot: {}}
    """
    loaded = load(tmp_path, text(more_audiences=extra))
    audience = loaded.audiences["b"]
    assert (audience.segment, audience.exit_on) == (None, ())
    assert audience.moment == MomentSource(name="requested_help", where="order.Amount > 100 AND reason = 'size'")
    assert moments_read(loaded, audience) == (
        MomentCount("Sent", timedelta(hours=2)),
        MomentCount("winback_sent", timedelta(days=30)),
    )
    assert 2 not in loaded.segments(Lane.REALTIME)


@pytest.mark.parametrize(
    ("where", "types"),
    [
        ("amount > 100 AND reason = 'size'", {"amount": "number", "reason": "text"}),
        ("Order.total BETWEEN 1 AND 2 OR NOT urgent", {"Order.total": "number", "urgent": "boolean"}),
        ("a IS NULL AND b LIKE 'x%' AND c IS TRUE", {"a": "text", "b": "text", "c": "boolean"}),
        ("coalesce(n, 0) * 2 >= 4 AND lower(s) IN ('a')", {"n": "number", "s": "text"}),
        ("'x' = (a) AND a <> b", {"a": "text", "b": "text"}),
        ("a < b", {"a": "number", "b": "number"}),
    ],
)
def test_a_field_of_a_body_is_read_as_what_it_is_compared_with(where: str, types: dict[str, str]) -> None:
    assert {field.path: field.type.value for field in parse_where(where).fields} == types
