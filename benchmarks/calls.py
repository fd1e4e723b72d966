"""Vendor calls per changed person, counted in the sandbox's own log; the sandbox limits nothing here.

The default activation over real homes: people are landed, resolved, derived and decided, then pushed for real.
A day's lists cost a call each however few people they hold, so the cost per thousand falls with the number.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import homes, people
from benchmarks.homes import Site
from cio_activation.activation.models import Lane
from cio_activation.audience.members import update
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.destinations.pipedrive import DESTINATION as PIPEDRIVE
from cio_activation.runtime import Runtime
from cio_activation.sandbox.pipedrive.app import Pipedrive
from cio_activation.state.derive import derive
from cio_activation_tests.drivers import access
from cio_activation_tests.drivers.stand_ins import hubspot, pipedrive
from cio_activation_tests.drivers.stand_ins.hubspot import HubSpotStandIn
from cio_activation_tests.drivers.stand_ins.pipedrive import PipedriveStandIn

MOST = 5_000
"""People that are pushed; Pipedrive takes one call each."""
_FAST = {"hubspot": {"rate_share": 1.0, "requests_per_10s": 1000}, "pipedrive": {"requests_per_2s": 2000}}


@dataclass(frozen=True)
class Cost:
    """What one push cost. ``units``: HubSpot calls, or Pipedrive tokens."""

    people: int
    units: float
    calls: int
    allowed: float
    per: int

    @property
    def each(self) -> float:
        """Units per ``per`` people."""
        return self.units / max(self.people, 1) * self.per


def count(most: int) -> dict[str, Cost]:
    """Push ``most`` people at first contact and again after all of them changed; return both costs per vendor."""
    found: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory(prefix="benchmarks-calls-") as folder:
        site = Site(Path(folder), most)
        homes.build(site, {"landed"})
        for destination, per, limits in ((HUBSPOT, 1000, (22.0, 12.0)), (PIPEDRIVE, 1, (5.2, 5.2))):
            found |= _destination(site, destination, per, limits)
    return found


def _destination(site: Site, destination: Destination, per: int, limits: tuple[float, float]) -> dict[str, Cost]:
    run = homes.take(site, "landed", destination.name)
    emails = _emails(run)
    # A third is there already and is linked; the rest is made where the activation says so.
    seed = [{"email": e, "first_name": "Known", "last_name": "Person", "phone": None} for e in emails[::3]]
    account: HubSpotStandIn | PipedriveStandIn
    account = hubspot.begin(seed, property_lag_s=0.0) if destination is HUBSPOT else pipedrive.begin(seed)
    try:
        run = _pointed(run, destination.name, account.settings)
        run_schema(run, destination)
        first = _push(run, destination, account, 1, per, limits[0])
        with run.warehouse.write() as con:
            for column in [p.name for p in run.activation.lane_properties(Lane.DAILY, destination.name)][:1]:
                labels = run.activation.properties[column].labels
                con.execute(
                    f'UPDATE state.daily_properties SET "{column}" = CASE WHEN "{column}" = ? THEN ? ELSE ? END, '
                    f"hash_{destination.name} = hash(hash_{destination.name})",
                    [labels[0], labels[1], labels[0]],
                )
        again = _push(run, destination, account, 2, per, limits[1])
        quiet = _push(run, destination, account, 3, per, 0)
    finally:
        account.stop()
    name = {"hubspot": "HubSpot calls per 1,000 people", "pipedrive": "Pipedrive tokens per person"}[destination.name]
    return {
        f"{name}, first contact": first,
        f"{name}, linked, all changed": again,
        f"{destination.name}, nothing changed (calls)": quiet,
    }


def _push(
    run: Runtime,
    destination: Destination,
    account: HubSpotStandIn | PipedriveStandIn,
    day: int,
    per: int,
    limit: float,
) -> Cost:
    window = people.window(day)
    if day == 1:
        derive(run, window)
        update(run, window)
    vendor, log = account.vendor, account.shared.log
    log.clear()
    used = vendor.limits.used_today if isinstance(vendor, Pipedrive) else 0
    touched = 0
    for step in destination.steps(run.activation):
        if step.lane is Lane.DAILY:
            report = run_step(run, destination, step, window, f"day {day}")
            if report.rejected or report.held:
                raise AssertionError(f"{step.name}: {report.rejected} rejected, {report.held} held: {report.reasons}")
            if step.name in ("properties_daily", "fields_daily"):
                touched = report.delivered
    calls = sum(log.calls(destination.name).values())
    units = vendor.limits.used_today - used if isinstance(vendor, Pipedrive) else calls
    return Cost(touched, units, calls, limit, per)


def _pointed(run: Runtime, name: str, where: dict[str, str]) -> Runtime:
    """Return the runtime with the sandbox's address and credentials, and this one destination without a pace."""
    settings = access.settings(run.settings.activation_home, where)
    options = run.activation.destinations[name].model_copy(update=_FAST[name])
    return Runtime.build(
        settings, run.activation.model_copy(update={"destinations": {**run.activation.destinations, name: options}})
    )


def _emails(run: Runtime) -> list[str]:
    with run.warehouse.read() as con:
        rows = con.execute("SELECT email FROM identity.persons WHERE deliverable ORDER BY email").fetchall()
    return [str(email) for (email,) in rows]


def table(found: dict[str, Cost]) -> str:
    """Return the counts as Markdown."""
    lines = ["| vendor cost | people written | calls | found | allowed | |", "|---|---:|---:|---:|---:|---|"]
    for name, cost in found.items():
        value = cost.each if cost.people else float(cost.calls)
        allowed = f"{cost.allowed:g}" if cost.allowed else ""
        over = "over" if cost.allowed and value > cost.allowed else ""
        lines.append(f"| {name} | {cost.people:,} | {cost.calls:,} | {value:.2f} | {allowed} | {over} |")
    return "\n".join(lines)
