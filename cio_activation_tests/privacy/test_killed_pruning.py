"""Pruning, also when it is killed on its way: nothing is sent anew, nobody's story breaks, cooldowns hold."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.destinations import DESTINATIONS
from cio_activation.privacy import pruning
from cio_activation.privacy.pruning import prune_rows
from cio_activation.privacy.retention import prune
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.why.facts import Asking
from cio_activation.why.story import tell
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.forms import form

pytestmark = pytest.mark.slow
DAY = timedelta(days=1)
KEEP = ("raw_retention", "plan_retention", "decision_retention", "ledger_retention", "quarantine_retention")
ACTION = "{subject: 'Cart of {cart_value}', body: Offer help by phone., owner: audience_owner}"
PIECE = 7
"""Rows of a transaction, so that pruning these few has many."""
EVERY = form(40, 1)
"""Of the boundaries that pruning passes each so manieth is one at which it is killed."""
LANES_AFTER = form(5, 1)
"""After each so manieth kill both lanes are run."""
Everything = dict[str, list[tuple[Any, ...]] | list[str]]


class Killed(BaseException):
    """Stands for the end of the process."""


class Boundaries:
    """Counts what pruning passes (each file deleted, each commit, before and after) and ends it at the ``at``-th."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.passed = at, list[str]()

    def passes(self, what: str) -> None:
        self.passed.append(what)
        if len(self.passed) == self.at:
            raise Killed(what)

    @contextmanager
    def installed(self) -> Iterator[None]:
        session = Warehouse.write

        @contextmanager
        def write(warehouse: Warehouse, **options: float) -> Iterator[Connection]:
            with session(warehouse, **options) as con:
                yield con
                self.passes("before a commit")
            self.passes("after a commit")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pruning, "PIECE", PIECE)
            patch.setattr(Warehouse, "write", write)
            for name in ("unlink", "rmdir"):
                patch.setattr(Path, name, self._around(name, getattr(Path, name)))
            yield

    def _around(self, name: str, real: Any) -> Any:
        def deleting(path: Path, *given: Any, **more: Any) -> None:
            ours = "raw" in path.parts or "plans" in path.parts
            if ours:
                self.passes(f"before {name}")
            real(path, *given, **more)
            if ours:
                self.passes(f"after {name}")

        return deleting


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Hot carts, all called about and done; days later everything that may go is old."""
    folder = tmp_path_factory.mktemp("killed")
    before, cart, after = lanes.ACTIVATION.partition("hot_cart: {")
    asked = after.replace("{hubspot: {list: true}", f"{{hubspot: {{list: true, task: {ACTION}}}", 1)
    activation = lanes.small_activation(folder, f"{before}{cart}launch: {{baseline: include}}, {asked}")
    short = activation.workspace.model_copy(update=dict.fromkeys(KEEP, DAY))
    activation = activation.model_copy(update={"workspace": short})
    with town(folder / "home", people=10, activation=activation, warm=False) as made:
        with warm_warehouses():
            made.by_hand("hubspot", "add_owner", email="cx@example.com", first_name="Cleo")
            made.settle()
            for one in made.people()[:4]:
                made.act("fill_cart", cio_id=one, value=300.0)
            made.wait(timedelta(hours=3))
            made.run(Lane.REALTIME)
            for task in made.there["hubspot"]["tasks"]:
                made.by_hand("hubspot", "complete_task", id=task["id"])
            made.wait(timedelta(minutes=20))
            made.run(Lane.REALTIME)
            for days in (1, 3):
                made.wait(days * DAY)
                for lane in Lane:
                    made.run(lane)
        age(made)
        yield made


def age(here: Town) -> None:
    """Have every file say that it was written long ago, in the order in which they were."""
    files = [path for path in here.home.rglob("*") if path.is_file()]
    for number, path in enumerate(sorted(files, key=lambda path: path.stat().st_mtime)):
        os.utime(path, (here.now.timestamp() - 10 * 86_400 + number,) * 2)


def moved(here: Town, home: Path) -> Town:
    """Return the town with a copy of its home, over the same vendors."""
    shutil.copytree(here.home, home)
    other = copy.copy(here)
    other.home = home
    other.runtime = lanes.build_runtime(home, here.sandbox.environment(), here.activation)
    return other


def at(here: Town) -> datetime:
    return here.now.replace(tzinfo=None)


def held(here: Town) -> Everything:
    """Return every row of the warehouse and every file of the home, but what stands beside the databases."""
    tables = query(here.runtime, "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY ALL")
    found: Everything = {
        f"{schema}.{table}": here.query(f'SELECT * FROM "{schema}"."{table}" ORDER BY ALL') for schema, table in tables
    }
    places = [here.home / "raw", here.home / "plans"]
    found["files"] = [
        str(p.relative_to(here.home)) for place in places for p in sorted(place.rglob("*")) if p.is_file()
    ]
    return found


def stories(here: Town) -> dict[str, dict[str, Any]]:
    """Return everybody's story: where they are, by which rules, and all facts."""
    with here.runtime.warehouse.read() as con:
        asking = Asking(con, here.runtime.settings, here.runtime.activation, DESTINATIONS)
        people = [str(row[0]) for row in con.execute("SELECT cio_id FROM identity.persons ORDER BY 1").fetchall()]
        return {one: json.loads(json.dumps(asdict(tell(asking, one)), default=str)) for one in people}


