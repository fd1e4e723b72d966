"""A long push beside a real-time lane against a vendor with its real limits, each lane in a process of its own.

``python -m cio_activation_tests.drivers.pacing VENDOR LANE HOME URL SHARE TOKENS`` is one lane's process. What is reported comes
from the stand-in's own log: when a call arrived there, and how it was answered.
"""

from __future__ import annotations

import subprocess
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from cio_activation.activation.models import Activation, Lane, PropertyType
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.destinations.hubspot.config import HubSpotSettings
from cio_activation.destinations.pipedrive import DESTINATION as PIPEDRIVE
from cio_activation.destinations.pipedrive.config import PipedriveSettings
from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import days
from cio_activation.runtime import Runtime
from cio_activation.sandbox.server.core import Shared
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.stand_ins import hubspot, pipedrive
from cio_activation_tests.drivers.stand_ins.hubspot import HubSpotStandIn
from cio_activation_tests.drivers.stand_ins.pipedrive import PipedriveStandIn

DESTINATIONS: dict[str, Destination] = {"hubspot": HUBSPOT, "pipedrive": PIPEDRIVE}
CREDENTIALS = {"hubspot_access_token": "sandbox-hubspot-token", "pipedrive_api_token": "sandbox-pipedrive-token"}
LIMITS = {"hubspot": (190, 10.0), "pipedrive": (40, 2.0)}
"""Calls in a rolling window: HubSpot Professional and Enterprise, Pipedrive Growth."""
HOT = {"hubspot": 300, "pipedrive": 12}
"""People that a real-time window changes: three calls of HubSpot, twelve of Pipedrive."""


@dataclass(frozen=True)
class Paced:
    """What the vendor saw. Seconds are real ones; ``shares`` are of what the activation allows us."""

    calls: int
    throttled: int
    most_in_a_window: int
    allowed: float
    share_used: float
    realtime_calls: int
    slowest_realtime_s: float
    counted: float
    """Units of the vendor's day that the journal says we used, since the account was made."""
    charged: float
    """The same, as the vendor counted."""
    delivered: int
    held: int
    seconds: float
    """From the first call to the last."""


def activation(vendor: str, share: float, tokens: int | None = None) -> Activation:
    """Return one daily and one real-time property, delivered to ``vendor`` at its real limits."""
    properties = [
        builders.prop(name, PropertyType.TEXT, lane, deliver=(vendor,))
        for name, lane in (("category", Lane.DAILY), ("cart", Lane.REALTIME))
    ]
    settings = {
        "hubspot": HubSpotSettings(rate_share=share),
        "pipedrive": PipedriveSettings(rate_share=share, daily_tokens=tokens),
    }
    destinations = {vendor: settings[vendor]}
    return builders.activation(*properties, attributes={}, destinations=destinations, max_operations=10_000_000)


def runtime(vendor: str, home: Path, url: str, share: float, tokens: int | None = None) -> Runtime:
    """Return what every process works with."""
    given = {f"{vendor}_url": url} | CREDENTIALS
    return builders.runtime(home, activation(vendor, share, tokens), **given)


@contextmanager
def account(vendor: str, people: int) -> Iterator[HubSpotStandIn | PipedriveStandIn]:
    """Start an account that knows ``people`` persons and has the vendor's real limits."""
    at = datetime.now(UTC).replace(hour=17).timestamp()  # no vendor's day turns meanwhile, here or there
    seed = [{"email": _email(n), "first_name": "A", "last_name": "B", "phone": None} for n in range(people)]
    made: HubSpotStandIn | PipedriveStandIn
    if vendor == "hubspot":
        made = hubspot.begin(seed, at=at, limited=True, property_lag_s=0.0)
    else:
        made = pipedrive.begin(seed, at=at, limited=True, plan="growth")
    try:
        yield made
    finally:
        made.stop()


def measure(
    vendor: str, home: Path, changes: int, *, share: float = 0.8, latency_s: float = 0.25, tokens: int | None = None
) -> Paced:
    """Push ``changes`` people while a real-time lane works; the vendor takes ``latency_s`` for each answer."""
    with account(vendor, changes) as made:
        run = runtime(vendor, home, made.url, share, tokens)
        run_schema(run, DESTINATIONS[vendor])
        _decide(run, vendor, changes, made)
        made.shared.log.clear()
        made.fault(kind="delay", when="after", delay_s=latency_s, times=10**9)
        command = [sys.executable, "-m", "cio_activation_tests.drivers.pacing", vendor]
        rest = [str(home), made.url, str(share), str(tokens or 0)]
        lanes = [
            subprocess.Popen([*command, lane, *rest], stdout=subprocess.PIPE, text=True)
            for lane in ("daily", "realtime")
        ]
        told = lanes[0].communicate()[0].split()
        (home / "over").touch()
        lanes[1].communicate()
        if any(p.returncode for p in lanes):
            raise AssertionError("a lane failed")
        charged = made.vendor.limits.used_today
        return _read(run, vendor, made.shared, share, charged, (int(told[0]), int(told[1])))


