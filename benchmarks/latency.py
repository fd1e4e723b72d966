"""``python -m benchmarks.latency [--people N] [--events N] [--way webhook|polling|both] [--with-daily]``: cart to CRM.

``--pushing``: events begin only when that daily run sends to HubSpot, whose calls a second are told beside the latency.
``--what task``: from a moment told by a journey's webhook to the task that a human is given, in place of a cart.

Stand-ins, receiver and Dagster run as real processes, as ``demo --ui`` has them; only that Customer.io's stand-in has
a process of its own, as vendors do not answer more slowly because another one is written to. After a warm-up (a daily run,
so that everybody is linked; without it they are new to the CRM) people enter the cart segment one after another at
random moments. The first write of each event is read from the HubSpot stand-in's own log; where the seconds went comes
from Dagster's event log.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import sqlalchemy as sa

from benchmarks.acquainted import acquaint, activation
from benchmarks.arrivals import ARRIVALS, Arrival
from benchmarks.measure import foreign_load
from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import Settings
from cio_activation.destinations import DESTINATIONS, hubspot
from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import attempts
from cio_activation.warehouse.sessions import Warehouse
from cio_activation_tests.drivers.processes import Site, site

CART_SEGMENT = 2
LAST_S = 180.0
"""How long the last person is waited for."""
WARM = 2
"""People whose events come before the measured ones."""
LOG_PAGE = 100
"""Calls of the stand-in's log that are read at once."""
LEGS = ("inbox", "run asked for", "dequeued", "run started", "first asset", "landed", "HubSpot's turn", "first write")


@dataclass
class Event:
    """One person's entry. Times are seconds since the epoch."""

    cio_id: str
    at: float
    written_at: float | None = None
    legs: dict[str, float] = field(default_factory=dict)
    """Leg -> seconds it took."""


@dataclass(frozen=True)
class Found:
    """What one way gave. ``went_on``: the daily run beside it had not ended at the last event; None if there is none."""

    way: str
    events: list[Event]
    went_on: bool | None
    called: Called | None
    """Calls that HubSpot had meanwhile; None if no daily run was there to make them."""


@dataclass(frozen=True)
class Called:
    """HubSpot's calls of both lanes from the first event to the last, ``seconds``, and what it may get a second."""

    calls: int
    throttled: int
    seconds: float
    rate: float


def main() -> int:
    """Measure and print; 1 if somebody never arrived."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="latency-"))
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
          f"foreign load {foreign_load():.1f} cores.", flush=True)  # fmt: skip
    try:
        orders = _orders(folder, given.people) if given.people > HOUSEHOLDS else None
        file = activation(folder / "activation.yaml", hubspot_only=given.with_daily, declare=given.arrival.declare)
        os.environ["ACTIVATION_FILE"] = str(file)
        with site(folder / "home", given.people, orders, apart=True) as place:
            if given.with_daily and given.linked:
                acquaint(place, folder)
            found = []
            for one in _measure(place, given):
                _print(one, given)
                found.append(one)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        given.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 1 if any(e.written_at is None for one in found for e in one.events) else 0


HOUSEHOLDS = 2_469
"""People of the default world; for more, orders are made up."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.latency", description=__doc__)
    parser.add_argument("--people", type=int, default=HOUSEHOLDS, help="people in the workspace")
    parser.add_argument("--events", type=int, default=30, help="people who enter the segment, each way")
    parser.add_argument("--gap", type=float, default=6.0, help="mean seconds between two entries")
    parser.add_argument("--way", choices=["webhook", "polling", "both"], default="webhook", help="both: polling first")
    parser.add_argument("--with-daily", action="store_true", help="while a daily run over everybody goes on")
    parser.add_argument("--sensor-only", action="store_true", help="the receiver launches nothing itself")
    parser.add_argument("--json", type=Path, help="write every event there")
    parser.add_argument("--new", action="store_true", help="people whom no daily run has linked")
    parser.add_argument("--pushing", action="store_true", help="wait until that daily run sends; implies --with-daily")
    parser.add_argument("--what", choices=list(ARRIVALS), default="cart", help="task: by webhook only")
    given = parser.parse_args()
    given.with_daily |= given.pushing
    given.linked, given.arrival = not given.new, ARRIVALS[given.what]
    if given.what == "task" and given.way != "webhook":
        parser.error("no moment is polled")
    return given


