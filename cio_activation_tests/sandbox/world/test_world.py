"""The world: the same for the same seed and instant, moved by the clock and by hand, and a little dirty."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest

from cio_activation.sandbox.world import orders
from cio_activation.sandbox.world.dirty_data import BAD_TIMES, KINDS
from cio_activation.sandbox.world.orders import Orders
from cio_activation.sandbox.world.snapshot import Snapshot
from cio_activation.sandbox.world.world import World
from cio_activation_tests.drivers.stand_ins.customerio import DAY, NOON, small_world

PEOPLE = 400


@pytest.fixture(scope="module")
def world() -> World:
    return small_world(PEOPLE, dirty_share=0.03)


@pytest.fixture(scope="module")
def noon(world: World) -> Snapshot:
    return world.at(NOON)


def history(*rows: tuple[str, float, float, str | None]) -> Orders:
    """Return orders of (customer, days before noon, value, category)."""
    table = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "order_id": [f"o{n}" for n in range(len(rows))],
            "ordered_at": [int(NOON - row[1] * DAY) for row in rows],
            "value": [row[2] for row in rows],
            "category": pa.array([row[3] for row in rows], pa.string()),
        }
    )
    return Orders(table, NOON, "by hand")


def clean(*rows: tuple[str, float, float, str | None]) -> tuple[World, str]:
    """Return a world of one customer without dirty data or newcomers, and the customer's cio_id."""
    made = World(history(*rows), dirty_share=0, newcomer_share=0)
    return made, next(iter(made.at(NOON).identifiers))


def test_the_world_is_the_same_again_at_the_same_instant(noon: Snapshot) -> None:
    again = small_world(PEOPLE, dirty_share=0.03)
    again.at(NOON + 9 * DAY)
    assert again.at(NOON).everyone() == noon.everyone()
    assert [again.at(NOON).members(s) for s in range(1, 11)] == [noon.members(s) for s in range(1, 11)]


def test_another_seed_gives_other_people_with_the_same_cio_ids(noon: Snapshot) -> None:
    other = World(orders.generate(PEOPLE, 7, ends_at=NOON), seed=8).at(NOON)
    assert other.identifiers.keys() == noon.identifiers.keys()
    assert other.everyone() != noon.everyone()


def test_a_cio_id_is_lower_case_hexadecimal(noon: Snapshot) -> None:
    assert all(re.fullmatch(r"[0-9a-f]{24,}", cio_id) for cio_id in noon.identifiers)
    assert len(noon) == PEOPLE


def test_every_segment_has_members_and_the_manual_one_none(world: World, noon: Snapshot) -> None:
    counts = {number: noon.count(number) for number in world.segments}
    assert counts.pop(11) == 0
    assert counts.pop(10) == PEOPLE
    assert all(0 < count < PEOPLE / 2 for count in counts.values()), counts


def test_life_goes_on_for_thirty_days_beyond_the_history(world: World) -> None:
    for day in (1, 10, 30):
        before, after = world.at(NOON + (day - 1) * DAY), world.at(NOON + day * DAY)
        orders_before, orders_after = (sum(p.facts["orders_count"].to_pylist()) for p in (before, after))
        assert orders_after > orders_before
        opened = [c for c in after.facts["cart_updated_at"].to_pylist() if c and c > before.at]
        assert opened


def test_about_three_in_a_hundred_are_dirty_each_kind_in_turn(noon: Snapshot) -> None:
    kinds = Counter(noon.facts["dirty_kind"].to_pylist())
    del kinds[None]
    assert 0.02 * PEOPLE <= kinds.total() <= 0.04 * PEOPLE
    assert kinds.keys() == set(KINDS)
    assert max(kinds.values()) - min(kinds.values()) <= 1


def dirty(noon: Snapshot, kind: str) -> dict[str, str]:
    row = next(r for r in noon.facts.to_pylist() if r["dirty_kind"] == kind)
    return noon.attributes([row["cio_id"]])[row["cio_id"]]


