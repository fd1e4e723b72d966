"""Deals: made once an entry or moved, forward only, and never after a human moved them. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation.activation.models import Audience
from cio_activation.delivery.outreach import OpenAction, Status
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.destinations.pipedrive.config import DealOptions, PipedriveAudience
from cio_activation_tests.destinations.pipedrive.desk import Desk, desk, spent
from cio_activation_tests.destinations.pipedrive.test_hearing import asked
from cio_activation_tests.drivers import builders

Story = dict[str, Any]
PLACE = {"pipeline": "retention", "stage": "In conversation"}
PEOPLE = tuple(f"c{n}" for n in range(1, 13))


def dealing(name: str, **options: Any) -> Audience:
    """Return an audience that asks for a deal."""
    deal = DealOptions(**(PLACE | options))
    return builders.audience(name, label=f"Win back {name}", deliver={"pipedrive": PipedriveAudience(deal=deal)})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    audiences = (
        dealing("make", mode="create", title="Save {spent}", value="spent", on_end="lost", max_open_per_organization=1),
        dealing("move", mode="move_existing", on_end="won"),
        dealing("nowhere", mode="create", stage="Nowhere"),
    )
    with desk(tmp_path_factory.mktemp("desk"), 12, *audiences) as its:
        yield _story(its)


def _story(its: Desk) -> Story:
    bench, seen = its.bench, Story()
    number = {one: bench.there[f"{one}@example.com"]["id"] for one in PEOPLE}

    def look(name: str) -> None:
        deals = bench.stand_in.state()["deals"]
        seen[name] = {one: [d for d in deals if d["person_id"] == number[one]] for one in PEOPLE}
        seen[f"{name}, known"] = {one: its.known(one) for one in PEOPLE}

    def deal_of(one: str, **values: Any) -> int:
        return int(bench.edit("create_deal", title=f"{one}'s", person_id=number[one], **values)["id"])

    def set_deal(one: str, **values: Any) -> None:
        deals = [d for d in bench.stand_in.state()["deals"] if d["person_id"] == number[one]]
        bench.edit("set_deal", deal=deals[0]["id"], **values)

    shop = bench.edit("add_organization", name="Full")["id"]
    for one in ("c4", "c5"):
        bench.edit("set_person", person=f"{one}@example.com", org_id=shop)
    deal_of("c4", org_id=shop)
    for one, stages in {"c7": (6,), "c8": (6, 6), "c9": (8,), "c10": (1,), "c11": (6,)}.items():
        for stage in stages:
            deal_of(one, stage_id=stage)
    its.run()
    bench.fault(kind="reset", when="after", method="POST", path="/api/v2/deals", times=2)
    bench.fault(kind="truncate", when="after", method="PATCH", path="/api/v2/deals/*", times=99)
    its.enter("make", "c1", "c2", "c3", destination="", evidence=spent(40))
    its.enter("move", "c6", "c7", "c8", "c9", "c10", "c11", destination="")
    its.enter("nowhere", "c12", destination="")
    its.run()
    bench.stand_in.mend()
    its.enter("make", "c5", destination="", evidence=spent(40))
    its.run()
    look("made")
    seen["reasons"] = {reason for (reason,) in bench.query("SELECT reason FROM delivery.rejected ORDER BY reason")}
    seen["quiet"] = its.run()
    rows = bench.query("SELECT record_id, entry_id, about, shown, status, cio_id FROM delivery.actions")
    set_deal("c2", stage_id=8)
    set_deal("c11", is_archived=True)
    open_ones = [OpenAction("deal", r[0], r[1], r[2], None, None, r[3], Status(r[4])) for r in rows]
    heard, seen["heard for"] = asked(its, lambda client, context: DESTINATION.actions(client, context, open_ones))
    person = {r[0]: r[5] for r in rows}
    seen["heard"] = {person[action.record_id]: action.status for action in heard}
    its.enter("make", "c1", "c2", evidence=spent(50))
    its.run()
    look("changed")
    set_deal("c3", status="won")
    its.leave("make", c1="purchase", c2="purchase", c3="purchase")
    its.leave("move", c7="purchase", c11="purchase")
    its.run()
    look("left")
    its.run()
    seen["quiet at the end"] = its.run()
    return seen


def one(deals: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = deals
    return found


@pytest.mark.parametrize("person", ["c1", "c2", "c3"])
def test_a_deal_is_made_once_an_entry_whatever_answers_get_lost(told: Story, person: str) -> None:
    deal = one(told["made"][person])
    assert (deal["title"], deal["value"], deal["currency"]) == ("Save 40", 40, "USD")
    assert (deal["pipeline_id"], deal["stage_id"], deal["status"]) == (2, 7, "open")
    assert deal["owner_id"] == 1  # the person's
    assert told["made, known"][person] == ["open"]


def test_the_one_open_deal_is_moved_forward(told: Story) -> None:
    assert one(told["made"]["c7"])["stage_id"] == 7
    assert one(told["made"]["c9"])["stage_id"] == 8  # further already
    assert told["made, known"]["c9"] == ["taken_up"]


def test_nothing_is_guessed(told: Story) -> None:
    assert {reason.partition(":")[0] for reason in told["reasons"]} == {
        "no_open_deal", "ambiguous_deal", "other_pipeline", "organization_full",
        "Pipedrive has no stage 'Nowhere' in a pipeline 'retention'",
    }  # fmt: skip
    assert [d["stage_id"] for d in told["made"]["c8"]] == [6, 6]
    assert one(told["made"]["c10"])["stage_id"] == 1
    assert told["made"]["c5"] == told["made"]["c6"] == []
    assert told["quiet"] == []


def test_what_humans_did_with_deals_is_heard(told: Story) -> None:
    assert told["heard"] == {
        "c1": Status.OPEN, "c2": Status.TAKEN_UP, "c3": Status.OPEN, "c7": Status.OPEN, "c9": Status.TAKEN_UP,
        "c11": Status.TAKEN_UP,
    }  # fmt: skip
    assert told["heard for"] == 11  # the archived one is in no list


def test_its_worth_follows_but_not_after_a_human_moved_it(told: Story) -> None:
    assert one(told["changed"]["c1"])["value"] == 50
    moved = one(told["changed"]["c2"])
    assert (moved["value"], moved["stage_id"], told["changed, known"]["c2"]) == (40, 8, ["taken_up"])


def test_when_the_reason_ends_only_what_nobody_touched_is_closed(told: Story) -> None:
    lost = one(told["left"]["c1"])
    assert (lost["status"], lost["lost_reason"]) == ("lost", "Nothing to do any more: the person bought.")
    assert one(told["left"]["c2"])["status"] == "open"
    assert (one(told["left"]["c3"])["status"], told["left, known"]["c3"]) == ("won", ["done"])
    assert one(told["left"]["c7"])["status"] == "won"
    assert (one(told["left"]["c11"])["status"], told["left, known"]["c11"]) == ("open", ["taken_up"])
    assert told["quiet at the end"] == []
