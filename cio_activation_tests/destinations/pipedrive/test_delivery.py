"""First contact, quiet second runs, single changes, audiences shared by both lanes."""

from __future__ import annotations

import pytest

from cio_activation.activation.models import Lane
from cio_activation.destinations.pipedrive.api import TOKENS
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench, model

VIP, CART = LABELS["vip"], LABELS["cart"]
FULL = {"bucket": "low", "lapsed": False, "category": "Coffee & Ünïcode", "ordered_on": "2026-10-01", "spent": 12.5}


def people(bench: PipedriveBench) -> None:
    bench.person("c1", "ann@example.com", name="Ann Lee", **FULL)
    bench.person("c2", "bob@example.com", name="Bob Ray", bucket="high", lapsed=True, cart_tier="high")
    bench.person("c3", "new@example.com", name="Nora New", bucket="low", lapsed=False)
    bench.person("c4", "outside@example.com", name="Out Side", bucket="low", lapsed=False)
    bench.inside["vip"] = {"c1", "c3"}


def test_first_contact_links_creates_and_leaves_strangers_alone(bench: PipedriveBench) -> None:
    people(bench)
    report = bench.lane()
    assert dict(report.by_kind) == {"create": 1, "stamp": 2}
    assert report.delivered == report.planned == 3
    assert bench.fields("ann@example.com") == {
        "cio_id": "c1",
        "cio_audiences": [VIP],
        "cio_bucket": "low",
        "cio_lapsed": "false",
        "cio_category": "Coffee & Ünïcode",
        "cio_ordered_on": "2026-10-01",
        "cio_spent": 12.5,
    }
    assert bench.fields("bob@example.com") == {"cio_id": "c2", "cio_bucket": "high", "cio_lapsed": "true"}
    assert bench.there["new@example.com"]["name"] == "Nora New"
    assert bench.fields("new@example.com")["cio_audiences"] == [VIP]
    assert bench.fields("stranger@example.com") == {}
    assert "outside@example.com" not in bench.there
    links = bench.query("SELECT cio_id, matched_by, stamped FROM delivery.links WHERE record_id IS NOT NULL ORDER BY 1")
    assert links == [("c1", "email", True), ("c2", "email", True), ("c3", "created", True)]