def test_each_kind_of_dirt_shows(noon: Snapshot) -> None:
    emails = Counter((a.get("email") or "").strip().lower() for a in noon.everyone())
    ids = [a["id"] for a in noon.everyone() if "id" in a]
    upper = dirty(noon, "upper_email")["email"]
    assert upper == upper.upper()
    padded = dirty(noon, "padded_email")["email"]
    assert padded != padded.strip()
    assert "email" not in dirty(noon, "missing_email")
    assert emails[dirty(noon, "shared_email")["email"].strip().lower()] == 2
    assert not re.fullmatch(r"\+1[2-9]\d{2}55501\d\d", dirty(noon, "bad_phone")["phone"])
    assert dirty(noon, "bad_last_order_at")["last_order_at"] in BAD_TIMES
    assert dirty(noon, "bad_cart_updated_at")["cart_updated_at"] in BAD_TIMES
    twin = dirty(noon, "twin_id")["id"]
    assert [i.lower() for i in ids].count(twin.lower()) == 2
    assert ids.count(twin) == 1


def test_some_are_known_by_email_only_and_some_ids_look_like_numbers(noon: Snapshot) -> None:
    people = noon.everyone()
    nameless = [a for a in people if "id" not in a]
    assert 0 < len(nameless) < 0.06 * PEOPLE
    assert all("email" in a for a in nameless)
    numbers = [a["id"] for a in people if a.get("id", "").isdigit()]
    assert 0 < len(numbers) < 0.04 * PEOPLE
    assert all(value.startswith("00") for value in numbers)


def test_times_are_seconds_for_most_and_iso_text_for_some(noon: Snapshot) -> None:
    forms = Counter("T" in a["first_order_at"] for a in noon.everyone() if "first_order_at" in a)
    assert 0 < forms[True] < 0.25 * forms.total()
    assert all(a["created_at"].isdigit() for a in noon.everyone())


def test_emails_and_phones_can_reach_nobody(noon: Snapshot) -> None:
    people = [a for a, kind in zip(noon.everyone(), noon.facts["dirty_kind"].to_pylist(), strict=True) if kind is None]
    assert all(a["email"].endswith("@example.com") for a in people)
    phones = [a["phone"] for a in people if "phone" in a]
    assert all(re.fullmatch(r"\+1[2-9]\d{2}55501\d\d", phone) for phone in phones)


def test_the_attributes_follow_from_the_orders() -> None:
    made, cio_id = clean(("a", 40, 10, "tea"), ("a", 30, 50, "tea"), ("a", 10, 30, "coffee"), ("a", 4, -20, None))
    fact = made.at(NOON).fact(cio_id)
    assert fact["orders_count"] == 3
    assert fact["total_spent"] == 90
    assert fact["average_order_value"] == 30
    assert fact["median_days_between_orders"] == 15
    assert (fact["last_category"], fact["top_category"]) == ("coffee", "tea")
    assert (fact["first_order_at"], fact["last_order_at"]) == (NOON - 40 * DAY, NOON - 10 * DAY)
    assert (fact["refund_count"], fact["last_refund_at"]) == (1, NOON - 4 * DAY)
    earlier = made.at(NOON - 20 * DAY).fact(cio_id)
    assert (earlier["orders_count"], earlier["total_spent"], earlier["refund_count"]) == (2, 60, 0)


@pytest.mark.parametrize(
    ("days", "inside"), [(90.9, False), (91.1, True), (180.9, True), (181.1, False)]
)  # fmt: skip
def test_lapsed_is_91_to_180_whole_days(days: float, inside: bool) -> None:
    made, cio_id = clean(("a", days, 10, None), ("a", days + 20, 10, None))
    assert (cio_id in made.at(NOON).members(3)) is inside


def test_a_cart_shows_until_it_is_bought_or_72_hours_old() -> None:
    made, cio_id = clean(("a", 50, 400, "tea"), ("a", 20, 400, "tea"))
    made.fill_cart(cio_id, NOON, 250)
    assert cio_id in made.at(NOON + 1).members(2)
    assert cio_id not in made.at(NOON + 7_199).members(1)
    assert cio_id in made.at(NOON + 7_200).members(1)
    assert cio_id not in made.at(NOON + 48 * 3600).members(1)
    assert made.at(NOON + 72 * 3600 - 1).fact(cio_id)["cart_stage_raw"] == "cart"
    expired = made.at(NOON + 72 * 3600).fact(cio_id)
    assert (expired["cart_stage_raw"], expired["cart_value"]) == ("empty", 0)
    made.place_order(cio_id, NOON + 9_000, 250, "tea")
    bought = made.at(NOON + 9_000).fact(cio_id)
    assert (bought["cart_stage_raw"], bought["last_order_at"], bought["orders_count"]) == ("empty", NOON + 9_000, 3)
    assert made.at(NOON + 8_999).fact(cio_id)["cart_stage_raw"] == "cart"


