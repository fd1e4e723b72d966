"""A Customer.io workspace and its pulls. What is counted here are pictures: everyone's attributes, each segment's
members, the attributes of those who changed. Delivered: published. Held: the last good snapshot was retained."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.customerio.exports import Poll
from cio_activation.customerio.live import LivePull, pull_live
from cio_activation.customerio.people import pull_people
from cio_activation.customerio.segments import SegmentsPull, pull_segments
from cio_activation.errors import CioActivationError
from cio_activation.runtime import Runtime
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.world import World
from cio_activation.transport.errors import Stop
from cio_activation_tests.customerio.conftest import Site
from cio_activation_tests.drivers.builders import START, window
from cio_activation_tests.drivers.customerio import query
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import BACKOFF_S, Counts, Rig

DAILY, LIVE = (3, 10), (11,)
EXPORT_S = 0.02


class CustomerioRig(Rig):
    """Sixty people; every round some get another cart and category, some enter and leave the hand-picked segment."""

    vendor = "customerio"

    def __init__(self, home: Path) -> None:
        world = World(generate(60, ends_at=START.timestamp()), seed=3)
        self.running = build_sandbox(
            world, vendors=("customerio",), export_seconds=EXPORT_S, customerio={"requests_per_second": 100_000}
        )
        self.running.urls |= {"hubspot": "http://127.0.0.1:9", "pipedrive": "http://127.0.0.1:9"}
        self.site = Site(self.running, home)
        self.site.edit(action="freeze")
        self.round = 0
        self.edited: dict[str, float] = {}

    def disturb(self) -> None:
        self.round += 1
        people = self._everyone()
        chosen = [people[(7 * self.round + 11 * i) % len(people)] for i in range(5)]
        for i, cio_id in enumerate(chosen):
            self.edited[cio_id] = 100 + self.round + i / 4
            self.site.edit(action="set_attribute", cio_id=cio_id, name="cart_value", value=str(self.edited[cio_id]))
            self.site.edit(
                action="set_attribute", cio_id=cio_id, name="last_category", value=f"Category {self.round}, {i}"
            )
        self.site.drop(*sorted(self.site.stand_in.world.hand_picked[11])[:2])
        self.site.pick(*chosen)

    def run(self, case: Case | None = None) -> Counts:
        runtime, counts = self._runtime(case.timeout_s if case else None), Counts()
        limit = timedelta(seconds=0.2) if case else timedelta(minutes=1)
        poll = Poll(0.02, 1.2, 0.05, limit)
        daily, live = window(self.round), window(self.round, Lane.REALTIME)
        counts = self._pull(counts, 1, lambda: pull_people(runtime, daily, poll=poll))
        counts = self._pull(counts, len(DAILY), lambda: pull_segments(runtime, daily))
        return self._pull(counts, len(LIVE) + 1, lambda: pull_live(runtime, live))

    def differences(self) -> list[str]:
        runtime, picture = self._runtime(), self.site.stand_in.world.at(self.site.stand_in.workspace.instant())
        found = []
        people = {p["cio_id"]: p for p in picture.everyone()}
        for table in ("raw.people", "raw.people_current"):
            held = {r[0]: r[1:] for r in query(runtime, f"SELECT cio_id, cart_value, last_category FROM {table}")}
            if held.keys() != people.keys():
                found.append(f"{table}: {len(held)} people, not {len(people)}")
            for cio_id, cart in self.edited.items():
                wanted = (cart, people[cio_id]["last_category"]) if cio_id in people else None
                if held.get(cio_id) != wanted:
                    found.append(f"{table}: {cio_id} is {held.get(cio_id)}, not {wanted}")
        for lane, segments in (("daily", DAILY), ("realtime", LIVE)):
            for segment in segments:
                rows = query(
                    runtime, f"SELECT cio_id FROM raw.memberships WHERE lane = '{lane}' AND segment_id = {segment}"
                )
                if sorted(r[0] for r in rows) != picture.members(segment):
                    found.append(f"segment {segment}: {len(rows)} members, not {len(picture.members(segment))}")
        return found

    def duplicates(self) -> int:
        runtime = self._runtime()
        tables = {"raw.people": "cio_id", "raw.memberships": "lane, segment_id, cio_id", "raw.people_live": "cio_id"}
        return sum(
            int(query(runtime, f"SELECT count(*) - count(DISTINCT ({key})) FROM {table}")[0][0])
            for table, key in tables.items()
        )

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET"  # an export asked for, or attributes fetched again

    def calm(self) -> None:
        self.site.edit(action="fail_exports", times=0)
        self.site.edit(action="export_seconds", seconds=EXPORT_S)
        self.site.edit(action="quota", left=True)
        for segment in (*DAILY, *LIVE):
            self.site.edit(action="set_segment_state", segment=segment, state="finished")

    # -- troubles ---------------------------------------------------------------------------------------

    def fail_export(self) -> None:
        """The next export fails."""
        self.site.edit(action="fail_exports", times=1)

    def slow_export(self) -> None:
        """Exports take longer than the run waits."""
        self.site.edit(action="export_seconds", seconds=0.6)

    def unfinished_segment(self) -> None:
        """Segments are being built again, and show a part of their members."""
        for segment in (DAILY[0], LIVE[0]):
            self.site.edit(action="set_segment_state", segment=segment, state="build", progress=30)

    def delete(self) -> None:
        """A member of the real-time segment is deleted."""
        gone = sorted(self.site.stand_in.world.hand_picked[11])[0]
        self.site.edit(action="delete_person", cio_id=gone)
        self.edited.pop(gone, None)

    def spend_budget(self) -> None:
        """The daily quota is used up: 429 without Retry-After."""
        self.site.edit(action="quota", left=False)

    # -- running ----------------------------------------------------------------------------------------

    def _pull(self, counts: Counts, snapshots: int, pull: Callable[[], Any]) -> Counts:
        """Add one use case's snapshots: published or retained as they were."""
        retained, stopped, failed = snapshots, counts.stopped, counts.failed
        try:
            result = pull()
            retained = len(result.retained) if isinstance(result, SegmentsPull | LivePull) else 0
        except CioActivationError as error:
            stopped = stopped or isinstance(error, Stop)
            failed = (*failed, type(error).__name__)
        return Counts(
            counts.planned + snapshots, counts.delivered + snapshots - retained, held=counts.held + retained,
            stopped=stopped, failed=failed,
        )  # fmt: skip

    def _everyone(self) -> list[str]:
        rows = self.site.stand_in.world.at(self.site.stand_in.workspace.instant()).identifiers
        return sorted(c for c, row in rows.items() if row[1])

    def _runtime(self, timeout_s: float | None = None) -> Runtime:
        built = self.site.runtime(rt=LIVE, daily=DAILY)
        settings = built.settings.model_copy(
            update={"vendor_backoff_s": BACKOFF_S, "vendor_timeout_s": timeout_s or 30.0}
        )
        return Runtime(settings, built.activation, built.warehouse)