def _orders(folder: Path, people: int) -> Path:
    """Write an order history of ``people`` customers, two to four orders each."""
    from cio_activation.warehouse.sessions import scratch

    path = folder / "orders.parquet"
    with scratch() as con:
        con.execute(
            f"""COPY (SELECT p AS customer_id, p * 10 + k AS order_id,
            to_timestamp(1700000000 + hash(p * 10 + k) % 30000000) AS ordered_at,
            10 + hash(p + k) % 90 AS value, 'GROCERY' AS category
            FROM range({people}) AS a(p), range(4) AS b(k) WHERE k < 2 + p % 3) TO '{path}'"""
        )
    return path


def _measure(place: Site, given: argparse.Namespace) -> Iterator[Found]:
    """Yield what each way gave. All of them beside the same daily run, if beside one."""
    ways = ["polling", "webhook"] if given.way == "both" else [given.way]
    if given.sensor_only:
        os.environ.pop("DAGSTER_WEBSERVER_URL")
    place.start_dagster()
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    place.wait(lambda: place.runs(pipelineName="realtime", statuses=["SUCCESS"]), 300, "no real-time run ends")
    if given.linked and not given.with_daily:
        _until_done(place, place.launch("daily", day))
    who = iter(_choose(place, given, len(ways) * given.events + WARM))
    if ways[0] == "webhook":
        place.start_receiver()
    for cio_id in islice(who, WARM):  # caches, and the warm process
        given.arrival.happen(place, cio_id)
        time.sleep(15)
    _until_quiet(place)
    daily = place.launch("daily", day) if given.with_daily else ""
    if daily:
        place.wait(lambda: place.runs(runIds=[daily])[0]["startTime"], 120, "the daily run does not start")
    if given.pushing:
        _until_pushing(place, daily)
    for way in ways:
        if way == "webhook" and way != ways[0]:
            place.start_receiver()
        since, began = _last_call(place), time.time()
        events = list(_enter(place, given, list(islice(who, given.events)), random.Random(7)))
        last, ended = time.time(), place.ended(daily) if daily else None
        statuses = [status for at, status in _find(place, given.arrival, events, since) if began <= at < last]
        called = Called(len(statuses), statuses.count(429), last - began, _rate()) if daily else None
        _explain(place, events)
        if ended:
            print(f"the daily run: {place.runs(runIds=[daily])[0]}", file=sys.stderr)
        yield Found(way, events, ended is None if daily else None, called)


def _until_pushing(place: Site, daily: str) -> None:
    """Wait until HubSpot has answered the daily run's first operations."""
    query = sa.select(sa.func.count()).where(attempts.c.lane == Lane.DAILY.value, attempts.c.ended_at.is_not(None))
    with closing(Journal(Settings().journal)) as journal:

        def sends() -> bool:
            if place.ended(daily):
                raise RuntimeError("the daily run ended before it sent anything")
            with journal.engine.connect() as con:
                return bool(con.execute(query).scalar_one())

        place.wait(sends, 1_200, "the daily run does not send")


def _rate() -> float:
    """Return how many calls a second the activation lets HubSpot have."""
    units, seconds = hubspot.DESTINATION.limits(load_activation(Path(os.environ["ACTIVATION_FILE"]), DESTINATIONS))[
        "default"
    ]
    return units / seconds


def _choose(place: Site, given: argparse.Namespace, number: int) -> list[str]:
    """Return ``number`` people who have no cart that counts."""
    carts = {p["cio_id"] for segment in (1, CART_SEGMENT) for p in _members(place, segment)}
    who = [p["cio_id"] for p in _members(place, 10) if "@" in (p.get("email") or "") and p["cio_id"] not in carts]
    random.Random(1).shuffle(who)
    who = _buyers(place, who[: 10 * number + 100])
    if given.linked:
        with Warehouse(Settings().warehouse_path).read() as con:
            rows = con.execute(
                "SELECT cio_id FROM delivery.links WHERE destination = 'hubspot' AND record_id IS NOT NULL"
            ).fetchall()
        linked = {str(r[0]) for r in rows}
        who = [cio_id for cio_id in who if cio_id in linked]
    return who[:number]


