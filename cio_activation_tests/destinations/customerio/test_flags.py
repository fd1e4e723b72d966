"""Who is marked in Customer.io, as what, until when, and that it is taken back."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from cio_activation.activation.models import Lane
from cio_activation.activation.outcomes import Outcomes
from cio_activation.delivery.resync import leave_account, resync
from cio_activation.destinations.customerio import DESTINATION
from cio_activation_tests.drivers.write_back import ENTERED, WriteBackBench, epoch, model

NOTHING = (None, None, None)
ENDED = ("false", None, None)


@pytest.mark.parametrize("kind", ["task", "activity"])
@pytest.mark.parametrize("status", ["open", "taken_up"])
def test_who_is_asked_for_is_marked_and_unmarked_in_the_run_after_it_ended(
    bench: WriteBackBench, kind: str, status: str
) -> None:
    ann, bob = bench.people[:2]
    bench.ask(ann, kind=kind, status=status)
    assert bench.run().delivered == 1
    assert bench.shown(ann) == ("true", "vip", epoch(ENTERED + timedelta(days=14)))
    assert bench.shown(bob) == NOTHING
    bench.end(ann)
    assert bench.run().delivered == 1
    assert bench.shown(ann) == ENDED
    assert bench.shown(bob) == NOTHING


def test_values_go_in_types_that_segments_can_compare(bench: WriteBackBench) -> None:
    bench.ask(bench.people[0])
    mark = bench.mark()
    bench.run()
    (item,) = bench.items(mark)
    assert item["identifiers"] == {"cio_id": bench.people[0]}
    until = int(epoch(ENTERED + timedelta(days=14)))
    marked = {"cx_outreach_active": True, "cx_outreach_audience": "vip", "cx_outreach_until": until}
    assert item["attributes"] == {"_update": True, **marked}
    assert item["timestamp"] == pytest.approx(datetime.now().timestamp(), abs=60)


@pytest.mark.parametrize("other", [{"kind": "note"}, {"kind": "deal"}, {"status": "done"}, {"status": "withdrawn"}])
def test_notes_deals_and_what_has_ended_mark_nobody(bench: WriteBackBench, other: dict[str, str]) -> None:
    bench.ask(bench.people[0], **other)
    assert bench.run().planned == 0


def test_a_run_with_nothing_changed_writes_nothing_in_either_lane(bench: WriteBackBench) -> None:
    for cio_id in bench.people[:5]:
        bench.ask(cio_id)
    bench.ask(bench.people[5], "cart")
    bench.schema()
    assert bench.run().delivered == 6
    mark = bench.mark()
    for lane in (Lane.DAILY, Lane.REALTIME, Lane.DAILY):
        assert bench.run(lane).planned == 0
    assert bench.writes(mark) == []
    reads = [e.path for e in bench.entries(mark)]
    assert set(reads) <= {"/v1/activities", "/api/v1/accounts/region"}
    assert reads.count("/v1/activities") == 2 * 3, "of each daily run one for each attribute, however many people"


def test_of_several_actions_the_newest_is_named_and_the_latest_end_counts_whichever_lane_runs(
    bench: WriteBackBench,
) -> None:
    ann = bench.people[0]
    bench.ask(ann)
    bench.run()
    bench.ask(ann, "cart", destination="pipedrive", kind="activity", opened_at=ENTERED + timedelta(hours=1))
    bench.run(Lane.REALTIME)
    assert bench.shown(ann) == ("true", "cart", epoch(ENTERED + timedelta(days=14)))
    assert [bench.run(lane).planned for lane in Lane] == [0, 0]
    with bench.runtime.warehouse.write() as con:
        con.execute("UPDATE delivery.actions SET status = 'done' WHERE audience = 'vip'")
    assert bench.run(Lane.REALTIME).delivered == 1, "the daily lane's action ended, and the other lane's run told it"
    assert bench.shown(ann) == ("true", "cart", epoch(ENTERED + timedelta(days=2)))


def test_until_moves_along_when_a_human_puts_it_off_and_is_the_due_date_without_an_expiry(
    bench: WriteBackBench,
) -> None:
    ann, bob, cid = bench.people[:3]
    later, due = datetime(2026, 12, 24, 9), datetime(2026, 11, 3, 15, 30, 0, 700_000)
    entry = bench.ask(ann, due_at=due)
    bench.ask(bob, "open_ended", due_at=due)
    bench.ask(cid, "open_ended")
    bench.run()
    assert bench.shown(bob) == ("true", "open_ended", epoch(due))
    assert bench.shown(cid) == ("true", "open_ended", None)
    bench.put_off(entry, later)
    assert bench.run().delivered == 1
    assert bench.shown(ann) == ("true", "vip", epoch(later))


def test_an_action_of_an_audience_that_left_the_activation_still_marks_until_it_is_due(bench: WriteBackBench) -> None:
    due = datetime(2026, 11, 9)
    bench.ask(bench.people[0], "former", due_at=due)
    bench.run()
    assert bench.shown(bench.people[0]) == ("true", "former", epoch(due))


def test_the_label_may_be_shown_and_a_long_one_is_cut(bench: WriteBackBench) -> None:
    long = "é" * 300
    activation = model(audience="label")
    cart = activation.audiences["cart"].model_copy(update={"label": long})
    bench.use(activation.model_copy(update={"audiences": {**activation.audiences, "cart": cart}}))
    ann, bob = bench.people[:2]
    bench.ask(ann)
    bench.ask(bob, "cart")
    assert bench.run().delivered == 2
    assert (bench.shown(ann)[1], bench.shown(bob)[1]) == ("RET - VIP - Call", long[:200])


def test_another_prefix_removes_the_attributes_of_the_old_one_and_before_the_end_all_can_be_removed(
    bench: WriteBackBench,
) -> None:
    ann, bob = bench.people[:2]
    bench.ask(ann)
    bench.ask(bob)
    bench.run()
    bench.end(bob)
    bench.run()
    bench.use(model(attribute_prefix="care_"))
    bench.run()
    assert bench.shown(ann, "care_") == ("true", "vip", epoch(ENTERED + timedelta(days=14)))
    assert [bench.shown(cio_id) for cio_id in (ann, bob)] == [NOTHING, NOTHING]
    assert bench.shown(bob, "care_") == NOTHING
    assert bench.run().planned == 0
    bench.use(model(attribute_prefix="care_", remove_attributes=True))
    assert bench.run(Lane.REALTIME).delivered == 1
    assert [bench.shown(cio_id, "care_") for cio_id in (ann, bob)] == [NOTHING, NOTHING]
    assert bench.run().planned == 0


def test_of_somebody_who_is_deleted_there_nothing_is_written_and_nobody_is_made(bench: WriteBackBench) -> None:
    ann, bob, *rest = bench.people
    bench.ask(ann)
    bench.ask(bob)
    bench.run()
    bench.edit("delete_person", cio_id=ann)
    bench.end(ann, bob)
    bench.know(bob, *rest)
    mark = bench.mark()
    assert bench.run().delivered == 1
    assert {item["identifiers"]["cio_id"] for item in bench.items(mark)} == {bob}
    ghost = "00" * 13
    bench.know(ghost, bob, *rest)
    bench.ask(ghost)
    bench.run()
    assert bench.world.find("cio_id", ghost, bench.stand_in.vendor.workspace.instant()) == []


def test_a_person_is_written_later_than_the_last_time_also_within_a_second_and_with_a_clock_set_back(
    bench: WriteBackBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two writes Customer.io keeps the one with the later timestamp."""
    ann = bench.people[0]
    clock = [1_800_000_000, 1_800_000_000, 1_799_990_000]
    monkeypatch.setattr("cio_activation.destinations.customerio.flags.now_s", lambda: clock[0])
    mark = bench.mark()
    bench.ask(ann)
    bench.run()
    for now in clock[1:]:
        clock[0] = now
        bench.end(ann, status="open" if bench.shown(ann) == ENDED else "done")
        bench.run()
    assert [item["timestamp"] for item in bench.items(mark)] == [1_800_000_000, 1_800_000_001, 1_800_000_002]
    assert bench.shown(ann)[0] == "true"


