"""What Pipedrive tells of people who act: users, what became of activities, who is being looked after."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import HandledBy, HearsBack, OpenAction, PersonContext, SeenAction, Status
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.resync import leave_account
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.destinations.pipedrive.api import tokens
from cio_activation.journal.attempts import Journal
from cio_activation.transport.http import VendorClient
from cio_activation_tests.destinations.pipedrive.desk import Desk, asking, desk
from cio_activation_tests.drivers.builders import window

T = TypeVar("T")
EVERYBODY = tuple(f"c{n}" for n in range(1, 9))


@pytest.fixture(scope="module")
def its(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Return a desk at which everybody but c8 has an open activity."""
    with desk(tmp_path_factory.mktemp("desk"), 8, asking("call")) as made:
        made.enter("call", *EVERYBODY[:7])
        made.run()
        yield made


def asked(its: Desk, work: Callable[[VendorClient, Context], Awaitable[T]], lane: Lane = Lane.DAILY) -> tuple[T, int]:
    """Ask Pipedrive something; return the answer and the tokens it took."""
    run = its.bench.runtime

    async def ask() -> tuple[T, int]:
        with closing(Journal(run.settings.journal)) as journal:
            pacer = pacer_for(run.activation, journal, DESTINATION, str(lane), its.bench.catalog)
            context = Context(run.settings, run.activation, window(its.bench.day, lane), its.bench.catalog)
            async with DESTINATION.connect(run.settings, pacer) as client:
                return await work(client, context), tokens(client.calls.made)

    return asyncio.run(ask())


def open_ones(its: Desk, *people: str) -> list[OpenAction]:
    columns = "record_id, entry_id, about, owner_id, due_at, shown, status"
    listed = ", ".join(f"'{one}'" for one in people or EVERYBODY)
    rows = its.bench.query(f"SELECT {columns} FROM delivery.actions WHERE cio_id IN ({listed}) ORDER BY cio_id")
    return [OpenAction("activity", *row[:6], Status(row[6])) for row in rows]


def seen(its: Desk, *people: str, lane: Lane = Lane.DAILY) -> dict[str, SeenAction]:
    open = open_ones(its, *people)
    found, _ = asked(its, lambda client, context: DESTINATION.actions(client, context, open), lane)
    return {action.record_id: action for action in found}


def person_of(its: Desk, cio_id: str) -> str:
    return str(its.bench.there[f"{cio_id}@example.com"]["id"])


def context_of(its: Desk, cio_id: str, ours: list[OpenAction] | None = None) -> PersonContext:
    mine = open_ones(its, cio_id) if ours is None else ours
    (found,), _ = asked(its, lambda cl, ctx: DESTINATION.contexts(cl, ctx, [person_of(its, cio_id)], mine))
    return found


def test_pipedrive_hears_back(its: Desk) -> None:
    assert isinstance(DESTINATION, HearsBack)
    assert DESTINATION.asks(its.bench.activation)


def test_users_are_told_with_time_zone_and_whether_they_are_active(its: Desk) -> None:
    its.bench.edit("add_user", name="Lena", email="Lena@Example.com", timezone="Europe/Berlin")
    found, cost = asked(its, DESTINATION.owners)
    assert {o.email: (o.active, o.timezone) for o in found} == {
        "admin@example.com": (True, "America/New_York"),
        "retention@example.com": (True, "America/New_York"),
        "cx@example.com": (True, "America/New_York"),
        "former@example.com": (False, "America/New_York"),
        "lena@example.com": (True, "Europe/Berlin"),
    }
    assert cost == 20


def test_what_became_of_activities_is_read_a_hundred_a_call(its: Desk) -> None:
    at = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    numbers = {one: str(its.one(one)["id"]) for one in EVERYBODY[:7]}
    its.edit_of("c1", "complete_activity", at=at.timestamp())  # a time that the human set
    its.edit_of("c2", "delete_activity")
    its.edit_of("c3", due_date="2026-12-01", due_time=None)
    its.edit_of("c4", owner_id=3)
    its.edit_of("c5", note=its.one("c5")["note"] + "<p>Left a message</p>")
    its.edit_of("c6", note=its.one("c6")["note"].replace("<p>", "<div>").replace("</p>", "</div>\n"))  # cleaned up
    open = open_ones(its)
    found, cost = asked(its, lambda client, context: DESTINATION.actions(client, context, open))
    by_id = {action.record_id: action for action in found}
    due = datetime(2026, 11, 3, 15, 30)
    assert by_id == {
        numbers["c1"]: SeenAction(numbers["c1"], Status.DONE, at.replace(tzinfo=None), "2", due),
        numbers["c2"]: SeenAction(numbers["c2"], Status.DELETED),
        numbers["c3"]: SeenAction(numbers["c3"], Status.OPEN, None, "2", datetime(2026, 12, 1, 23, 59)),
        numbers["c4"]: SeenAction(numbers["c4"], Status.OPEN, None, "3", due),
        numbers["c5"]: SeenAction(numbers["c5"], Status.TAKEN_UP, None, "2", due),
        numbers["c6"]: SeenAction(numbers["c6"], Status.OPEN, None, "2", due),
        numbers["c7"]: SeenAction(numbers["c7"], Status.OPEN, None, "2", due),
    }
    assert cost == 10


