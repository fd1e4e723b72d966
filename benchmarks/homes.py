"""The homes that cases start from: one built after the other with the project's own functions, then copied.

``empty`` -> ``landed`` (day 1: people, identity, segment members) -> ``delivered`` (state, audiences, and HubSpot
holding all of it: links and shadow as if a first push had gone through) -> ``second`` (day 2 landed, not derived).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import people
from benchmarks.measure import Answer
from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Settings
from cio_activation.activation.windows import Window
from cio_activation.audience.members import update
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.people import PeoplePull, land
from cio_activation.delivery.destination import Context, Step
from cio_activation.delivery.plan import Plan, make_plan
from cio_activation.destinations import DESTINATIONS
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.identity.resolve import resolve
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp

STAGES = ("empty", "landed", "delivered", "second")
LISTED_EVERY = 997
"""One person in so many is also in each segment without qualifying: what gates are there to refuse."""


@dataclass(frozen=True)
class Site:
    """Where one benchmark run keeps its files, and how many people it is about."""

    root: Path
    people: int

    def csv(self, day: int) -> Path:
        """The export file of a day."""
        return self.root / f"people-{day}.csv"

    def home(self, stage: str) -> Path:
        """The finished home of a stage, never to be written to."""
        return self.root / stage

    def file(self, day: int) -> RawFile:
        """The export of a day as the kept file that landing takes."""
        observed = people.window(day).end.replace(tzinfo=None)
        return RawFile("people", self.csv(day), "", self.people, observed)


def activation() -> Activation:
    """Return the default activation, with a guard that lets a first push of everybody through."""
    loaded = load_activation(DEFAULT_ACTIVATION, tuple(DESTINATIONS))
    guards = loaded.limits.guards.model_copy(update={"max_operations": 1_000_000_000})
    return loaded.model_copy(update={"limits": loaded.limits.model_copy(update={"guards": guards})})


def runtime(home: Path) -> Runtime:
    """Return the runtime over ``home``; the environment has no say in it."""
    return Runtime.build(Settings(activation_home=home, _env_file=None), activation())


def take(site: Site, stage: str, name: str) -> Runtime:
    """Return a runtime over a fresh copy of a stage's home, for a case to write to."""
    copy = site.root / "work" / name
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(site.home(stage), copy)
    return runtime(copy)


def build(site: Site, wanted: set[str]) -> None:
    """Write both export files and build the homes that are ``wanted``, with those before them."""
    for day in (1, 2):
        people.write(activation(), site.people, day, site.csv(day))
    runtime(site.home("empty"))
    last = max(STAGES.index(stage) for stage in wanted)
    for before, stage in pairwise(STAGES[: last + 1]):
        shutil.copytree(site.home(before), site.home(stage))
        {"landed": _land, "delivered": _deliver, "second": _second}[stage](site, runtime(site.home(stage)))


def land_day(site: Site, run: Runtime, day: int) -> PeoplePull:
    """Land the export of a day."""
    return land(run, people.window(day), site.file(day))


def properties_step(activation: Activation) -> Step:
    """Return HubSpot's step for the daily lane's properties."""
    return next(s for s in HUBSPOT.steps(activation) if s.name == "properties_daily")


def plan_properties(run: Runtime, con: Connection, day: int, path: Path) -> Plan:
    """Plan HubSpot's daily properties of a day into ``path``."""
    window = people.window(day)
    context = Context(run.settings, run.activation, window, {})
    return make_plan(con, properties_step(run.activation), HUBSPOT.name, context, window, "benchmark", path)


def planned_people(path: Path) -> str:
    """Return a SELECT of the ``cio_id`` of each operation of a plan; an empty plan has no file."""
    if not path.exists():
        return "SELECT CAST(NULL AS VARCHAR) AS cio_id WHERE false"
    return f"SELECT cio_id FROM read_parquet({literal(str(path))})"


def _land(site: Site, run: Runtime) -> None:
    land_day(site, run, 1)
    resolve(run, people.window(1))
    fill_segments(run)


def fill_segments(run: Runtime) -> None:
    """Put into each daily segment who Customer.io would: everybody its name speaks of, and some who are no match."""
    as_of = timestamp(people.window(1).as_of)
    days = f"date_diff('day', last_order_at, {as_of})"
    conditions = {
        3: f"{days} BETWEEN 91 AND 180",
        4: "orders_count = 1",
        5: f"median_days_between_orders BETWEEN {days} - 7 AND {days} + 3",
        6: f"total_spent >= 1200 AND {days} >= 60",
        8: f"last_refund_at > {as_of} - INTERVAL 30 DAY",
        9: "wismo_clicks_30d >= 2",
    }
    with run.warehouse.write() as con:
        for audience in run.activation.lane_audiences(Lane.DAILY):
            con.execute(
                f"INSERT INTO raw.memberships SELECT 'daily', {audience.segment}, cio_id, {as_of}, 'benchmark' "
                f"FROM raw.people WHERE {conditions[audience.segment]} OR hash(cio_id) % {LISTED_EVERY} = 0"
            )


def _deliver(site: Site, run: Runtime) -> None:
    window = people.window(1)
    derive(run, window)
    update(run, window)
    step, context = properties_step(run.activation), Context(run.settings, run.activation, window, {})
    path = site.home("delivered") / "first.parquet"
    with run.warehouse.write() as con:
        con.execute(
            "INSERT INTO delivery.links BY NAME SELECT 'hubspot' AS destination, cio_id, "
            "CAST(1000000 + row_number() OVER (ORDER BY cio_id) AS VARCHAR) AS record_id, true AS stamped, "
            "'created' AS matched_by, email AS looked_up_email, "
            f"{timestamp(window.as_of)} AS linked_at FROM identity.persons WHERE deliverable"
        )
        plan_properties(run, con, 1, path)
        acknowledge(con, path, window)
        step.fold(con, context, "finished")


def acknowledge(con: Connection, path: Path, window: Window) -> None:
    """Make ``finished``: what the fold of a push gets from the journal, had the vendor taken every operation."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE finished AS SELECT *, 'delivered' AS "end", NULL AS reason,
        CAST(NULL AS VARCHAR) AS result_record_id, CAST(NULL AS VARCHAR) AS observed,
        {timestamp(window.as_of)} AS window_end, {timestamp(window.as_of)} AS intent_at,
        {timestamp(window.as_of)} AS ended_at
        FROM read_parquet({literal(str(path))})"""
    )


def _second(site: Site, run: Runtime) -> None:
    land_day(site, run, 2)


def digest(con: Connection, relation: str, columns: str = "*") -> Answer:
    """Return rows and an order-free digest of a relation; equal relations give equal digests in one DuckDB version."""
    rows, bits, total = con.execute(
        f"SELECT count(*), bit_xor(h), sum(h % 1000000007) FROM (SELECT hash(s) AS h FROM "
        f"(SELECT {columns} FROM {relation}) AS s)"
    ).fetchall()[0]
    return {"rows": int(rows), "digest": f"{bits or 0:016x}{int(total or 0):x}"}


def count(con: Connection, query: str) -> int:
    """Return the one number a query gives."""
    return int(str(scalar(con, query)))