def _buyers(place: Site, who: Sequence[str]) -> list[str]:
    """Return who has bought twice, in the same order: the segment takes nobody else, whatever is in the cart."""
    orders: dict[str, int] = {}
    for start in range(0, len(who), 100):
        ids = {"ids": list(who[start : start + 100])}
        answer = _ask(place, "POST", "/v1/customers/attributes", params={"id_type": "cio_id"}, json=ids)
        found = [entry.get("customer", entry) for entry in answer["customers"]]
        orders |= {p["identifiers"]["cio_id"]: int(p["attributes"].get("orders_count") or 0) for p in found}
    return [cio_id for cio_id in who if orders.get(cio_id, 0) >= 2]


def _members(place: Site, segment: int) -> list[dict[str, Any]]:
    answer = _ask(place, "GET", f"/v1/segments/{segment}/membership", params={"limit": 30_000})
    return list(answer["identifiers"])


def _ask(place: Site, method: str, path: str, **more: Any) -> dict[str, Any]:
    """Ask the Customer.io stand-in, whose ten calls a second the product's own runs use too."""
    while True:
        headers = {"authorization": "Bearer sandbox-app-key"}
        answer = httpx.request(method, place.vendors["customerio"] + path, headers=headers, timeout=60, **more)
        if answer.status_code != 429:
            answer.raise_for_status()
            return dict(answer.json())
        time.sleep(float(answer.headers.get("retry-after", 1)))


def _enter(place: Site, given: argparse.Namespace, who: Sequence[str], draw: random.Random) -> Iterator[Event]:
    for cio_id in who:
        time.sleep(draw.expovariate(1 / given.gap))
        event = Event(cio_id, time.time())
        given.arrival.happen(place, cio_id)
        yield event


def _find(place: Site, arrival: Arrival, events: list[Event], since: int) -> list[tuple[float, int]]:
    """Fill in each person's first write, waiting for the last; return when which status was answered since."""
    until = time.monotonic() + LAST_S
    answered: list[tuple[float, int]] = []
    calls: list[tuple[float, list[str]]] = []
    while any(e.written_at is None for e in events) and time.monotonic() < until:
        time.sleep(3)
        with Warehouse(Settings().warehouse_path).read() as con:
            rows = con.execute(
                "SELECT record_id, cio_id FROM delivery.links WHERE destination = 'hubspot' AND record_id IS NOT NULL"
            ).fetchall()
        owner = {str(record): str(cio_id) for record, cio_id in rows}
        first: dict[str, float] = {}
        since = _read_calls(place, arrival, since, calls, answered)
        for at, names in calls:
            for name in names:
                first.setdefault(owner.get(name, name), at)
        for event in events:
            event.written_at = first.get(event.cio_id)
    return answered


def _last_call(place: Site) -> int:
    """Return the number of the newest call that any stand-in has had."""
    return place.control.last("hubspot")


def _read_calls(
    place: Site, arrival: Arrival, since: int, calls: list[tuple[float, list[str]]], answered: list[tuple[float, int]]
) -> int:
    """Add the writes of events after call ``since``, and when each call was answered how; return the last one's number.

    Page by page: beside a daily run over a million people the log's bodies fill gigabytes.
    """
    while True:
        entries = place.log("hubspot", since, limit=LOG_PAGE)
        answered += [(entry["real_at"], entry["status"]) for entry in entries]
        for entry in entries:
            if entry["method"] != "GET" and entry["status"] in (200, 201, 207):
                calls.append((entry["real_at"], list(arrival.whom(entry["path"], entry["request"]))))
        since = max((entry["number"] for entry in entries), default=since)
        if len(entries) < LOG_PAGE:
            return since