def test_ticked_off_and_on_again_it_is_open(its: Desk) -> None:
    its.edit_of("c7", "complete_activity")
    its.edit_of("c7", "complete_activity", done=False)
    (action,) = seen(its, "c7").values()
    assert (action.status, action.happened_at) == (Status.OPEN, None)


def test_what_we_completed_and_got_no_answer_to_is_no_humans_act(its: Desk) -> None:
    note = its.one("c7")["note"] + "<p>Nothing to do any more: the person bought.</p>"
    its.edit_of("c7", note=note, done=True)
    assert seen(its, "c7") == {}
    its.edit_of("c7", note=note.rpartition("<p>")[0], done=False)


def test_many_open_ones_are_read_by_what_changed_in_the_real_time_lane(its: Desk) -> None:
    real = open_ones(its, "c5", "c7")
    others = [OpenAction("activity", str(n), "e", "1", None, None, None) for n in range(10_000, 10_150)]

    def read(lane: Lane) -> tuple[list[SeenAction], int]:
        return asked(its, lambda client, context: DESTINATION.actions(client, context, [*real, *others]), lane)

    assert read(Lane.REALTIME)[1] == 20  # never read before: each is asked for
    now = datetime.fromtimestamp(its.bench.shared.clock.now(), UTC).replace(tzinfo=None)
    with its.bench.runtime.warehouse.write() as con:
        con.execute(
            "INSERT INTO feedback.readings (destination, lane, read_at) VALUES ('pipedrive', 'realtime', ?)", [now]
        )
    found, cost = read(Lane.REALTIME)
    assert cost == 10
    assert all(action.status is not Status.DELETED for action in found)  # what is in no list may only not have changed
    found, cost = read(Lane.DAILY)
    assert (cost, sum(action.status is Status.DELETED for action in found)) == (20, 150)


def test_ours_alone_is_nobody_being_handled(its: Desk) -> None:
    context = context_of(its, "c7")
    assert context == PersonContext(person_of(its, "c7"), "1")
    assert context_of(its, "c7", []).handled_by is HandledBy.OPEN_ACTIVITY


def test_a_colleagues_activity_deal_or_fresh_mail_is_somebody_at_it(its: Desk) -> None:
    bench, number = its.bench, int(person_of(its, "c7"))
    act = bench.edit("create_activity", person=number, type="call")["id"]
    assert context_of(its, "c7").handled_by is HandledBy.OPEN_ACTIVITY
    bench.edit("delete_activity", activity=act)
    deal = bench.edit("create_deal", title="Big", person_id=number)["id"]
    assert context_of(its, "c7").handled_by is HandledBy.OPEN_DEAL
    bench.edit("set_deal", deal=deal, status="lost")
    now = bench.shared.clock.now()
    bench.edit("log_mail", person=number, direction="incoming", at=now - 8 * 86_400)
    assert context_of(its, "c7").handled_by is None
    bench.edit("log_mail", person=number, direction="outgoing", at=now - 6 * 86_400)
    told = context_of(its, "c7")
    assert told.handled_by is HandledBy.CONTACTED
    assert told.handled_at is not None
    assert abs(told.handled_at - datetime.fromtimestamp(now - 6 * 86_400, UTC).replace(tzinfo=None)) < timedelta(
        seconds=2
    )


def test_after_a_merge_ours_is_still_ours(its: Desk) -> None:
    bench = its.bench
    bench.edit("create_person", name="Six", emails=["six@example.com"])
    bench.edit("merge", person="c6@example.com", into="six@example.com")
    number, mine = str(bench.there["six@example.com"]["id"]), open_ones(its, "c6")
    (found,), _ = asked(its, lambda client, context: DESTINATION.contexts(client, context, [number], mine))
    assert found.handled_by is None


def test_a_hundred_candidates_cost_ten_tokens_and_the_gone_are_left_out(its: Desk) -> None:
    records = [person_of(its, "c8"), *map(str, range(5_000, 5_099))]
    found, cost = asked(its, lambda client, context: DESTINATION.contexts(client, context, records, []))
    assert ([c.record_id for c in found], cost) == ([person_of(its, "c8")], 10)


def test_check_names_users_and_types_that_no_activity_can_be_made_with(its: Desk) -> None:
    bench = its.bench
    problems, _ = asked(its, DESTINATION.check)
    assert problems == []
    owner: Any = ["record_owner", "former@example.com", {"rotate": ["nobody@example.com", "cx@example.com"]}]
    before = bench.runtime
    sla = {"after": "8 working hours", "then": [{"reassign": "lead@example.com"}]}
    wrong = asking("call", type="visit", owner=[*owner, {"queue": "7"}], sla=sla)
    bench.use(bench.activation.model_copy(update={"audiences": {"call": wrong}}))
    problems, _ = asked(its, DESTINATION.check)
    assert len(problems) == 5
    assert "no activity type 'visit' in use; take one of call, " in problems[0]
    assert "Pipedrive has no queues" in problems[1]
    assert "former@example.com is deactivated" in problems[2]
    assert "nobody@example.com is no user" in problems[3]
    assert "activity.sla: lead@example.com is no user" in problems[4]
    bench.runtime, bench.activation = before, before.activation


def test_whoever_leaves_the_account_has_no_actions_there(its: Desk) -> None:
    leave_account(its.bench.runtime, DESTINATION)
    assert open_ones(its) == []
