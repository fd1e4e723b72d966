"""A home that release 0.1.0 left opens with this one, nothing that was in it is gone, and the next runs know it all.

Whoever renames a stored table or column says so below; the counts stay those of the old home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.customerio.inbox import Inbox
from cio_activation.customerio.moments import pull_moments
from cio_activation.destinations.common.kinds import CREATE, RECORDS
from cio_activation.journal.attempts import Journal
from cio_activation.journal.operations import by_name
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sql import identifier
from cio_activation_tests import fixtures
from cio_activation_tests.fixtures import stand_ins

RENAMED_TABLES: Mapping[str, str | None] = {
    "delivery.held": "delivery.deferred",
    "delivery.looked": "delivery.scopes",
    "identity.conflicts": "identity.key_clashes",
    "meta.moved": "meta.change_log",
    "raw.members_looked": "raw.members_checked",
    "state.fallback_gaps": "state.median_gaps",
    "batches": None,
    "helpers": None,
    "plans": None,
}
"""Old name -> new name, ``schema.table`` in the warehouse, the bare name in the journal; None: there no longer."""
RENAMED_COLUMNS: Mapping[str, Mapping[str, str | None]] = {
    "attempts": {"worker": None},
    "claims": {"entry": "claim"},
    "delivery.looked": {"turn": "sequence"},
    "delivery.plans": {"superseded": "unneeded"},
    "identity.persons": {"held_reason": "undeliverable_reason"},
    "meta.moved": {"turn": "sequence", "about": "table_name"},
    "meta.published": {"turn": "sequence"},
    "raw.members_looked": {"looked_at": "checked_at"},
    **{f"delivery.shadow_{where}": {"doubt": "in_doubt"} for where in ("hubspot_daily", "hubspot_realtime")},
    **{f"delivery.shadow_{where}": {"doubt": "in_doubt"} for where in ("pipedrive_daily", "pipedrive_realtime")},
}
"""Old name of the table -> old name of the column -> new name; None: there no longer."""
GROWS = ("meta.migrations",)
"""Tables that a migration adds rows to."""
TOLD = fixtures.contents()

Counts = Mapping[str, tuple[int, Mapping[str, int]]]
"""Today's name of a table -> its rows, and by column of today the values that are not NULL."""


def build(home: Path) -> Runtime:
    return Runtime.build(Settings(activation_home=home, _env_file=None), fixtures.activation())


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Return the old home as this release opened it; for tests that only read."""
    return build(fixtures.unpack(tmp_path_factory.mktemp("old")))


@pytest.fixture
def journal(opened: Runtime) -> Iterator[Journal]:
    with closing(Journal(opened.settings.journal)) as found:
        yield found


def wanted(store: str) -> Counts:
    """Return what the old home held in a store, by the names of today."""
    tables = {}
    for old, told in TOLD[store].items():
        if (table := RENAMED_TABLES.get(old, old)) is not None and old not in GROWS:
            renamed = RENAMED_COLUMNS.get(old, {})
            named = {renamed.get(column, column): count for column, count in told["filled"].items()}
            tables[table] = told["rows"], {column: n for column, n in named.items() if column is not None}
    return tables


def counted(tables: Counts, fetch: Callable[[str], Any]) -> Counts:
    """Return what is there now of the same tables and columns; ``fetch`` gives the only row of a query."""
    found = {}
    for table, (_, columns) in tables.items():
        listed = ", ".join(f"count({identifier(column)})" for column in columns)
        rows, *filled = fetch(f"SELECT count(*), {listed} FROM {table}")
        found[table] = rows, dict(zip(columns, filled, strict=True))
    return found


def test_every_table_of_the_warehouse_keeps_its_rows_and_values(opened: Runtime) -> None:
    before = wanted("warehouse")
    assert len(before) > 40
    with opened.warehouse.read() as con:
        assert counted(before, lambda query: con.execute(query).fetchall()[0]) == before


def test_every_view_of_the_warehouse_can_be_read(opened: Runtime) -> None:
    with opened.warehouse.read() as con:
        for view in TOLD["views"]:
            assert con.execute(f"SELECT * FROM {view}").fetchall()


def test_every_table_of_the_journal_keeps_its_rows_and_values(journal: Journal) -> None:
    before = wanted("journal")
    with journal.engine.connect() as con:
        assert counted(before, lambda query: con.execute(sa.text(query)).one()) == before


def test_the_journal_still_knows_what_was_in_flight(journal: Journal) -> None:
    roles = TOLD["roles"]
    sending = journal.open_attempts("pipedrive", "fields_daily", by_name(RECORDS))
    assert [(a.operation.kind, a.operation.cio_id, a.operation.claim) for a in sending] == [
        (CREATE, roles["created_unanswered"], f"person:{roles['created_unanswered']}")
    ]
    ended = journal.ended("hubspot", "properties_realtime")
    assert (ended["end"], ended["cio_id"]) == (("delivered",), (roles["unfolded"],))
    assert Inbox(journal).news().events == 1


@pytest.mark.slow
@pytest.mark.parametrize("order", [(Lane.DAILY, Lane.REALTIME), (Lane.REALTIME, Lane.DAILY)])
def test_the_runs_that_come_next_send_nothing_anew(tmp_path: Path, order: tuple[Lane, Lane]) -> None:
    """Nothing that was acknowledged is unknown, and the creation that was in flight does not come twice.

    What HubSpot rejected is tried once: this release keeps more of a schema than 0.1.0 did, and a schema that looks
    another is a reason to try again.
    """
    with stand_ins.resumed(fixtures.unpack(tmp_path)) as town:
        persons = town.there["pipedrive"]["persons"]
        rejected = town.query("SELECT cio_id FROM delivery.rejected WHERE kind = 'update'")
        begun = datetime.now(UTC).replace(tzinfo=None)
        for lane in order:
            midnight = town.now.replace(hour=0, minute=0) + timedelta(days=1)
            stand_ins.pass_time(town, timedelta(minutes=15) if lane is Lane.REALTIME else midnight - town.now)
            if lane is Lane.REALTIME:
                pull_moments(town.runtime, town.window(lane))
            run = town.run(lane)
            assert not any(report.stopped for report in run.reports.values())
        written = f"kind = 'update' AND \"end\" = 'delivered' AND ended_at > TIMESTAMP '{begun}'"
        # Contacts that a colleague had merged go to whoever owns the primary address, which 0.1.0 did not ask.
        owners = town.query("SELECT DISTINCT owner_cio_id FROM delivery.key_clashes")
        assert {*town.query(f"SELECT cio_id FROM delivery.ledger WHERE {written}")} == {*rejected, *owners}
        assert len(rejected) == len(owners) == 1
        sent = f"kind NOT IN ('link', 'create') AND ended_at > TIMESTAMP '{begun}'"
        assert {*town.query(f"SELECT cio_id FROM delivery.ledger WHERE {sent}")} == {*rejected, *owners}
        assert town.there["pipedrive"]["persons"] == persons
        # What a colleague typed into a property that keeps it stays.
        assert [d for d in town.differences() if " favourite: " not in d] == []
        assert town.query("SELECT count(*) FROM delivery.deferred WHERE step = 'fields_daily'") == [(0,)]