def _read(run: Runtime, vendor: str, shared: Shared, share: float, charged: float, daily: tuple[int, int]) -> Paced:
    limit, seconds = LIMITS[vendor]
    journal = Journal(run.settings.journal)
    with journal.engine.connect() as con:
        # All rows: until the schema step has read the account's time zone, calls count for UTC's day.
        counted = float(con.execute(sa.select(sa.func.sum(days.c.used))).scalar() or 0)
    journal.close()
    with run.warehouse.read() as con:
        hot = con.execute(
            """SELECT operation_id, record_id, epoch(intent_at) FROM delivery.ledger
            WHERE lane = 'realtime' AND kind IN ('update', 'stamp') ORDER BY intent_at"""
        ).fetchall()
        ((first, last),) = con.execute(
            """SELECT epoch(min(intent_at)), epoch(max(ended_at)) FROM delivery.ledger
            WHERE lane = 'daily' AND kind IN ('update', 'stamp')"""
        ).fetchall()
    entries = list(shared.log.entries)
    at = sorted(e.real_at for e in entries)
    # While the push lasts: the walk that fills a mirror before it asks for page after page, one call at a time.
    busy = [t for t in at if first + seconds <= t <= last - seconds] or at
    span = busy[-1] - busy[0] or 1.0
    allowed = limit * share / seconds
    waits = list(_waits(vendor, entries, hot))
    return Paced(
        calls=len(entries),
        throttled=shared.log.throttled(vendor),
        most_in_a_window=max(bisect_left(at, t + seconds) - i for i, t in enumerate(at)),
        allowed=allowed,
        share_used=(len(busy) - 1) / span / allowed,
        realtime_calls=len(waits),
        slowest_realtime_s=max(waits, default=0.0),
        counted=counted,
        charged=charged,
        delivered=daily[0],
        held=daily[1],
        seconds=at[-1] - at[0],
    )


def _waits(vendor: str, entries: Sequence[Any], hot: Sequence[tuple[str, str, float]]) -> Iterator[float]:
    """Yield how long each call of the real-time lane was on its way, from its intent to the vendor."""
    intents = {operation: at for operation, _, at in hot}
    pending: dict[str, list[float]] = {}
    for _, record, at in hot:
        pending.setdefault(record, []).append(at)
    for entry in entries:
        if vendor == "hubspot" and entry.path.endswith("batch/update"):
            known = [
                intents[i["objectWriteTraceId"]] for i in entry.request["inputs"] if i["objectWriteTraceId"] in intents
            ]
            if known:
                yield entry.real_at - min(known)
        elif entry.method == "PATCH" and (mine := pending.get(entry.path.rsplit("/", 1)[-1])):
            yield entry.real_at - mine.pop(0)


def _decide(run: Runtime, vendor: str, people: int, made: HubSpotStandIn | PipedriveStandIn) -> None:
    """Write what the deciding rooms would have: everybody has a new value of the day; the hot ones come later."""
    with run.warehouse.write() as con:
        con.execute(
            f"""INSERT INTO identity.persons BY NAME
            SELECT format('p{{:06d}}', i) AS cio_id, NULL::VARCHAR AS external_id, format('person{{}}@example.com', i) AS email,
                NULL::VARCHAR AS phone, 'A' AS first_name, 'B' AS last_name, true AS email_owner,
                false AS external_id_owner, true AS deliverable, NULL::VARCHAR AS undeliverable_reason, NULL::TIMESTAMP AS changed_at
            FROM range({people}) AS t(i)"""
        )
        con.execute(
            f"""CREATE OR REPLACE TABLE state.daily_properties AS
            SELECT cio_id, 'shoes' AS category, hash('shoes') AS hash_{vendor}, hash('shoes') AS row_hash
            FROM identity.persons"""
        )
        _hot(con, vendor, 0)
        if isinstance(made, HubSpotStandIn):
            import pyarrow as pa

            contacts = made.state()["contacts"]
            found = pa.table({"id": list(contacts), "email": [contacts[i]["email"] for i in contacts]})
            con.register("found", found)
            con.execute(
                """INSERT INTO delivery.links BY NAME
                SELECT 'hubspot' AS destination, p.cio_id, f.id AS record_id, true AS stamped, 'email' AS matched_by,
                       p.email AS looked_up_email
                FROM found AS f JOIN identity.persons AS p USING (email)"""
            )


def _hot(con: Any, vendor: str, turn: int) -> None:
    con.execute(
        f"""CREATE OR REPLACE TABLE state.realtime_properties AS
        SELECT cio_id, '{turn}' AS cart, hash('{turn}') AS hash_{vendor}, hash('{turn}') AS row_hash
        FROM identity.persons ORDER BY cio_id DESC LIMIT {HOT[vendor]}"""
    )


def _email(number: int) -> str:
    return f"person{number}@example.com"


def work(vendor: str, lane: Lane, home: Path, url: str, share: float, tokens: int | None) -> None:
    """Run one lane: the daily one once, the real-time one again and again until the daily one is over."""
    run = runtime(vendor, home, url, share, tokens)
    destination = DESTINATIONS[vendor]
    wanted = ("person_mirror", "person_links", "fields", "properties")
    steps = [s for s in destination.steps(run.activation) if s.lane is lane and s.name.startswith(wanted)]
    turn = 0
    while turn == 0 or (lane is Lane.REALTIME and not (home / "over").exists()):
        turn += 1
        if lane is Lane.REALTIME:
            time.sleep(0.2)
            with run.warehouse.write() as con:
                _hot(con, vendor, turn)
        for step in steps:
            report = run_step(run, destination, step, window(1, lane), f"turn {turn}")
    print(report.delivered, report.held, flush=True)


if __name__ == "__main__":
    work(sys.argv[1], Lane(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], float(sys.argv[5]), int(sys.argv[6]) or None)
