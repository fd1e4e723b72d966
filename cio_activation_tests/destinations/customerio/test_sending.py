"""What is sent and what becomes of it: items refused alone, batches split, answers that never came, kills, races."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson
import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import Context
from cio_activation.delivery.send import Sender
from cio_activation.destinations.customerio import DESTINATION, track
from cio_activation.errors import ConfigError
from cio_activation.journal.attempts import Journal
from cio_activation.sandbox.customerio.track import BATCH_BYTES
from cio_activation_tests.drivers.write_back import BATCH, WriteBackBench

PLACE = {"method": "POST", "path": BATCH}


def ask_all(bench: WriteBackBench, count: int) -> list[str]:
    people = bench.people[:count]
    for cio_id in people:
        bench.ask(cio_id)
    return people


def marked(bench: WriteBackBench) -> set[str]:
    return {cio_id for cio_id in bench.people if bench.shown(cio_id)[0] == "true"}


def test_an_item_that_is_refused_is_rejected_alone_with_its_reason_and_tried_again(bench: WriteBackBench) -> None:
    """207: the others stand. A client that looks at the status only would take all for written."""
    _, bob, *_ = ask_all(bench, 5)
    errors = [{"batch_index": 1, "reason": "too_many", "field": "attributes", "message": f"{bob} has 300 attributes"}]
    bench.fault(kind="status", when="after", status=207, body={"errors": errors}, **PLACE)
    report = bench.run()
    assert (report.planned, report.delivered, report.rejected) == (5, 4, 1)
    assert report.reasons == {"207 too_many attributes": 1}
    assert bench.query("SELECT cio_id, reason FROM delivery.rejected") == [(bob, "207 too_many attributes")]
    assert bench.query("SELECT count(*) FROM delivery.outreach_flags") == [(4,)]
    assert bench.run(next_window=False).waiting == 1, "not at once again"
    assert bench.run().delivered == 1, "but in the next window"
    assert bench.shown(bob)[0] == "true"


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 207, "body": {"errors": [{"reason": "invalid", "field": "x", "message": "of which?"}]}},
        {"status": 207, "body": {"errors": [{"batch_index": 99, "reason": "invalid", "field": "x", "message": ""}]}},
        {"status": 207, "body": {}},
        {"status": 200, "body": {"success": True}},
    ],
)
def test_an_answer_that_says_nothing_certain_holds_all_and_the_next_run_writes_them(
    bench: WriteBackBench, answer: dict[str, Any]
) -> None:
    people = ask_all(bench, 3)
    bench.fault(kind="status", **answer, **PLACE)
    assert bench.run().held == 3
    report = bench.run()
    assert (report.recovered, report.delivered) == (3, 3)
    assert marked(bench) == set(people)


def test_a_batch_that_is_refused_whole_is_split_down_to_the_guilty_one(bench: WriteBackBench) -> None:
    people = ask_all(bench, 6)
    errors = [{"reason": "invalid", "field": "batch", "message": "unreadable"}]
    bench.fault(kind="status", status=400, body={"errors": errors}, **PLACE, times=3)
    mark = bench.mark()
    report = bench.run()
    assert (report.delivered, report.rejected) == (5, 1)
    assert [len(e.request["batch"]) for e in bench.entries(mark) if e.path == BATCH] == [6, 3, 1, 2, 3]
    assert marked(bench) == set(people[1:])
    assert bench.run().delivered == 1
    assert marked(bench) == set(people)


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize("kind", [{"kind": "reset", "when": "after"}, {"kind": "status", "status": 500}])
def test_what_never_got_an_answer_is_written_again_as_it_is_wanted_by_then(
    bench: WriteBackBench, kind: dict[str, Any], lane: Lane
) -> None:
    """Marked without an answer, and ended before the next run of either lane: unmarked, whether it had arrived or not."""
    ann, bob, cid = ask_all(bench, 3)
    bench.fault(**kind, **PLACE, times=100)
    assert bench.run().held == 3
    bench.stand_in.mend()
    bench.end(ann)
    report = bench.run(lane)
    assert (report.recovered, report.delivered) == (3, 3)
    assert marked(bench) == {bob, cid}
    assert [bench.run(one).planned for one in Lane] == [0, 0]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_kill_between_the_call_and_its_record_loses_nothing(
    bench: WriteBackBench, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    ann, bob = ask_all(bench, 2)
    with monkeypatch.context() as patch:
        where: tuple[Any, str] = (Journal, "record") if dies == "after" else (Sender, "_ask")
        patch.setattr(*where, _die)
        with pytest.raises(KeyboardInterrupt):
            bench.run()
    assert marked(bench) == ({ann, bob} if dies == "after" else set())
    bench.end(bob)
    report = bench.run()
    assert report.recovered == 2
    assert marked(bench) == {ann}
    assert bench.run().planned == 0


def _die(*_: Any, **__: Any) -> Any:
    raise KeyboardInterrupt


def test_a_late_plan_of_the_other_lane_is_put_right_by_the_next_run(bench: WriteBackBench) -> None:
    """It was made before the action ended and arrives after the end was told: what Customer.io holds is known."""
    ann = bench.people[0]
    bench.ask(ann)
    bench.run()
    bench.end(ann)
    bench.run(Lane.REALTIME)
    with bench.runtime.warehouse.read() as con:
        ((told,),) = con.execute("SELECT written_at FROM delivery.outreach_flags").fetchall()
    late = track.Update(ann, {"cx_outreach_active": True}, told + 1).body()
    assert bench.stand_in.track.post(BATCH, json={"batch": [late]}).status_code == 200
    with bench.runtime.warehouse.write() as con:
        con.execute("UPDATE delivery.outreach_flags SET active = true, written_at = written_at + 1")
    assert bench.run().delivered == 1
    assert bench.shown(ann)[0] == "false"


def test_a_batch_is_always_smaller_than_the_api_takes() -> None:
    widest = {f"cx_{track.ACTIVE}": True, f"cx_{track.AUDIENCE}": '"' * 100 + "😀" * 100, f"cx_{track.UNTIL}": 10**11}
    item = track.Update("f" * 40, widest, 10**11).body()
    assert len(orjson.dumps({"batch": [item] * track.BATCH})) < BATCH_BYTES


def test_no_secret_and_nobody_is_in_logs_and_reasons(bench: WriteBackBench, caplog: pytest.LogCaptureFixture) -> None:
    ask_all(bench, 2)
    with caplog.at_level(logging.DEBUG):
        bench.fault(kind="status", status=401, body={"meta": {"error": "sandbox-track-key is wrong"}}, **PLACE, times=9)
        report = bench.run()
    told = f"{caplog.text} {report}"
    assert report.stopped
    assert "sandbox-track-key" not in told
    assert "Basic " not in told
    assert bench.people[0] not in told


def test_without_a_credential_the_setting_is_named(bench: WriteBackBench) -> None:
    bench.runtime = bench.runtime_with(customerio_track_api_key="")
    with pytest.raises(ConfigError, match="CUSTOMERIO_TRACK_API_KEY is not set"):
        bench.run()


def test_what_was_taken_and_not_applied_is_listed_and_written_again_until_it_is(bench: WriteBackBench) -> None:
    """A person with 300 attributes gets no further one, which shows in the activities only."""
    ann, bob = ask_all(bench, 2)
    bench.world.custom[ann] = {f"own_{n}": "x" for n in range(300)}
    before = bench.stand_in.vendor.workspace.frozen_at
    bench.edit("freeze", at=time.time())  # what it notes is dated by its own clock
    try:
        assert bench.run().delivered == 2
        assert marked(bench) == {bob}
        assert bench.run(Lane.REALTIME).planned == 0, "the daily lane reads what became of it"
        assert bench.run().delivered == 1
        context = Context(bench.runtime.settings, bench.activation, None)
        (told,) = DESTINATION.notices(context)
        assert "1 people" in told
        for name in ("own_1", "own_2", "own_3"):
            bench.edit("set_attribute", cio_id=ann, name=name, value=None)
        bench.run()
        assert marked(bench) == {ann, bob}
        with bench.runtime.warehouse.write() as con:  # an hour later
            con.execute("UPDATE delivery.outreach_flags SET written_at = written_at + 3600")
        assert bench.run().planned == 0
        assert DESTINATION.notices(context) == []
    finally:
        bench.edit("freeze", at=before)


def test_activities_that_cannot_be_read_keep_no_write_back(bench: WriteBackBench) -> None:
    (ann,) = ask_all(bench, 1)
    bench.fault(kind="status", status=500, path="/v1/activities", times=9)
    assert bench.run().delivered == 1
    bench.runtime = bench.runtime_with(customerio_app_api_key=None)
    bench.end(ann)
    assert bench.run().delivered == 1


def test_another_workspace_behind_the_same_home_gets_nothing(bench: WriteBackBench) -> None:
    ask_all(bench, 1)
    with bench.runtime.warehouse.write() as con:
        con.execute("INSERT INTO delivery.accounts BY NAME SELECT 'customerio' AS destination, '777' AS account_id")
    mark = bench.mark()
    with pytest.raises(ConfigError, match="777"):
        bench.run()
    assert bench.writes(mark) == []
