"""What HubSpot is asked about people: who they are, what became of our tasks, who is being handled already."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.delivery.outreach import HandledBy, HearsBack, OpenAction, Owner, Status
from cio_activation.destinations.hubspot import DESTINATION, api, task_api
from cio_activation.transport.errors import OutcomeUnknown
from cio_activation_tests.destinations.hubspot.asking import (
    ADA,
    DUE,
    GRACE,
    WHO,
    activation,
    ask,
    asks,
    impatient,
    ours,
)
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench, make_activation, person

PEOPLE = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubSpotBench]:
    """A portal with people who have contacts and tasks of ours; each test has people of its own."""
    home: Path = tmp_path_factory.mktemp("outreach")
    made = hubspot_bench(home, [{"email": f"person{n}@example.com"} for n in range(1, PEOPLE + 1)], activation())
    made.persons([person(n) for n in range(1, PEOPLE + 1)])
    impatient(made)
    made.schema()
    made.enter("vip", {f"p{n:05d}": WHO for n in range(1, PEOPLE + 1)})
    made.run()
    yield made
    made.stop()


def task_of(world: HubSpotBench, number: int) -> str:
    return ours(world, number)[0].record_id


def contact(world: HubSpotBench, number: int) -> str:
    return world.id_of(f"person{number}@example.com")


def test_hubspot_can_be_asked(world: HubSpotBench) -> None:
    assert isinstance(DESTINATION, HearsBack)
    assert DESTINATION.asks(world.activation)
    assert not DESTINATION.asks(make_activation())


def test_owners_are_all_listed_also_who_left(world: HubSpotBench) -> None:
    left = world.edit("add_owner", email="Left@Example.com")["id"]
    world.edit("deactivate_owner", id=left)
    for n in range(100):
        world.edit("add_owner", email=f"rep{n}@example.com")
    found = ask(world, DESTINATION.owners)
    assert len(found) == 103
    assert Owner(ADA, "ada@example.com", active=True) in found
    assert Owner(left, "left@example.com", active=False) in found


def test_what_humans_did_with_tasks_is_told_by_their_status_only(world: HubSpotBench) -> None:
    deeds: list[tuple[str, dict[str, Any]]] = [
        ("complete_task", {}),
        ("delete_task", {}),
        ("complete_task", {"status": "DEFERRED"}),
        ("set_task", {"properties": {"hs_task_body": "Called"}}),
        ("set_task", {"properties": {"hs_timestamp": "2026-12-24T09:00:00Z", "hubspot_owner_id": GRACE}}),
    ]
    for number, (deed, values) in enumerate(deeds, 1):
        world.edit(deed, id=task_of(world, number), **values)
    asked = ours(world, 1, 2, 3, 4, 5, 6)
    mark = world.mark()
    seen = {a.record_id: a for a in ask(world, lambda client, context: DESTINATION.actions(client, context, asked))}
    assert len(world.entries(mark)) == 1
    found = [seen[one.record_id] for one in asked]
    # An open task's completion date is its due date here: status 6 would else be done.
    assert [a.status for a in found] == [
        Status.DONE, Status.DELETED, Status.TAKEN_UP, Status.TAKEN_UP, Status.OPEN, Status.OPEN,
    ]  # fmt: skip
    assert found[0].happened_at is not None
    assert abs(datetime.now(UTC).replace(tzinfo=None) - found[0].happened_at) < timedelta(minutes=5)
    assert (found[4].owner_id, found[4].due_at) == (GRACE, datetime(2026, 12, 24, 9))
    assert (found[5].owner_id, found[5].due_at, found[5].happened_at) == (ADA, DUE, None)
    sticky = ours(world, 6, status=Status.TAKEN_UP)
    again = ask(world, lambda client, context: DESTINATION.actions(client, context, sticky))
    assert again[0].status is Status.TAKEN_UP


def test_a_hundred_tasks_are_read_by_one_call(world: HubSpotBench) -> None:
    asked = [OpenAction("task", str(n), "e", "c", None, None, None) for n in range(1, 151)]
    mark = world.mark()
    seen = ask(world, lambda client, context: DESTINATION.actions(client, context, asked))
    assert {a.status for a in seen} == {Status.DELETED}
    assert len(world.entries(mark)) == 2


def test_people_who_are_being_handled_are_told_from_others(world: HubSpotBench) -> None:
    people = [contact(world, n) for n in range(7, 13)]
    made_by_hand = world.edit("create_task", contacts=[people[0]])["id"]
    world.edit("complete_task", id=made_by_hand, status="WAITING")
    done = world.edit("create_task", contacts=[people[1]])["id"]
    world.edit("complete_task", id=done)
    world.shared.clock.set(window(1).end.timestamp() - 3 * 86_400)
    world.edit("contacted", id=people[2])
    world.edit("contacted", id=people[3], enrolled=True)
    world.shared.clock.set(window(1).end.timestamp() - 8 * 86_400)
    world.edit("contacted", id=people[4])
    world.edit("set", id=people[5], properties={"hubspot_owner_id": GRACE})
    known = ours(world, *range(1, 13))
    mark = world.mark()
    found = ask(world, lambda client, context: DESTINATION.contexts(client, context, [*people, "77"], known))
    assert len(world.entries(mark)) == 3
    by_record = {one.record_id: one for one in found}
    assert [by_record[i].handled_by for i in people] == [
        HandledBy.OPEN_TASK, None, HandledBy.CONTACTED, HandledBy.ENROLLED, None, None,
    ]  # fmt: skip
    assert len(found) == len(people)
    assert by_record[people[2]].handled_at is not None
    assert abs(by_record[people[2]].handled_at - (window(1).as_of - timedelta(days=3))) < timedelta(minutes=1)
    assert [by_record[i].owner_id for i in people] == [None] * 5 + [GRACE]


def test_people_with_many_old_tasks_cost_five_calls_at_most(world: HubSpotBench) -> None:
    known = ours(world, *range(1, 13))
    oldest = world.edit("create_task", contacts=[contact(world, 7)])["id"]
    for n in (7, 8):
        for _ in range(101):
            old = world.edit("create_task", contacts=[contact(world, n)])["id"]
            world.edit("complete_task", id=old)
    newest = world.edit("create_task", contacts=[contact(world, 8), contact(world, 9)])["id"]
    mark = world.mark()
    people = [contact(world, n) for n in (7, 8, 9)]
    found = ask(world, lambda client, context: DESTINATION.contexts(client, context, people, known))
    for one in (oldest, newest):
        world.edit("delete_task", id=one)
    assert len([e for e in world.entries(mark) if e.method == "POST" and not e.path.startswith("/_sandbox")]) <= 5
    # The first has an open task, older than all others.
    assert [one.handled_by for one in sorted(found, key=lambda one: one.record_id)] == [HandledBy.OPEN_TASK] * 3


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("/crm/owners/*", "owners"),
        ("*/contacts/batch/read", "people"),
        ("*/associations/*/batch/read", "people"),
        ("*/contacts/search", "phone"),
        ("*/associations/tasks", "tasks"),
    ],
)
def test_an_answer_that_lists_nothing_at_all_is_no_answer(world: HubSpotBench, path: str, question: str) -> None:
    """Not that nobody can act, that nobody is on somebody, or that what was made is not there."""
    one = contact(world, 10)
    questions: dict[str, Any] = {
        "owners": DESTINATION.owners,
        "people": lambda client, context: DESTINATION.contexts(client, context, [one], ()),
        "phone": lambda client, _: api.contacts_with_phone(client, ["2025550101"], []),
        "tasks": lambda client, _: task_api.tasks_of_one(client, one),
    }
    world.fault(path=path, kind="status", status=200, body={"status": "COMPLETE"}, times=10)
    try:
        with pytest.raises(OutcomeUnknown):
            ask(world, questions[question])
    finally:
        world.stand_in.mend()


def test_the_merged_and_the_deleted_are_left_out(world: HubSpotBench) -> None:
    for n in (21, 22, 23):
        world.edit("create", properties={"email": f"person{n}@example.com"})
    merged, deleted, there = (contact(world, n) for n in (21, 22, 23))
    world.edit("delete", id=deleted)
    world.edit("merge", id=there, other_id=merged)
    heir = world.id_of("person23@example.com")
    asked = [merged, deleted, heir]
    found = ask(world, lambda client, context: DESTINATION.contexts(client, context, asked, ()))
    assert [one.record_id for one in found] == [heir]


def test_check_knows_who_can_be_given_tasks(world: HubSpotBench) -> None:
    left = world.edit("add_owner", email="gone@example.com")["id"]
    world.edit("deactivate_owner", id=left)
    chain = ["record_owner", "Ada@example.com", "gone@example.com", {"rotate": ["nobody@example.com"]}, {"queue": "9"}]
    before = world.activation
    try:
        sla = {"after": "8 working hours", "then": ["tell", {"reassign": "lead@example.com"}]}
        world.use(activation(asks(owner=chain, sla=sla), asks("plain")))
        problems = ask(world, DESTINATION.check)
        advice = ask(world, DESTINATION.advise)
    finally:
        world.use(before)
        impatient(world)
    place = "audiences.vip.deliver.hubspot.task.owner: "
    assert problems == [
        f"{place}gone@example.com was deactivated in HubSpot; name somebody who works there",
        f"{place}nobody@example.com is no owner in HubSpot; invite them there, or name an owner's address",
        f"{place.replace('owner', 'sla')}lead@example.com is no owner in HubSpot; invite them there, or name an owner's "
        "address",
    ]
    assert [line for line in advice if "queue 9" in line]
    assert [line for line in advice if "audience plain" in line and "is no owner in HubSpot" in line]


def test_without_the_scope_for_owners_check_says_so(world: HubSpotBench) -> None:
    scopes = world.portal.limits.scopes
    world.portal.limits.scopes = frozenset(scopes - {"crm.objects.owners.read"})
    try:
        problems = ask(world, DESTINATION.check)
    finally:
        world.portal.limits.scopes = scopes
    assert [p for p in problems if "crm.objects.owners.read" in p]


def test_the_official_client_reads_a_made_task_with_its_contact(world: HubSpotBench) -> None:
    hubspot = pytest.importorskip("hubspot")
    from hubspot.crm.objects.tasks import BatchReadInputSimplePublicObjectId

    sdk = hubspot.HubSpot(access_token="sandbox-hubspot-token", host=world.stand_in.url)
    made = task_of(world, 6)
    read = sdk.crm.objects.basic_api.get_by_id("tasks", made, associations=["contacts"])
    assert [row.id for row in read.associations["contacts"].results] == [contact(world, 6)]
    names = ["hs_task_subject", "hs_task_body", "hs_timestamp", "hubspot_owner_id", "hs_task_status"]
    asked = BatchReadInputSimplePublicObjectId(inputs=[{"id": made}], properties=names, properties_with_history=[])
    (task,) = sdk.crm.objects.tasks.batch_api.read(asked).results
    assert task.properties["hs_task_subject"] == "Call about 249.90 USD"
    assert f"[task:{ours(world, 6)[0].entry_id}:1]" in task.properties["hs_task_body"]
    assert (task.properties["hubspot_owner_id"], task.properties["hs_task_status"]) == (ADA, "NOT_STARTED")
    assert task.properties["hs_timestamp"] == "2026-11-25T15:30:00Z"
    near = sdk.crm.associations.v4.basic_api.get_page("contacts", contact(world, 6), "tasks").results
    assert [str(row.to_object_id) for row in near] == [made]
