"""I4 for activities: one an entry, whatever answers get lost, whoever merges persons meanwhile. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation.destinations.pipedrive.activity_calls import ActivityCalls
from cio_activation.destinations.pipedrive.activity_sending import Sending
from cio_activation_tests.destinations.pipedrive.desk import Desk, asking, desk, spent

Story = dict[str, Any]
POST = {"method": "POST", "path": "/api/v2/activities"}
WRITES = ({"method": "PATCH", "path": "/api/v2/activities/*"}, {"method": "DELETE", "path": "/api/v2/activities/*"})
AFTER, CUT, BEFORE = ({"kind": "reset", "when": "after"}, {"kind": "truncate", "when": "after"}, {"kind": "reset"})
EVERYBODY = ("c1", "c2", "c3", "c4", "c5", "c6", "c7")


class Killed(BaseException):
    """What no handler stops."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    audiences = (asking("call"), asking("drop", on_end="delete"))
    with desk(tmp_path_factory.mktemp("desk"), 8, *audiences) as its, pytest.MonkeyPatch.context() as patch:
        yield _story(its, patch)


def _story(its: Desk, patch: pytest.MonkeyPatch) -> Story:
    bench, seen = its.bench, Story()
    its.run()
    its.enter("call", "c1", "c2", "c3", "c4")
    its.enter("drop", "c5", "c6")
    for fault, times in ((AFTER, 2), (CUT, 2), (BEFORE, 2)):  # the first step has four, the second two
        bench.fault(**fault, **POST, times=times)
    its.run()
    seen["held"] = bench.reports["activity/call"].held, bench.reports["activity/drop"].held
    its.edit_of("c2", note=its.one("c2")["note"] + "<p>On it</p>")
    bench.edit("create_person", name="C3", emails=["c.three@example.com"])
    bench.edit("merge", person="c3@example.com", into="c.three@example.com")
    seen["recovered before the mirror knows"] = bench.step("activity/call").recovered
    its.run()
    seen["read"] = bench.reports["activity/drop"].calls
    seen["found"] = {one: (len(its.of(one)), its.known(one)) for one in EVERYBODY[:6]}

    really = Sending.send

    async def killed(self: Sending, operation: Any) -> Any:
        await really(self, operation)
        raise Killed

    its.enter("call", "c7")
    patch.setattr(Sending, "send", killed)
    with pytest.raises(Killed):
        bench.lane()
    patch.undo()
    its.run()
    seen["found"]["c7"] = len(its.of("c7")), its.known("c7")

    its.enter("call", "c1", "c2", evidence=spent(40))
    bench.fault(**CUT, **WRITES[0], times=99)
    its.run()
    bench.stand_in.mend()
    its.enter("call", "c1", "c2", evidence=spent(50))
    its.run()
    seen["changed"] = {one: (its.one(one)["note"], its.known(one)) for one in ("c1", "c2")}

    its.leave("call", **dict.fromkeys(("c1", "c2", "c3"), "purchase"))
    its.leave("drop", c5="purchase")
    for place in WRITES:
        bench.fault(**CUT, **place, times=99)
    its.run()
    seen["in doubt"] = its.known("c1") + its.known("c5")
    bench.stand_in.mend()
    seen["wrote after the end"] = its.run()
    seen["left"] = {one: (its.of(one), its.known(one)) for one in ("c1", "c2", "c3", "c5")}

    read = ActivityCalls.get

    async def get(self: ActivityCalls, record_id: str) -> Any:
        found = await read(self, record_id)
        bench.edit("delete_activity", activity=int(record_id))
        return found

    patch.setattr(ActivityCalls, "get", get)
    its.leave("call", c4="purchase")
    its.run()
    seen["deleted between"] = its.known("c4")
    return seen


@pytest.mark.parametrize("person", EVERYBODY)
def test_without_an_answer_it_is_looked_for_before_it_is_made_again(told: Story, person: str) -> None:
    count, known = told["found"][person]
    assert (count, known) == (1, ["open"])


def test_it_is_looked_for_among_the_persons_activities(told: Story) -> None:
    assert told["held"] == (4, 2)
    assert told["read"]["activities.list"] == 2
    assert not [operation for operation in told["read"] if "search" in operation.lower()]


def test_while_a_merge_is_not_known_yet_nothing_is_made(told: Story) -> None:
    assert told["recovered before the mirror knows"] == 3  # of four: c3 stays in doubt


def test_after_the_merge_it_is_withdrawn_from_the_survivor(told: Story) -> None:
    ((left,), known) = told["left"]["c3"]
    assert (left["done"], known) == (True, ["withdrawn"])


def test_what_a_human_wrote_into_it_before_it_was_found_is_theirs(told: Story) -> None:
    note, known = told["changed"]["c2"]
    assert ("On it" in note, "Spent" in note, known) == (True, False, ["taken_up"])
    assert told["left"]["c2"][0][0]["done"] is False


def test_a_text_whose_answer_got_lost_is_not_taken_for_a_humans(told: Story) -> None:
    note, known = told["changed"]["c1"]
    assert ("<p>Spent: 50</p>" in note, known) == (True, ["open"])


def test_a_withdrawal_without_an_answer_is_ours_and_no_humans(told: Story) -> None:
    assert told["in doubt"] == ["open", "open"]
    assert [told["left"][one][1] for one in ("c1", "c5")] == [["withdrawn"], ["withdrawn"]]
    assert told["wrote after the end"] == []


def test_deleted_between_our_reading_and_our_writing_is_a_humans_deletion(told: Story) -> None:
    assert told["deleted between"] == ["deleted"]