def _explain(place: Site, events: list[Event]) -> None:
    """Split each event's seconds by the run that wrote it, and by the inbox where a webhook brought it."""
    with Warehouse(Settings().warehouse_path).read() as con:
        rows = con.execute("SELECT cio_id, epoch(max(received_at)) FROM raw.moments GROUP BY cio_id").fetchall()
    received = {str(c): float(at) for c, at in rows}
    runs = [r for r in place.runs(pipelineName="realtime") if r["startTime"]]
    with dg.DagsterInstance.get() as instance:
        for event in events:
            wrote = [
                r for r in runs
                if event.written_at and r["startTime"] <= event.written_at <= (r["endTime"] or time.time())
            ]  # fmt: skip
            if wrote and event.written_at:
                marks = [event.at, received.get(event.cio_id, event.at), *_marks(instance, wrote[0])]
                marks.append(event.written_at)
                # A run that waited for another was asked for before: then that leg is nought, and waiting shows.
                for i in range(1, len(marks)):
                    marks[i] = max(marks[i], marks[i - 1])
                event.legs = {n: b - a for n, a, b in zip(LEGS, marks, marks[1:], strict=False)}


def _marks(instance: dg.DagsterInstance, run: dict[str, Any]) -> list[float]:
    """Return when a run was asked for, dequeued, started; when its first step began and ended, and delivery began."""
    dequeued = first = landed = deliver = 0.0
    for entry in instance.all_logs(run["runId"]):
        kind = entry.dagster_event.event_type_value if entry.dagster_event else ""
        if kind == "PIPELINE_STARTING":
            dequeued = entry.timestamp
        elif kind == "STEP_START":
            first = first or entry.timestamp
            if entry.step_key and entry.step_key == "hubspot_realtime":
                deliver = deliver or entry.timestamp
        elif kind == "STEP_SUCCESS":
            landed = landed or entry.timestamp
    return [run["creationTime"], dequeued, run["startTime"], first, landed, deliver]


def _until_done(place: Site, run_id: str) -> None:
    ended = place.wait(lambda: place.ended(run_id), 3_600, "the daily run does not end")
    if ended != "SUCCESS":
        raise RuntimeError(f"the daily run ended with {ended}")


def _until_quiet(place: Site) -> None:
    live = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"]
    place.wait(lambda: not place.runs(statuses=live), 300, "runs go on and on")


def _print(found: Found, given: argparse.Namespace) -> None:
    events, went_on = found.events, found.went_on
    took = sorted(e.written_at - e.at for e in events if e.written_at is not None)
    beside = "" if went_on is None else f", beside a daily run{'' if went_on else ' that ended before the last event'}"
    print(f"{given.arrival.said}, {found.way}, {given.people:,} people, {len(events)} events, one in {given.gap:g} s, "
          f"{'linked' if given.linked else 'new to the CRM'}{beside}; "
          f"load at the end {os.getloadavg()[0]:.1f}")  # fmt: skip
    if lost := len(events) - len(took):
        print(f"{lost} never arrived")
    if took:
        p50, p95, p99 = (_quantile(took, q) for q in (0.5, 0.95, 0.99))
        print(f"p50 {p50:.1f} s, p95 {p95:.1f} s, p99 {p99:.1f} s, worst {took[-1]:.1f} s")
    if (called := found.called) is not None:
        print(f"HubSpot meanwhile: {called.calls:,} calls in {called.seconds:.0f} s, {called.throttled} of them 429; "
              f"{called.calls / called.seconds:.1f} a second of {called.rate:.1f}: "
              f"{called.calls / called.seconds / called.rate:.0%}")  # fmt: skip
    legs = [e.legs for e in events if e.legs]
    if legs:
        print("| leg, s | p50 | p95 |\n|---|---:|---:|")
        for before, name in zip(("event", *LEGS), LEGS, strict=False):
            values = sorted(leg[name] for leg in legs if name in leg)
            print(f"| {before} -> {name} | {statistics.median(values):.2f} | {_quantile(values, 0.95):.2f} |")
    print(flush=True)


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of all do not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


if __name__ == "__main__":
    sys.exit(main())
