"""``why`` agrees with ``plan``: before a window is delivered, and after it, of everybody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.journal.attempts import Journal
from cio_activation_tests.crash import worker
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.why.agreeing import Chapter, chapter, contradicted, invented, stories, untold

pytestmark = pytest.mark.slow
NAMES = ("first contact", "live and carts", "handled", "a day later, and some refused")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("agrees")
    activation = lanes.small_activation(folder, worker.ACTIVATION)
    with town(folder / "home", people=10, activation=activation) as made, pytest.MonkeyPatch.context() as environment:
        for name, value in made.sandbox.environment().items():
            environment.setenv(name, value)
        environment.setenv("ACTIVATION_HOME", str(made.home))
        environment.setenv("ACTIVATION_FILE", str(folder / "activation.yaml"))
        made.by_hand("pipedrive", "add_user", name="Cleo", email="cx@example.com", timezone="America/New_York")
        made.by_hand("hubspot", "add_owner", email="ada@example.com")
        yield made


@pytest.fixture(scope="module")
def chapters(here: Town) -> dict[str, Chapter]:
    """People come into both CRMs, fill carts, are called, buy, leave, and one value is not taken."""
    for destination in DESTINATIONS:
        run_schema(here.runtime, destination)
    people = here.people()
    found = [chapter(here, "first contact", Lane.DAILY)]
    for one in people[:4]:
        here.act("fill_cart", cio_id=one, value=250.0)
    for _ in range(2):
        here.act("click", cio_id=people[5], kind="wismo")
    here.wait(timedelta(hours=2))
    found.append(chapter(here, "live and carts", Lane.REALTIME))
    here.by_hand("hubspot", "complete_task", id=here.there["hubspot"]["tasks"][0]["id"])
    here.act("clear_cart", cio_id=people[1])
    here.act("fill_cart", cio_id=people[2], value=90.0)
    here.wait(timedelta(minutes=20))
    found.append(chapter(here, "handled", Lane.REALTIME))
    here.act("place_order", cio_id=people[6], value=700.0, category="Tea")
    here.act("place_order", cio_id=people[7], value=-9.0, category="Tea")
    here.act("delete_person", cio_id=people[8])
    here.act("place_order", cio_id=people[4], value=80.0, category="Tea")
    here.wait(timedelta(hours=24))
    here.fault(kind="status", status=400, method="PATCH", path="/api/v2/persons/*", times=1)
    here.fault(kind="status", status=400, method="POST", path="*/contacts/batch/update", times=8)
    found.append(chapter(here, NAMES[-1], Lane.DAILY))
    here.clear_faults()
    return {one.name: one for one in found}


@pytest.mark.parametrize("name", NAMES)
def test_before_a_window_is_delivered_everybodys_story_says_what_the_plan_rests_on(
    chapters: dict[str, Chapter], name: str
) -> None:
    assert chapters[name].plan, "nothing was planned"
    assert contradicted(chapters[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_afterwards_it_says_that_it_was_sent_and_what_the_vendor_answered(
    chapters: dict[str, Chapter], name: str
) -> None:
    assert untold(chapters[name]) == []
    assert chapters[name].later == [], "and plan has nothing left"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_anew_that_was_not_planned(chapters: dict[str, Chapter], name: str) -> None:
    assert invented(chapters[name]) == []


@pytest.fixture
def who(here: Town, chapters: dict[str, Chapter]) -> str:
    """Whoever has a record in HubSpot and a small cart."""
    there = here.query("SELECT min(cio_id) FROM delivery.links WHERE destination = 'hubspot' AND record_id IS NOT NULL")
    who = str(there[0][0])
    if here.query(f"SELECT cart_tier FROM state.realtime_properties WHERE cio_id = '{who}'") != [("low",)]:
        here.act("fill_cart", cio_id=who, value=20.0)
        here.wait(timedelta(minutes=20))
        here.run(Lane.REALTIME)
    here.act("fill_cart", cio_id=who, value=120.0)
    here.wait(timedelta(minutes=20))
    return who


def of_the_cart(here: Town, who: str, window: str) -> list[tuple[str, str]]:
    """Return (end, sentence) of what is told of the write of a cart in a window, or of that it was not sent."""
    return [
        (f["values"].get("end", f["what"]), f["sentence"])
        for f in stories(here, who)[who]["facts"]
        if f["window_key"] == window and f["destination"] == "hubspot" and "cart_tier" in f["sentence"]
    ]


def test_what_got_no_answer_is_told_as_sent_and_not_known_and_then_how_it_ended(here: Town, who: str) -> None:
    window = here.window(Lane.REALTIME).key
    here.fault(kind="reset", when="after", method="POST", path="*/contacts/batch/update", times=8)
    here.run(Lane.REALTIME)
    here.clear_faults()
    [(end, sentence)] = of_the_cart(here, who, window)
    assert end == "unknown"
    assert sentence.startswith(
        "hubspot: wrote cart_tier = mid: sent, and what came of it is not known; the next run looks"
    )
    here.run(Lane.REALTIME)
    assert [end for end, _ in of_the_cart(here, who, window)] == ["delivered", "retry"]


@pytest.mark.parametrize(
    ("dies", "told"),
    [
        ("intend", "not sent yet: wrote cart_tier = mid: a run is at it, or was killed"),
        ("record", "wrote cart_tier = mid: on its way, or the run was killed; the next run looks"),
        ("ended", "wrote cart_tier = mid: taken (HTTP 200"),
        ("prune", "wrote cart_tier = mid: taken (HTTP 200"),
    ],
)
def test_of_a_run_that_was_killed_is_told_what_it_sent_and_what_it_did_not(
    here: Town, who: str, dies: str, told: str
) -> None:
    window = here.window(Lane.REALTIME)
    lanes.decide_lane(here.runtime, Lane.REALTIME, window)
    step = next(s for s in HUBSPOT.steps(here.activation) if s.name == "properties_realtime")
    sent = False
    real = {name: getattr(Journal, name) for name in ("intend", dies)}

    def killed(*given: Any) -> Any:
        if dies == "intend" or sent:
            raise KeyboardInterrupt
        return real[dies](*given)

    def intend(*given: Any) -> Any:
        nonlocal sent
        sent = True
        return real["intend"](*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "intend", intend)
        patch.setattr(Journal, dies, killed)
        with pytest.raises(KeyboardInterrupt):
            run_step(here.runtime, HUBSPOT, step, window, "killed")
    [(_, sentence)] = of_the_cart(here, who, window.key)
    assert sentence.startswith(f"hubspot: {told}")
    here.run(Lane.REALTIME)
    assert of_the_cart(here, who, window.key)[0][0] == "delivered"
    assert len(of_the_cart(here, who, window.key)) == (2 if dies == "record" else 1)