def test_a_checkout_can_be_cleared_by_hand() -> None:
    made, cio_id = clean(("a", 50, 400, "tea"))
    made.fill_cart(cio_id, NOON, 80, "checkout")
    assert made.at(NOON).fact(cio_id)["cart_stage_raw"] == "checkout"
    made.clear_cart(cio_id, NOON + 60)
    assert made.at(NOON + 60).fact(cio_id)["cart_stage_raw"] == "empty"


def test_a_winback_click_counts_until_the_next_order() -> None:
    made, cio_id = clean(("a", 120, 50, "tea"), ("a", 160, 50, "tea"))
    before = made.at(NOON).fact(cio_id)
    assert before["winback_sent_at"] is not None
    made.click(cio_id, NOON + 10, "winback")
    after = made.at(NOON + 10).fact(cio_id)
    assert after["winback_clicked_at"] == after["last_clicked_at"] == NOON + 10
    assert cio_id in made.at(NOON + 10).members(7)
    made.place_order(cio_id, NOON + 20, 30)
    assert cio_id not in made.at(NOON + 20).members(7)


def test_two_questions_and_a_refund_show_in_their_segments() -> None:
    made, cio_id = clean(("a", 50, 50, "tea"), ("a", 70, 50, "tea"))
    made.click(cio_id, NOON, "wismo")
    assert cio_id not in made.at(NOON).members(9)
    made.click(cio_id, NOON + 5, "wismo")
    assert cio_id in made.at(NOON + 5).members(9)
    assert cio_id not in made.at(NOON + 31 * DAY).members(9)
    made.place_order(cio_id, NOON + 6, -50)
    assert cio_id in made.at(NOON + 6).members(8)
    assert made.at(NOON + 6).fact(cio_id)["orders_count"] == 2


def test_an_attribute_set_by_hand_moves_segments_until_an_action_overtakes_it() -> None:
    made, cio_id = clean(("a", 20, 50, "tea"), ("a", 40, 50, "tea"))
    made.set_attribute(cio_id, "last_order_at", str(int(NOON - 100 * DAY)))
    assert cio_id in made.at(NOON).members(3)
    assert made.at(NOON).attributes([cio_id])[cio_id]["last_order_at"] == str(int(NOON - 100 * DAY))
    made.set_attribute(cio_id, "last_order_at", "last week")
    assert cio_id not in made.at(NOON).members(3)
    made.place_order(cio_id, NOON, 10)
    assert made.at(NOON).fact(cio_id)["last_order_at"] == NOON


def test_newcomers_join_a_history_that_has_none_and_come_over_time() -> None:
    old = [(f"c{n}", 300 - k * 20.0, 20.0, "tea") for n in range(100) for k in range(14)]
    made = World(history(*old), dirty_share=0)
    assert len(World(history(*old), newcomer_share=0).at(NOON)) == 100
    counts = [len(made.at(NOON + days * DAY)) for days in (-100, 0, 59)]
    assert 100 <= counts[0] < counts[2] == 103
    assert counts == sorted(counts)


def test_the_crm_knows_some_people_some_in_other_letter_case(world: World, noon: Snapshot) -> None:
    seed = world.crm_seed(0.3)
    assert 0.2 * PEOPLE < len(seed) < 0.4 * PEOPLE
    assert seed == small_world(PEOPLE, dirty_share=0.03).crm_seed(0.3)
    known = {(email or "").lower() for _, _, email in noon.identifiers.values()}
    assert all(row["email"].lower() in known for row in seed)
    assert any(row["email"] != row["email"].lower() for row in seed)


def test_a_limit_keeps_that_many_people_with_their_orders() -> None:
    made = World(orders.generate(200, 7, ends_at=NOON), people_limit=50, dirty_share=0)
    whole: dict[str, Any] = {a["cio_id"]: a for a in small_world(200, dirty_share=0).at(NOON).everyone()}
    people = made.at(NOON).everyone()
    assert len(people) == 50
    assert all(whole[a["cio_id"]]["total_spent"] == a["total_spent"] for a in people)
