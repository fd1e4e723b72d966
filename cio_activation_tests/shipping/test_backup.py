"""Backup and restore, by the commands of docs/backup.md, over a town in which humans are asked to act."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from cio_activation.activation.models import Lane
from cio_activation.audit.run import audit
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal import schema
from cio_activation.journal.attempts import Journal
from cio_activation_tests.docs import pages
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.postgres import PostgresServer, binaries
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.forms import form

pytestmark = pytest.mark.slow
CX = "cx@example.com"
ACTION = "{subject: 'Cart of {cart_value}', body: Offer help by phone., owner: audience_owner}"
ACTIVATION = lanes.ACTIVATION.replace(
    "hot_cart: {", "hot_cart: {launch: {baseline: include}, gate: cart_value > 0, "
).replace(
    "deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}\ndestinations",
    f"deliver: {{hubspot: {{list: true, task: {ACTION}}}, pipedrive: {{flag: true}}}}}}\ndestinations",
)  # fmt: skip
WITHHELD = (
    """SELECT code, count(*) FROM audience.eligibility WHERE audience = 'hot_cart' AND code IS NOT NULL GROUP BY code"""
)
BLOCKS = [block for language, block in pages.fenced(pages.text_of("backup.md")) if language == "sh"]
HOME, SQLITE, POSTGRES = 0, 1, 2
RESTORE = 3
"""The page's blocks: the home and both journals are backed up, then restored in the same order."""


def block(number: int, **environment: str) -> None:
    """Run one block of the page."""
    path = f"{binaries() if 'JOURNAL' in environment else ''}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", BLOCKS[number]], env=environment | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (BLOCKS[number], done.stderr)


@dataclass
class Drill:
    """A town, and the page's commands over it."""

    here: Town
    folder: Path

    def run(self, number: int) -> None:
        """Run one block of the page."""
        block(number, ACTIVATION_HOME=str(self.here.home), BACKUP=str(self.folder))

    def back_up(self) -> None:
        self.run(HOME)
        self.run(SQLITE)

    def restore(self, *, journal: bool) -> None:
        self.run(RESTORE + HOME)
        if journal:
            self.run(RESTORE + SQLITE)

    def newest_windows_again(self) -> int:
        """Run the newest window of each lane again; return how many calls could have changed something."""
        since = self.here.mark()
        for lane in Lane:
            self.here.run(lane)
        return len(self.here.writes(since))

    def audit(self) -> None:
        """Have read back all that is in the CRMs, as ``cio-activation audit --all`` does."""
        for destination in DESTINATIONS:
            if destination.name in self.here.activation.destinations:
                audit(self.here.runtime, destination, "drill", sample=None)

    def made(self) -> dict[str, list[str]]:
        """Return the ids of all that was brought into being in the CRMs."""
        there = self.here.there
        return {
            "contacts": sorted(map(str, there["hubspot"]["contacts"])),
            "tasks": sorted(str(task["id"]) for task in there["hubspot"]["tasks"]),
            "persons": sorted(map(str, there["pipedrive"]["persons"])),
        }

    def another_day(self) -> None:
        """Let people come, and carts be left and emptied, and carry it all."""
        here = self.here
        made = [str(here.act("add_person", id=f"N{n}", email=f"new{n}@example.com")["cio_id"]) for n in range(3)]
        for who in made:
            for value in (40.0, 60.0):
                here.act("place_order", cio_id=who, value=value, category="Tea")
        here.wait(timedelta(minutes=20))
        for who in made:
            here.act("fill_cart", cio_id=who, value=220.0)
        here.act("clear_cart", cio_id=here.people()[0])
        for span in (timedelta(hours=3), timedelta(hours=18)):
            here.wait(span)
            for lane in Lane:
                here.run(lane)


@pytest.fixture
def drill(tmp_path: Path) -> Iterator[Drill]:
    home = tmp_path / "home"
    with town(home, people=10, warm=False) as here:
        here.by_hand("hubspot", "add_owner", email=CX, first_name="Cleo")
        here.activation = lanes.small_activation(home, ACTIVATION)
        here.runtime = lanes.build_runtime(home, here.sandbox.environment(), here.activation)
        for who in here.people()[:4]:
            here.act("fill_cart", cio_id=who, value=150.0)
        here.wait(timedelta(hours=3))
        here.settle()
        yield Drill(here, tmp_path / "backup")


def test_a_restored_home_sends_nothing_anew_and_doubles_nothing(drill: Drill) -> None:
    drill.back_up()
    first = drill.made()
    assert len(first["tasks"]) >= 4
    for path in drill.here.home.iterdir():
        if path.is_file() and path.suffix != ".yaml":
            path.unlink()
    drill.restore(journal=True)
    assert (drill.newest_windows_again(), drill.made()) == (0, first)

    # The warehouse is older than the journal: it has forgotten a day, and the journal has not. Then both have.
    drill.another_day()
    second = drill.made()
    assert {name for name, ids in second.items() if len(ids) > len(first[name])} == {*first}
    for journal in form((False,), (False, True)):
        drill.restore(journal=journal)
        drill.newest_windows_again()
        assert drill.made() == second
        # Whose task the warehouse has forgotten is being handled: not asked again, and on a list that an audit settles.
        assert drill.here.query(WITHHELD) == [("being_handled", 3)]
        drill.audit()
        drill.newest_windows_again()
        assert (drill.here.differences(), drill.made()) == ([], second)


def test_a_journal_in_postgresql_comes_back_whole(postgres: PostgresServer, tmp_path: Path) -> None:
    url, empty = postgres.new_database(), postgres.new_database()
    with closing(Journal(url)) as journal, journal.transaction() as con:
        con.execute(
            schema.claims.insert().values(destination="hubspot", claim="task:e1:1", operation_id="o1", record_id="7")
        )
        con.execute(schema.leases.insert().values(name="hubspot/list", owner="here:1", expires_at=1.0))
    (tmp_path / "backup").mkdir()
    for number, place in ((POSTGRES, url), (RESTORE + POSTGRES, empty)):
        block(number, BACKUP=str(tmp_path / "backup"), JOURNAL=place.replace("+psycopg2", ""))
    with closing(Journal(empty)) as journal, journal.transaction() as con:
        assert con.execute(sa.select(schema.claims)).all() == [("hubspot", "task:e1:1", "o1", "7")]
        assert [row.name for row in con.execute(sa.select(schema.leases))] == ["hubspot/list"]
        assert schema.version_of(con) == schema.NEWEST