def test_resync_writes_everybody_again_and_another_account_is_first_contact(bench: WriteBackBench) -> None:
    ann, bob = bench.people[:2]
    bench.ask(ann)
    bench.ask(bob)
    bench.run()
    bench.end(bob)
    bench.run()
    bench.edit("set_attribute", cio_id=ann, name="cx_outreach_active", value="false")
    assert resync(bench.runtime, DESTINATION).records == 2
    assert bench.run().delivered == 2
    assert bench.shown(ann)[0] == "true"
    leave_account(bench.runtime, DESTINATION)
    assert bench.run().delivered == 1, "whoever is asked for now; of others it knows nothing any more"


def test_what_came_of_it_is_told_until_somebody_is_asked_anew_and_taken_back_with_the_rest(
    bench: WriteBackBench,
) -> None:
    ann, bob = bench.people[:2]
    reading = model().model_copy(update={"outreach_outcomes": Outcomes()})
    bench.use(reading)

    def said(cio_id: str) -> str | None:
        return bench.world.custom.get(cio_id, {}).get("cx_outreach_outcome") or None

    for who in (ann, bob):
        entry = bench.ask(who)
        with bench.runtime.warehouse.write() as con:
            con.execute(
                """INSERT INTO feedback.acts BY NAME SELECT 'hubspot' AS destination, 'task' AS kind, ? AS record_id,
                'outcome' AS act, 'bad_timing' AS detail, now()::TIMESTAMP AS happened_at""",
                [f"of {entry}"],
            )
    bench.end(ann)
    assert bench.run().delivered == 2
    assert (bench.shown(ann), said(ann)) == (ENDED, "bad_timing")
    assert (bench.shown(bob)[0], said(bob)) == ("true", "bad_timing")
    assert bench.run().planned == 0
    bench.ask(ann, "cart", opened_at=ENTERED + timedelta(hours=1))
    bench.run()
    assert (bench.shown(ann)[:2], said(ann)) == (("true", "cart"), None)
    bench.use(model())
    bench.run()
    assert (bench.shown(bob)[0], said(bob)) == ("true", None), "outcomes are not read any more"
