"""The way back to Customer.io: a workspace, a home pointed at it, and actions that a test says are open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.customerio import DESTINATION
from cio_activation.destinations.customerio.config import CustomerioSettings
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.bench import VendorBench
from cio_activation_tests.drivers.decided import write_persons
from cio_activation_tests.drivers.stand_ins.customerio import CustomerioStandIn
from cio_activation_tests.drivers.tables import noting

BATCH = "/api/v2/batch"
NAMES = ("outreach_active", "outreach_audience", "outreach_until")
ENTERED = datetime(2026, 11, 1, 12)
"""When everybody entered, if a test says nothing else."""


def model(**settings: Any) -> Activation:
    """Return an activation with a touch audience in each lane: ``vip`` (daily, 14 days) and ``cart`` (two days)."""
    return builders.activation(
        audiences=[
            builders.audience("vip", touch=True, expires_after=timedelta(days=14), label="RET - VIP - Call"),
            builders.audience("cart", Lane.REALTIME, touch=True, expires_after=timedelta(days=2), segment=2),
            builders.audience("open_ended", touch=True, segment=3),
        ],
        destinations={"customerio": CustomerioSettings(**settings)},
    )


class WriteBackBench(VendorBench[CustomerioStandIn]):
    """Everybody of the workspace is a person; of the CRMs' actions and what humans did a test says which there are."""

    def __init__(self, home: Path, stand_in: CustomerioStandIn, activation: Activation | None = None) -> None:
        super().__init__(home, stand_in, activation or model())
        self.world = stand_in.world
        self.day = 1
        self.people = sorted(self.world.at(stand_in.vendor.workspace.instant()).identifiers)
        self.know(*self.people)

    def use(self, activation: Activation) -> None:
        """Go on with another activation; pauses between attempts are short."""
        super().use(activation)
        self.runtime = self.runtime_with(vendor_backoff_s=0.01)

    def know(self, *cio_ids: str) -> None:
        """Make these the people that are known."""
        write_persons(self.runtime, [{"cio_id": cio_id} for cio_id in cio_ids])

    def ask(self, cio_id: str, audience: str = "vip", **action: Any) -> str:
        """Have a human be asked, for an entry of its own; ``action`` as ``delivery.actions``. Return the entry's id."""
        entry = f"{audience}-{cio_id}-{action.get('attempt', 1)}"
        row = {
            "destination": "hubspot", "kind": "task", "entry_id": entry, "attempt": 1, "audience": audience,
            "cio_id": cio_id, "record_id": f"of {entry}", "status": "open", "opened_at": ENTERED, **action,
        }  # fmt: skip
        entered_at = row.pop("entered_at", ENTERED)
        with self.runtime.warehouse.write() as con, noting(con, "audience.memberships"):
            columns = ", ".join(row)
            con.execute(
                f"INSERT INTO delivery.actions ({columns}) VALUES ({', '.join('?' * len(row))})", list(row.values())
            )
            con.execute(
                """INSERT INTO audience.memberships BY NAME
                SELECT ? AS audience, 1 AS version, ? AS cio_id, ? AS entry_id, ? AS entered_at""",
                [audience, cio_id, entry, entered_at],
            )
        return entry

    def end(self, *cio_ids: str, status: str = "done") -> None:
        """End all actions of these people."""
        with self.runtime.warehouse.write() as con:
            con.execute("UPDATE delivery.actions SET status = ? WHERE cio_id IN (SELECT unnest(?))", [status, cio_ids])

    def put_off(self, entry: str, until: datetime) -> None:
        """Have a human put the action of an entry off."""
        with self.runtime.warehouse.write() as con:
            con.execute(
                """INSERT INTO feedback.acts BY NAME
                SELECT ? AS entry_id, 'snoozed' AS act, now()::TIMESTAMP AS happened_at, ?::TIMESTAMP AS until""",
                [entry, until],
            )

    def schema(self) -> Mapping[str, Any]:
        """Run the schema step."""
        return run_schema(self.runtime, DESTINATION)

    def run(self, lane: Lane = Lane.DAILY, *, next_window: bool = True) -> StepReport:
        """Run the lane's step, in the next window if not told otherwise."""
        self.day += next_window
        (step,) = (s for s in DESTINATION.steps(self.activation) if s.lane is lane)
        report = run_step(self.runtime, DESTINATION, step, builders.window(self.day, lane), f"run-{self.day}")
        assert report.planned == report.delivered + report.rejected + report.unneeded + report.held
        return report

    def shown(self, cio_id: str, prefix: str = "cx_") -> tuple[str | None, str | None, str | None]:
        """Return what Customer.io shows of a person: active, audience, until."""
        held = self.world.custom.get(cio_id, {})
        active, audience, until = (held.get(f"{prefix}{name}") or None for name in NAMES)
        return active, audience, until

    def items(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the items of all batches that arrived, oldest first."""
        return [item for e in self.entries(since) if e.path == BATCH for item in (e.request or {}).get("batch", [])]

    def writes(self, since: int = 0) -> list[str]:
        """Return the requests that could have changed something."""
        return [f"{e.method} {e.path}" for e in self.entries(since) if e.method != "GET"]


def epoch(instant: datetime) -> str:
    """Return a naive instant in UTC as Customer.io shows it."""
    return str(int((instant - datetime(1970, 1, 1)).total_seconds()))
