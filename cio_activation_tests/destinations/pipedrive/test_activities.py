"""Activities: what a human finds, once an entry, brought up to date, and taken back when the reason ends.

One story for all: windows are run once, and each test looks at one person in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.destinations.pipedrive.api import TOKENS, tokens
from cio_activation_tests.destinations.pipedrive.desk import Desk, asking, desk, spent
from cio_activation_tests.drivers.pipedrive import model
from cio_activation_tests.drivers.tables import noting

Story = dict[str, Any]
STAYS = ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "c10")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    audiences = (asking("call"), asking("drop", on_end="delete"), asking("mail", type="email"))
    with desk(tmp_path_factory.mktemp("desk"), 12, *audiences) as its:
        yield _story(its)


def _story(its: Desk) -> Story:
    bench, seen = its.bench, Story()

    def look(name: str, *people: str) -> None:
        seen[name] = {one: (its.of(one), its.known(one), its.known(one, "told_end")) for one in people}

    seen["organization"] = bench.edit("add_organization", name="Lee & Sons")["id"]
    bench.edit("set_person", person="c1@example.com", org_id=seen["organization"])
    bench.edit("deactivate_type", key="email")
    bench.schema()
    its.enter("call", *STAYS)
    its.enter("call", "c9", owner_id="4")
    its.enter("drop", "c8")
    its.enter("mail", "c11")
    seen["wrote first"] = its.run()
    seen["reports"] = dict(bench.reports)
    seen["entry"], seen["person"] = its.entry_ids["c1"], bench.there["c1@example.com"]["id"]
    seen["due"] = its.known("c1", "CAST(due_at AS VARCHAR)")
    look("made", *STAYS, "c8", "c9", "c11")

    bench.vendor.company.account.types["email"]["active_flag"] = True
    bench.schema()
    seen["wrote again"] = its.run()
    look("later", "c11")

    its.edit_of("c3", note=its.one("c3")["note"] + "<p>She calls back on Monday</p>")
    its.edit_of("c5", "complete_activity")
    its.edit_of("c6", "delete_activity")
    its.edit_of("c7", due_date="2026-11-20", owner_id=3)
    its.enter("call", *STAYS, evidence=spent(40))
    its.run()
    seen["reports of changes"] = dict(bench.reports)
    look("changed", *STAYS)

    its.edit_of("c4", subject="C4: called twice")
    its.leave("call", **dict.fromkeys(("c1", "c3", "c5", "c6", "c7"), "purchase"), c2="expired", c4="left_segment")
    its.leave("drop", c8="purchase")
    seen["wrote at the end"] = its.run()
    seen["reports of ends"] = dict(bench.reports)
    look("left", *STAYS, "c8")

    its.enter("call", "c1")
    seen["wrote after the end"] = its.run()
    look("after", *STAYS, "c8")
    seen["wrote in quiet"] = its.run()

    bench.edit("delete_person", person="c12@example.com")
    its.enter("call", "c12")
    seen["gone"] = bench.step("activity/call")
    seen["link of the gone"] = bench.query("SELECT record_id FROM delivery.links WHERE cio_id = 'c12'")

    bench.fault(kind="reset", when="after", method="POST", path="/api/v2/activities")
    its.enter("call", "c2")
    its.run()
    bench.use(model({}, ("spent",)))
    its.run()
    look("removed", "c2", "c10", "c12")
    return seen


def test_who_enters_is_somebodys_activity_with_its_reason(told: Story) -> None:
    ((made,), status, _) = told["made"]["c1"]
    assert (made["type"], made["owner_id"], made["org_id"]) == ("call", 2, told["organization"])
    assert (made["due_date"], made["due_time"], made["done"]) == ("2026-11-03", "15:30:00", False)
    assert (made["person_id"], made["participants"]) == (
        told["person"], [{"person_id": told["person"], "primary": True}]
    )  # fmt: skip
    assert made["public_description"] is None
    assert made["priority"] == 2  # medium, as the company's fields number it
    assert made["subject"] == "Call - about <b>bold</b> offers"
    lines = made["note"].removeprefix("<p>").removesuffix("</p>").split("</p><p>")
    assert lines[0] == "Ask what went wrong &amp; listen."
    assert lines[1] == "Why now: in Customer.io segment 1 since Sat 31 Oct 2026, 08:00 UTC."
    assert lines[-1] == f"[activity:{told['entry']}:1]"
    assert (status, told["due"]) == (["open"], ["2026-11-03 15:30:00"])


def test_it_costs_the_reading_of_its_person_and_five_tokens(told: Story) -> None:
    report = told["reports"]["activity/drop"]
    calls = {name: count for name, count in report.calls.items() if name != "users.me"}
    assert tokens(calls) == report.units == TOKENS["persons.get"] + TOKENS["activities.create"]


def test_each_write_to_one_costs_its_reading_and_five_tokens_or_three(told: Story) -> None:
    """The vendor has no batch of activities: a thousand taken back are two thousand calls."""
    read = TOKENS["activities.get"]
    for reports in ("reports of changes", "reports of ends"):
        report = told[reports]["activity/call"]
        there = sum(count for kind, count in report.by_kind.items() if kind != "open_activity")
        assert report.calls["activities.get"] == there >= report.calls["activities.update"] > 0
        assert set(report.calls) <= {
            "users.me", "persons.get", "activities.create", "activities.get", "activities.update",
        }  # fmt: skip
    dropped = told["reports of ends"]["activity/drop"]
    calls = {name: count for name, count in dropped.calls.items() if name != "users.me"}
    assert tokens(calls) == read + TOKENS["activities.delete"]


def test_nothing_changed_writes_nothing(told: Story) -> None:
    assert len(told["wrote first"]) == len(STAYS) + 1  # with c8
    assert told["wrote again"] == ["POST /api/v2/activities"]  # for c11, whose type came back
    assert told["wrote in quiet"] == []


def test_new_evidence_writes_the_text_and_nothing_else(told: Story) -> None:
    ((before,), _, _), ((after,), _, _) = told["made"]["c1"], told["changed"]["c1"]
    assert "<p>Spent: 40</p>" in after["note"]
    assert {name for name, value in after.items() if before[name] != value} <= {"note", "update_time"}


def test_when_the_reason_ends_what_nobody_took_up_is_done_with_a_line_or_deleted(told: Story) -> None:
    ((left,), status, _) = told["left"]["c1"]
    assert (left["done"], status) == (True, ["withdrawn"])
    assert left["note"].endswith("<p>Nothing to do any more: the person bought.</p>")
    assert told["left"]["c8"][:2] == ([], ["withdrawn"])
    assert [a["done"] for a in told["after"]["c1"][0]] == [True, False]  # the next entry has another one


def test_what_expired_says_so(told: Story) -> None:
    ((left,), status, _) = told["left"]["c2"]
    assert "its time is over" in left["note"]
    assert status == ["expired"]


def test_what_a_human_wrote_stays_and_gets_one_line_when_the_reason_ends(told: Story) -> None:
    ((changed,), status, _) = told["changed"]["c3"]
    assert ("Spent" in changed["note"], status) == (False, ["taken_up"])
    ((left,), status, told_end) = told["left"]["c3"]
    assert left["note"].endswith("Monday</p><p>Nothing to do any more: the person bought.</p>")
    assert (left["done"], status, told_end) == (False, ["taken_up"], [True])


def test_what_a_human_took_up_since_our_last_run_is_not_withdrawn(told: Story) -> None:
    ((left,), status, _) = told["left"]["c4"]
    assert (left["done"], left["subject"], status) == (False, "C4: called twice", ["taken_up"])
    ((after,), _, told_end) = told["after"]["c4"]
    assert "the person left the segment" in after["note"]
    assert (after["done"], told_end) == (False, [True])


def test_what_a_human_finished_is_neither_changed_nor_withdrawn(told: Story) -> None:
    # While its reason lasts the next reading of actions tells it, with its time.
    assert [told["changed"][one][1] for one in ("c5", "c6")] == [["open"], ["open"]]
    assert "Spent" not in told["changed"]["c5"][0][0]["note"]
    assert [told["left"][one][1] for one in ("c5", "c6")] == [["done"], ["deleted"]]
    assert len(told["wrote at the end"]) == 5  # c1, c2, c3, c7, c8


def test_snoozed_or_given_to_somebody_else_it_is_still_brought_up_to_date_and_withdrawn(told: Story) -> None:
    ((changed,), _, _) = told["changed"]["c7"]
    assert (changed["due_date"], changed["owner_id"]) == ("2026-11-20", 3)
    assert "<p>Spent: 40</p>" in changed["note"]
    assert told["left"]["c7"][1] == ["withdrawn"]


def test_an_owner_who_was_deactivated_is_a_rejection_that_says_so(told: Story) -> None:
    report = told["reports"]["activity/call"]
    assert report.rejected == 1
    assert "its owner cannot be given work in Pipedrive" in next(iter(report.reasons))
    assert told["made"]["c9"][0] == []


def test_an_unknown_type_waits_for_the_schema_step(told: Story) -> None:
    reasons = dict(told["reports"]["activity/mail"].reasons)
    assert reasons == {"there is no activity type 'email' in use in Pipedrive": 1}
    assert [a["type"] for a in told["later"]["c11"][0]] == ["email"]


def test_a_gone_person_is_let_go_of_and_nothing_is_made(told: Story) -> None:
    assert dict(told["gone"].reasons).get("record is gone") == 1
    assert told["link of the gone"] == []
    assert told["removed"]["c12"][0] == []


def test_of_an_audience_that_left_the_activation_what_is_open_is_taken_back(told: Story) -> None:
    ((left,), status, _) = told["removed"]["c10"]
    assert (left["done"], status) == (True, ["withdrawn"])
    assert "the audience was removed" in left["note"]


def test_what_was_made_without_an_answer_before_its_audience_left_is_found_and_taken_back(told: Story) -> None:
    activities, status, _ = told["removed"]["c2"]
    assert [a["done"] for a in activities] == [True, True]
    assert status == ["expired", "withdrawn"]


def test_the_real_time_lane_looks_at_those_whose_entry_or_action_changed(tmp_path: Path) -> None:
    with desk(tmp_path, 4, asking("call", Lane.REALTIME)) as its:
        its.run(Lane.REALTIME)

        def again() -> tuple[int, int | None]:  # in the same window
            report = its.bench.step("activity/call")
            return report.delivered, report.people_in_scope

        its.enter("call", "c1", "c2", "c3")
        assert again() == (3, 3)
        its.enter("call", "c1", "c2", evidence=spent(40))
        run = its.bench.runtime
        with run.warehouse.write() as con, noting(con, "delivery.actions"):  # as whoever hears back does
            con.execute("UPDATE delivery.actions SET status = 'done' WHERE cio_id = 'c2'")
        assert again() == (1, 3)
        its.leave("call", c1="purchase", c2="done", c3="purchase")
        assert again() == (2, 3)
        assert again() == (0, 2)
        assert again() == (0, 0)
