"""A small activation with every kind of rule, and a warehouse whose raw people tests write directly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from cio_activation.activation.models import (
    Activation,
    AttributeType,
    Audience,
    Case,
    Cases,
    DaysSince,
    ExpectNext,
    Flag,
    Lane,
    Property,
    PropertyType,
    Tiers,
    Value,
    Workspace,
)
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.runtime import Runtime
from cio_activation.state.columns import attribute_types
from cio_activation.warehouse import published, sessions
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import identifier
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.fresh_homes import fill
from cio_activation_tests.drivers.tables import noting, query

ATTRIBUTES = {
    "last_order_at": AttributeType.TIMESTAMP,
    "clicked_at": AttributeType.TIMESTAMP,
    "born_on": AttributeType.DATE,
    "spent": AttributeType.MONEY,
    "score": AttributeType.NUMBER,
    "orders": AttributeType.INTEGER,
    "gap_days": AttributeType.NUMBER,
    "category": AttributeType.TEXT,
    "unsubscribed": AttributeType.BOOLEAN,
}
DESTINATIONS = ("hubspot", "pipedrive")


def prop(name: str, rule: Any, kind: PropertyType, **more: Any) -> Property:
    """Return a property by its rule; delivered to both destinations if ``more`` says nothing else."""
    return builders.prop(name, kind, rule=rule, **({"deliver": DESTINATIONS} | more))


def expecting(**changes: Any) -> Property:
    rule = {"since": "last_order_at", "every": "gap_days", "fallback_by": "category"} | changes
    return prop("reorder", ExpectNext(**rule), PropertyType.ENUM, labels=("before", "open", "due", "overdue"))


def default_properties() -> list[Property]:
    stage = Cases(
        cases=(
            Case(label="fresh", when="hours_since(clicked_at) < 2 AND NOT unsubscribed"),
            Case(label="stale", when="days_since(clicked_at) BETWEEN 1 AND 3 OR days_since(born_on) = 10"),
        ),
        otherwise="none",
    )
    flag = Flag(when="days_since(last_order_at) > 60 AND orders >= 2")
    days = DaysSince(attribute="last_order_at", edges=(30, 90, 180), labels=("0-30", "31-90", "91-180", "181+"))
    return [
        prop("lapse", days, PropertyType.ENUM, labels=days.labels),
        prop(
            "tier",
            Tiers(attribute="spent", edges=(75, 200.5), labels=("low", "mid", "high")),
            PropertyType.ENUM,
            labels=("low", "mid", "high"),
            deliver=("hubspot",),
        ),
        expecting(),
        prop("at_risk", flag, PropertyType.FLAG),
        prop("stage", stage, PropertyType.ENUM, labels=("fresh", "stale", "none"), deliver=("pipedrive",)),
        prop("last_category", Value(attribute="category"), PropertyType.TEXT),
        prop("last_day", Value(attribute="last_order_at"), PropertyType.DATE),
        prop("points", Value(attribute="score"), PropertyType.NUMBER),
        prop(
            "live_tier",
            Tiers(attribute="spent", edges=(100,), labels=("small", "big")),
            PropertyType.ENUM,
            labels=("small", "big"),
            lane=Lane.REALTIME,
        ),
    ]


def activation(
    properties: Sequence[Property] | None = None, audiences: Sequence[Audience] = (), **workspace: Any
) -> Activation:
    chosen = default_properties() if properties is None else properties
    told = {"timezone": "America/New_York", "purchase_attribute": "last_order_at"} | workspace
    return builders.activation(
        *chosen,
        audiences=audiences,
        attributes=ATTRIBUTES,
        destinations=dict.fromkeys(DESTINATIONS),
        workspace=Workspace(**told),
    )


def window(as_of: datetime, lane: Lane = Lane.DAILY) -> Window:
    end = as_of.replace(tzinfo=UTC)
    span = timedelta(days=1) if lane is Lane.DAILY else timedelta(minutes=15)
    return Window(lane, end.isoformat(), end - span, end)


class InMemory(Warehouse):
    """The warehouse without its file: opening, locking and checkpoints would be most of these tests' time."""

    def __init__(self) -> None:
        super().__init__(Path("nowhere") / "warehouse.duckdb")
        # A DuckDB of its own: what asks whether a table is there would find those of other worlds beside it.
        self._con = Connection(duckdb.connect(":memory:", config=dict(sessions._CONFIG)))
        self._con.execute("SET TimeZone = 'UTC'")

    def migrate(self) -> None:
        if not fill(self._con):
            super().migrate()

    @contextmanager
    def write(self, *, yield_s: float = 0.0) -> Iterator[Connection]:
        self._con.begin()
        try:
            yield self._con
        except BaseException:
            self._con.rollback()
            raise
        self._con.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        yield self._con

    def awaited(self) -> bool:
        return False