def test_an_adopted_persons_name_email_and_phone_are_never_written(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    assert all(set(body) == {"custom_fields"} for body in bench.requests("PATCH"))
    assert bench.there["ann@example.com"]["phones"] == ["+12025550101"]
    assert bench.there["bob@example.com"]["emails"] == ["Bob@Example.com"]


def test_a_second_run_writes_nothing_and_reads_one_page(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    bench.lane(Lane.REALTIME)
    for lane in (Lane.DAILY, Lane.REALTIME):
        report = bench.lane(lane)
        assert report.planned == 0
        assert bench.calls == {"persons.list": 1}


def test_the_mirror_re_reads_what_we_wrote_once_and_then_only_the_overlap(make: Make) -> None:
    bench = make(create_people="everyone")
    bench.schema()
    for number in range(520):
        bench.person(f"p{number}", f"p{number}@example.com", lapsed=True)
    bench.lane()
    bench.shared.clock.advance(3_600)
    bench.lane()
    assert bench.calls == {"persons.list": 2}
    bench.edit("create_person", name="Later", emails=["later@example.com"])
    bench.lane()
    bench.shared.clock.advance(3_600)
    assert bench.lane().planned == 0
    assert bench.calls == {"persons.list": 1}


def test_one_change_is_one_patch_of_one_field(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    bench.shared.log.clear()
    bench.people["c1"]["values"]["bucket"] = "high"
    report = bench.lane()
    assert dict(report.by_kind) == {"update": 1}
    code, option = bench.catalog["field:bucket"], bench.catalog["option:bucket:high"]
    assert bench.requests("PATCH") == [{"custom_fields": {code: option}}]
    assert bench.fields("ann@example.com")["cio_bucket"] == "high"


def test_an_emptied_value_is_cleared_with_null(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    for name in ("bucket", "category", "ordered_on", "spent"):
        bench.people["c1"]["values"][name] = None
    assert bench.lane().rejected == 0
    assert bench.fields("ann@example.com") == {"cio_id": "c1", "cio_audiences": [VIP], "cio_lapsed": "false"}


def test_leaving_an_audience_takes_only_our_option(bench: PipedriveBench) -> None:
    field = bench.catalog["field:audiences"]
    bench.vendor.fields.by_code[field].options.append(type(bench.vendor.fields.by_code[field].options[0])(77, "Mine"))
    people(bench)
    bench.edit("set_field", person="ann@example.com", field="cio_audiences", value=["Mine"])
    bench.schema()
    bench.lane()
    assert set(bench.fields("ann@example.com")["cio_audiences"]) == {"Mine", VIP}
    bench.inside["vip"] = set()
    report = bench.lane()
    assert dict(report.by_kind) == {"update": 2}
    assert bench.fields("ann@example.com")["cio_audiences"] == ["Mine"]
    assert "cio_audiences" not in bench.fields("new@example.com")
    assert bench.lane().planned == 0


def test_an_option_a_colleague_added_after_our_schema_run_survives(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    field = bench.vendor.fields.by_code[bench.catalog["field:audiences"]]
    field.options.append(type(field.options[0])(78, "Fresh"))
    bench.edit("set_field", person="ann@example.com", field="cio_audiences", value=["Fresh", VIP])
    bench.inside["vip"] = set()
    bench.lane()
    assert bench.fields("ann@example.com")["cio_audiences"] == ["Fresh"]


def test_both_lanes_share_the_set_and_do_not_fight(bench: PipedriveBench) -> None:
    people(bench)
    bench.inside["cart"] = {"c1", "c2"}
    bench.lane()
    assert set(bench.fields("ann@example.com")["cio_audiences"]) == {VIP, CART}
    realtime = bench.lane(Lane.REALTIME)
    # Only state of its own lane: the audiences are there already.
    assert realtime.planned == 3
    assert all(bench.catalog["field:audiences"] not in b["custom_fields"] for b in bench.requests("PATCH")[-3:])
    bench.inside["cart"] = set()
    assert dict(bench.lane(Lane.REALTIME).by_kind) == {"update": 2}
    assert bench.fields("ann@example.com")["cio_audiences"] == [VIP]
    assert bench.lane().planned == 0
    assert bench.lane(Lane.REALTIME).planned == 0


def test_a_lane_with_audiences_only_works_without_state_fields(make: Make) -> None:
    bench = make(names=("bucket",))
    bench.schema()
    people(bench)
    for person in bench.people.values():
        person["values"] = {}
    bench.inside["cart"] = {"c1"}
    assert bench.lane(Lane.REALTIME).delivered == 3
    assert set(bench.fields("ann@example.com")["cio_audiences"]) == {VIP, CART}
    assert bench.lane(Lane.REALTIME).planned == 0


def test_exits_go_before_entries_and_plain_state(bench: PipedriveBench) -> None:
    people(bench)
    bench.lane()
    bench.inside["vip"] = {"c2", "c3"}
    bench.people["c3"]["values"]["bucket"] = "high"
    bench.lane()
    plans = sorted((bench.home / "plans").rglob("pipedrive-fields_daily-*.parquet"), key=lambda p: p.stat().st_mtime)
    rows = bench.query(f"SELECT cio_id, priority FROM read_parquet('{plans[-1]}')")
    assert rows == [("c1", 1000), ("c2", 500), ("c3", 0)]


def test_a_changed_person_costs_at_most_5_2_tokens(make: Make) -> None:
    bench = make([{"email": f"p{n}@example.com", "first_name": "P", "last_name": str(n)} for n in range(110)])
    bench.schema()
    for number in range(150):
        bench.person(f"p{number}", f"p{number}@example.com", bucket="low", lapsed=True)
    bench.inside["vip"] = {f"p{n}" for n in range(150)}
    used = bench.vendor.limits.used_today
    first = bench.lane()
    assert dict(first.by_kind) == {"create": 40, "stamp": 110}
    spent = bench.vendor.limits.used_today - used
    assert spent == bench.tokens
    assert spent / 150 <= 5.2
    for number in range(120):
        bench.people[f"p{number}"]["values"]["bucket"] = "high"
    used = bench.vendor.limits.used_today
    assert bench.lane().delivered == 120
    assert (bench.vendor.limits.used_today - used) / 120 <= 5.2


def test_nobody_is_created_with_never_and_everybody_with_everyone(make: Make) -> None:
    for option, created in (("never", 0), ("audience_members", 1), ("everyone", 2)):
        bench = make(create_people=option)
        bench.schema()
        people(bench)
        assert bench.lane().by_kind.get("create", 0) == created


def test_token_costs_are_those_of_the_stand_in(bench: PipedriveBench) -> None:
    rows = (o for (version, _), group in bench.vendor._operations.items() if version == 2 for o in group)
    table = {(o.method, "/".join(o.parts)): o.cost for o in rows}
    assert table["PATCH", "persons/{id}"] == TOKENS["persons.update"]
    assert table["POST", "persons"] == TOKENS["persons.create"]
    assert table["GET", "persons"] == TOKENS["persons.list"]
    assert table["GET", "personFields"] == TOKENS["personFields.list"]


def test_an_audience_that_left_the_activation_is_taken_from_everyone(bench: PipedriveBench) -> None:
    people(bench)
    bench.inside["cart"] = {"c1"}
    bench.lane()
    bench.use(model({"cart": bench.runtime.activation.audiences["cart"]}))
    bench.inside["vip"] = set()
    bench.schema()
    bench.lane()
    assert bench.fields("ann@example.com")["cio_audiences"] == [CART]
    assert "cio_audiences" not in bench.fields("new@example.com")


@pytest.mark.parametrize("status", [200, 201])
def test_what_is_made_is_taken_by_either_status(make: Make, status: int) -> None:
    bench = make()
    bench.edit("settings", created_status=status)
    bench.schema()
    bench.person("new", "new@example.com", bucket="low")
    bench.inside["vip"] = {"new"}
    assert bench.lane().delivered == 1
    assert bench.fields("new@example.com")["cio_bucket"] == "low"
    assert status in {e.status for e in bench.entries() if e.method == "POST" and e.path.endswith("/persons")}
