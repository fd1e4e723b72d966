"""Notes: one an entry, brought up to date in place, and a line when the reason ends. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cio_activation.activation.models import Audience, Lane
from cio_activation_tests.destinations.hubspot.asking import activation, impatient
from cio_activation_tests.drivers.hubspot import HubSpotBench, audience, hubspot_bench, person
from cio_activation_tests.drivers.warm import warm_warehouses

Story = dict[str, Any]
PEOPLE = {f"c{n}": f"p{n:05d}" for n in range(1, 7)}


def telling(name: str, **options: Any) -> Audience:
    """Return an audience that asks for a note."""
    said = {"body": "Spent {spent} & left the {plan} plan."} | options
    return audience(name, Lane.DAILY, f"RET - {name}", list=False, note=said)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    seed = [{"email": f"person{n}@example.com"} for n in range(1, 7)]
    with warm_warehouses():
        model = activation(telling("tell"), telling("drop", on_end="delete"))
        world = hubspot_bench(tmp_path_factory.mktemp("portal"), seed, model, search_lag_s=3_600.0)
        try:
            world.persons([person(n) for n in range(1, 7)])
            impatient(world)
            world.schema()
            world.run()
            yield _story(world)
        finally:
            world.stop()


def _values(spent: float = 10.0) -> dict[str, Any]:
    return {"inputs": {"spent": spent, "plan": "<gold>"}}


def _story(world: HubSpotBench) -> Story:
    seen = Story()
    whose = {world.id_of(f"person{n}@example.com"): f"c{n}" for n in range(1, 7)}

    def look(name: str) -> None:
        found: dict[str, list[dict[str, Any]]] = {one: [] for one in PEOPLE}
        for note in world.portal.state()["notes"]:
            for contact in note["contacts"]:  # a deleted one has none any more
                whose[note["id"]] = whose[contact]
            found[whose[note["id"]]].append(note)
        seen[name] = found
        rows = world.query("SELECT cio_id, status FROM delivery.actions ORDER BY opened_at")
        seen[f"{name}, known"] = {one: [s for c, s in rows if c == cio_id] for one, cio_id in PEOPLE.items()}

    def entered(name: str, *people: str, spent: float = 10.0) -> None:
        world.enter(name, {PEOPLE[one]: _values(spent) for one in people})

    entered("tell", "c1", "c2", "c3", "c4")
    entered("drop", "c5")
    world.fault(kind="reset", when="after", path="/crm/objects/*/notes/batch/create", times=1)
    mark = world.mark()
    seen["lost"] = world.run()
    world.run()
    seen["calls to make"] = [e.path for e in world.entries(mark) if "/notes/" in e.path or e.path.endswith("/search")]
    mark = world.mark()
    world.run()
    seen["quiet"] = [e.path for e in world.entries(mark) if "/notes" in e.path]
    look("made")
    notes = {one: found[0]["id"] for one, found in seen["made"].items() if found}
    before = seen["made"]["c2"][0]["properties"]["hs_note_body"]
    world.edit("set_note", id=notes["c2"], properties={"hs_note_body": before + "<p>I know them</p>"})
    world.edit("delete_note", id=notes["c4"])
    entered("tell", "c1", "c2", "c3", "c4", spent=40.0)
    mark = world.mark()
    world.run()
    seen["calls to change"] = [e.path.rsplit("/", 1)[-1] for e in world.entries(mark) if "/notes/" in e.path]
    look("changed")
    world.enter("tell", {PEOPLE["c3"]: {}}, "purchase")
    world.enter("drop", {}, "purchase")
    world.fault(kind="reset", when="after", path="/crm/objects/*/notes/batch/update", times=1)
    world.run()
    world.run()
    look("left")
    mark = world.mark()
    world.run()
    seen["quiet at the end"] = [e.path for e in world.entries(mark) if "/notes" in e.path]
    world.use(activation(telling("drop")))
    impatient(world)
    world.schema()
    world.run()
    look("removed")
    return seen


def _body(told: Story, when: str, one: str) -> str:
    (note,) = told[when][one]
    return str(note["properties"]["hs_note_body"])


def test_who_enters_has_one_note_on_the_contact_that_says_why_and_is_found_by_its_marker(told: Story) -> None:
    assert [len(told["made"][f"c{n}"]) for n in range(1, 7)] == [1, 1, 1, 1, 1, 0]
    assert [told["made, known"][f"c{n}"] for n in range(1, 6)] == [["open"]] * 5
    lines = [line.split("</p>")[0] for line in _body(told, "made", "c1").split("<p>")[1:]]
    assert lines[0] == "Spent 10 USD &amp; left the &lt;gold&gt; plan."
    assert lines[1].startswith("Why now: in Customer.io segment 1 since ")
    assert "[note:" in lines[-1]
    properties = told["made"]["c1"][0]["properties"]
    assert (properties["hs_timestamp"][:4], "hubspot_owner_id" in properties) == ("2026", False)


def test_a_lost_answer_makes_no_second_note_and_nothing_searches(told: Story) -> None:
    lost = [report.held for name, report in told["lost"].items() if name.startswith("note/")]
    assert sorted(lost) == [0, 4]
    calls = [path.rsplit("/2026-09/", 1)[-1] for path in told["calls to make"]]
    assert calls == [
        "notes/batch/create", "notes/batch/create", "contacts/notes/batch/read", "notes/batch/read",
    ]  # fmt: skip
    assert told["quiet"] == []


def test_new_evidence_is_written_in_place_but_not_over_a_human_nor_anew(told: Story) -> None:
    assert "<p>Spent 40 USD &amp; left" in _body(told, "changed", "c1")
    assert "40 USD" not in _body(told, "changed", "c2")
    assert [told["changed, known"][one] for one in ("c1", "c2", "c4")] == [["open"], ["taken_up"], ["deleted"]]
    assert told["changed"]["c4"][0]["archived"]
    assert told["calls to change"] == ["read", "update"]


def test_when_the_reason_ends_a_line_says_so_once_or_the_note_goes(told: Story) -> None:
    line = "<p><strong>Nothing to do any more: the person bought.</strong></p>"
    for one in ("c1", "c2"):
        assert _body(told, "left", one).startswith(line)
        assert _body(told, "left", one).count("Nothing to do") == 1
    assert _body(told, "left", "c2").endswith("<p>I know them</p>")
    assert told["left"]["c5"][0]["archived"]
    assert [told["left, known"][one] for one in ("c1", "c2", "c5")] == [["withdrawn"], ["taken_up"], ["withdrawn"]]
    assert told["quiet at the end"] == []


def test_of_an_audience_that_left_the_activation_it_is_said_too(told: Story) -> None:
    assert "the audience was removed" in _body(told, "removed", "c3")
    assert told["removed, known"]["c3"] == ["withdrawn"]
