"""Notes: one an entry, brought up to date in place, and a line when the reason ends. One story for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Audience
from cio_activation.destinations.common.actions.note_options import NoteOptions
from cio_activation.destinations.pipedrive.api import tokens
from cio_activation.destinations.pipedrive.config import PipedriveAudience
from cio_activation.errors import ConfigError
from cio_activation_tests.destinations.pipedrive.desk import Desk, desk, spent
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.pipedrive import model

Story = dict[str, Any]


def telling(name: str, **options: Any) -> Audience:
    """Return an audience that asks for a note."""
    note = NoteOptions(body="Spent {spent} & left.", **options)
    return builders.audience(name, deliver={"pipedrive": PipedriveAudience(note=note)})


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Return what was seen in each window, by its name."""
    with desk(tmp_path_factory.mktemp("desk"), 6, telling("tell"), telling("drop", on_end="delete")) as its:
        yield _story(its)


def _story(its: Desk) -> Story:
    bench, seen = its.bench, Story()

    def look(name: str) -> None:
        persons = {p["id"]: email.partition("@")[0] for email, p in bench.there.items()}
        notes = bench.stand_in.state()["notes"]
        seen[name] = {one: [n["content"] for n in notes if persons[n["person_id"]] == one] for one in persons.values()}
        seen[f"{name}, known"] = {one: its.known(one) for one in persons.values()}

    its.run()
    bench.fault(kind="reset", when="after", method="POST", path="/v1/notes")
    its.enter("tell", "c1", "c2", "c3", destination="")
    its.enter("tell", "c4", destination="hubspot")
    its.enter("drop", "c5", destination="")
    its.run()
    seen["cost"] = tokens({k: n for k, n in bench.reports["note/drop"].calls.items() if k != "users.me"})
    seen["quiet"] = its.run()
    look("made")
    seen["marker"] = f"[note:{its.entry_ids['c1']}:1]"
    number = next(n["id"] for n in bench.stand_in.state()["notes"] if its.entry_ids["c2"] in n["content"])
    bench.vendor.company.notes.rows[number].content += "<p>I know them</p>"
    its.enter("tell", "c1", "c2", "c3", evidence=spent(40))
    its.run()
    look("changed")
    its.leave("tell", c1="purchase", c2="purchase")
    its.leave("drop", c5="purchase")
    its.run()
    its.run()
    look("left")
    seen["quiet at the end"] = its.run()
    bench.use(model({}, ("spent",)))
    its.run()
    look("removed")
    return seen


def test_who_enters_has_one_note_that_says_why(told: Story) -> None:
    for person in ("c1", "c2", "c3", "c5"):
        assert len(told["made"][person]) == 1
        assert told["made, known"][person] == ["open"]
    lines = told["made"]["c1"][0].removeprefix("<p>").removesuffix("</p>").split("</p><p>")
    assert lines[0] == "Spent - &amp; left."
    assert lines[1].startswith("Why now: ")
    assert lines[-1] == told["marker"]
    assert (told["cost"], told["quiet"]) == (11, [])


def test_who_is_looked_after_in_another_crm_has_none_here(told: Story) -> None:
    assert told["made"]["c4"] == []


def test_new_evidence_is_written_in_place_but_not_over_a_human(told: Story) -> None:
    assert "<p>Spent 40 &amp; left.</p>" in told["changed"]["c1"][0]
    assert "40" not in told["changed"]["c2"][0].partition("Why now")[0]
    assert told["changed, known"]["c2"] == ["taken_up"]


def test_when_the_reason_ends_a_line_says_so_or_the_note_goes(told: Story) -> None:
    line = "<p>Nothing to do any more: the person bought.</p>"
    assert told["left"]["c1"][0].endswith(line)
    assert told["left"]["c2"][0].endswith(f"<p>I know them</p>{line}")
    assert told["left"]["c5"] == []
    assert [told["left, known"][one] for one in ("c1", "c2", "c5")] == [["withdrawn"], ["taken_up"], ["withdrawn"]]
    assert told["quiet at the end"] == []


def test_of_an_audience_that_left_the_activation_it_is_said_too(told: Story) -> None:
    assert "the audience was removed" in told["removed"]["c3"][0]
    assert told["removed, known"]["c3"] == ["withdrawn"]


def test_what_a_note_or_a_deal_shows_is_checked_and_read_by_the_rules(tmp_path: Path) -> None:
    text = """
workspace: {timezone: UTC}
attributes: {spent: {from: spent, type: money}, mail: {from: email, type: text}}
audiences:
  tell:
    label: Tell
    description: Tell them
    owner: a@example.com
    segment: 1
    lane: daily
    deliver:
      pipedrive:
        note: {body: "NOTE"}
        deal: {mode: create, pipeline: Sales, stage: Qualified, title: "Save them", value: spent}
destinations: {pipedrive: {}}
"""
    with pytest.raises(ConfigError) as caught:
        builders.load(tmp_path, text.replace("NOTE", "{spnt} by {mail}"))
    told = " ".join(caught.value.problems)
    assert "{spnt} is no attribute or property; did you mean 'spent'?" in told
    assert "{mail} is contact data" in told
    loaded = builders.load(tmp_path, text.replace("NOTE", "Mind"))
    assert (loaded.audiences["tell"].touch, loaded.audiences["tell"].placeholders) == (True, ("spent",))