@dataclass
class StateBench:
    """A runtime over a warehouse of its own, and writing to the raw tables as the customerio room would."""

    runtime: Runtime

    @classmethod
    def create(cls, home: Path, act: Activation | None = None, *, on_disk: bool = False) -> StateBench:
        settings = Settings(activation_home=home, _env_file=None)
        if on_disk:
            return cls(Runtime.build(settings, act or activation()))
        warehouse = InMemory()
        warehouse.migrate()
        return cls(Runtime(settings, act or activation(), warehouse))

    def using(self, act: Activation) -> StateBench:
        return StateBench(Runtime(self.runtime.settings, act, self.runtime.warehouse))

    def people(self, rows: Mapping[str, Mapping[str, Any]] | Sequence[tuple[str | None, Mapping[str, Any]]]) -> None:
        """Publish a ``raw.people`` that holds exactly these people; nobody was fetched since."""
        pairs = list(rows.items()) if isinstance(rows, Mapping) else list(rows)
        with self.runtime.warehouse.write() as con, noting(con, "raw.people", "raw.people_current"):
            _write_people(con, self.runtime.activation, pairs)
            con.execute("CREATE OR REPLACE TABLE raw.people_live AS FROM raw.people LIMIT 0")
            con.execute("CREATE OR REPLACE TABLE raw.people_gone (cio_id VARCHAR)")
            con.execute(
                """CREATE OR REPLACE VIEW raw.people_current AS
                FROM raw.people WHERE cio_id IS NULL OR cio_id NOT IN (
                    SELECT cio_id FROM raw.people_live UNION ALL SELECT cio_id FROM raw.people_gone)
                UNION ALL FROM raw.people_live"""
            )
            published.publish(con, "raw.people", window(datetime(2026, 1, 1)), len(pairs))

    def fetched(self, rows: Mapping[str, Mapping[str, Any]], gone: Sequence[str] = ()) -> None:
        """Note what the real-time lane learned since: people as they are now, and who is no more."""
        with self.runtime.warehouse.write() as con, noting(con, "raw.people_current"):
            _write_people(con, self.runtime.activation, list(rows.items()), "fetched")
            for table in ("raw.people_live", "raw.people_gone"):
                con.execute(f"DELETE FROM {table} WHERE cio_id IN (SELECT unnest(?::VARCHAR[]))", [[*rows, *gone]])
            con.execute("INSERT INTO raw.people_live BY NAME FROM fetched")
            con.execute("INSERT INTO raw.people_gone SELECT unnest(?::VARCHAR[])", [list(gone)])
            con.execute("DROP TABLE fetched")

    def rows(self, select: str) -> list[tuple[Any, ...]]:
        return query(self.runtime, select)

    def table(self, query: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a query by their ``cio_id``."""
        with self.runtime.warehouse.read() as con:
            result = con.execute(query)
            names = [d[0] for d in result.description]
            return {row[names.index("cio_id")]: dict(zip(names, row, strict=True)) for row in result.fetchall()}

    def state(self, lane: Lane = Lane.DAILY) -> dict[str, dict[str, Any]]:
        return self.table(f"SELECT * FROM state.{lane.value}_properties")


def _write_people(
    con: Connection,
    act: Activation,
    pairs: Sequence[tuple[str | None, Mapping[str, Any]]],
    table: str = "raw.people",
) -> None:
    types = {"cio_id": "VARCHAR"} | attribute_types(act)
    columns = ", ".join(f"{identifier(n)} {t}" for n, t in types.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE given ({columns})")
    if pairs:
        row = f"({', '.join('?' * len(types))})"
        values = [value for cio_id, person in pairs for value in (cio_id, *map(person.get, list(types)[1:]))]
        con.execute(f"INSERT INTO given VALUES {', '.join([row] * len(pairs))}", values)
    names = ", ".join(map(identifier, types))
    con.execute(
        f"CREATE OR REPLACE TABLE {table} AS SELECT *, hash({names}) AS content_hash, "
        "TIMESTAMP '2026-01-01' AS changed_at, TIMESTAMP '2026-01-01' AS observed_at FROM given"
    )