def broken(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[str]:
    """Return what is told of somebody otherwise than before, or anew: pruning makes stories shorter, and no more.

    A stay whose decisions went is told by itself, in fewer words.
    """
    found = []
    for cio_id, story in after.items():
        told = {_what(fact) for fact in before[cio_id]["facts"]}
        anew = [fact["sentence"] for fact in story["facts"] if _what(fact) not in told]
        other = [name for name, value in story.items() if name != "facts" and value != before[cio_id][name]]
        found += [f"{cio_id}: {anew} {other}"] if anew or other else []
    return found


def _what(fact: dict[str, Any]) -> tuple[Any, ...]:
    return (*(fact[name] for name in ("what", "about", "as_of", "destination")), fact["values"].get("operation_id"))


@pytest.fixture(scope="module")
def never_killed(here: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Everything, list[str]]:
    """What a pruning that nobody kills leaves, and the boundaries that it passes."""
    pruned, boundaries = moved(here, tmp_path_factory.mktemp("never") / "home"), Boundaries()
    with boundaries.installed():
        done = prune(pruned.runtime, at(here))
    assert done.raw_windows
    assert done.plan_files
    assert {"audience.decisions", "audience.assignments", "delivery.ledger"} <= done.pruned_rows.keys()
    assert set(boundaries.passed) == {
        f"{when} {what}" for when in ("before", "after") for what in ("unlink", "rmdir", "a commit")
    }
    return held(pruned), boundaries.passed


def test_whoever_kills_it_has_pruned_less_and_the_next_pruning_does_the_rest(
    here: Town, never_killed: tuple[Everything, list[str]], tmp_path: Path
) -> None:
    wanted, passed = never_killed
    told = stories(here)
    # The first and the last of each kind, and each so manieth.
    places = {passed.index(what) for what in passed} | {len(passed) - 1 - passed[::-1].index(what) for what in passed}
    for number, place in enumerate(sorted(places | set(range(0, len(passed), EVERY)))):
        pruned = moved(here, tmp_path / f"home{number}")
        boundaries, name = Boundaries(place + 1), f"{passed[place]} ({place + 1} of {len(passed)})"
        with boundaries.installed(), pytest.raises(Killed):
            prune(pruned.runtime, at(here))
        assert broken(told, stories(pruned)) == [], name
        if number % LANES_AFTER == 0:
            since = here.mark()
            again = moved(pruned, tmp_path / "lanes")
            with warm_warehouses():
                for lane in Lane:
                    again.run(lane)
                assert (here.writes(since), again.differences()) == ([], []), name
            shutil.rmtree(again.home)
        prune(pruned.runtime, at(here))
        now = held(pruned)
        assert {what for what in wanted if now[what] != wanted[what]} == set(), name
        shutil.rmtree(pruned.home)


@pytest.fixture
def _warm() -> Iterator[None]:
    with warm_warehouses():
        yield


@pytest.mark.usefixtures("_warm")
def test_after_pruning_nothing_is_sent_anew_and_cooldowns_hold(here: Town, tmp_path: Path) -> None:
    """One whose task was done fills a cart again, within the cooldown and after it."""
    who = str(here.query("SELECT max(cio_id) FROM delivery.actions")[0][0])
    [(record,)] = here.query(f"SELECT record_id FROM delivery.links WHERE destination = 'hubspot' AND cio_id = '{who}'")
    pruned = moved(here, tmp_path / "home")
    prune(pruned.runtime, at(here))
    since = here.mark()
    for lane in Lane:
        pruned.run(lane)
    assert here.writes(since) == []

    def asked_for() -> int:
        return sum(str(record) in map(str, task["contacts"]) for task in here.there["hubspot"]["tasks"])

    pruned.act("fill_cart", cio_id=who, value=310.0)
    pruned.wait(timedelta(hours=3))
    pruned.run(Lane.REALTIME)
    assert asked_for() == 1
    held = "SELECT code FROM audience.eligibility WHERE audience = 'hot_cart' AND cio_id = ?"
    with pruned.runtime.warehouse.read() as con:
        assert con.execute(held, [who]).fetchall() == [("cooldown",)]
    pruned.wait(7 * DAY)
    pruned.act("fill_cart", cio_id=who, value=320.0)
    pruned.wait(timedelta(hours=3))
    prune_rows(pruned.runtime, at(pruned))
    pruned.run(Lane.REALTIME)
    assert asked_for() == 2, "another entry, after the cooldown, asks once more"
