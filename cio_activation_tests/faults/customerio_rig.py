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
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.transport.errors import Stop
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.customerio import MANUAL, CustomerioBench, workspace
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, usual

DAILY, LIVE = (3, 10), (MANUAL,)


class CustomerioRig(Rig):
    """Sixty people; every round some get another cart and category, some enter and leave the hand-picked segment."""

    def __init__(self, home: Path) -> None:
        super().__init__(workspace())
        self.site = CustomerioBench(home, self.stand_in)
        self.round = 0
        self.edited: dict[str, float] = {}

    def disturb(self) -> None:
        self.round += 1
        people = self._everyone()
        chosen = [people[(7 * self.round + 11 * i) % len(people)] for i in range(5)]
        for i, cio_id in enumerate(chosen):
            self.edited[cio_id] = 100 + self.round + i / 4
            self.edit("set_attribute", cio_id=cio_id, name="cart_value", value=str(self.edited[cio_id]))
            self.edit("set_attribute", cio_id=cio_id, name="last_category", value=f"Category {self.round}, {i}")
        self.site.drop(*sorted(self.site.world.hand_picked[MANUAL])[:2])
        self.site.pick(*chosen)

    def run(self, case: Case | None = None) -> Counts:
        runtime, counts = self._runtime(case), Counts()
        limit = timedelta(seconds=0.2) if case else timedelta(minutes=1)
        poll = Poll(0.02, 1.2, 0.05, limit)
        daily, live = window(self.round), window(self.round, Lane.REALTIME)
        counts = self._pull(counts, 1, lambda: pull_people(runtime, daily, poll=poll))
        counts = self._pull(counts, len(DAILY), lambda: pull_segments(runtime, daily))
        return self._pull(counts, len(LIVE) + 1, lambda: pull_live(runtime, live))

    def differences(self) -> list[str]:
        runtime, picture = self._runtime(), self.site.world.at(self.site.stand_in.vendor.workspace.instant())
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
        self.site.calm(*DAILY, *LIVE)

    # -- troubles ---------------------------------------------------------------------------------------

    def fail_export(self) -> None:
        """The next export fails."""
        self.edit("fail_exports", times=1)

    def slow_export(self) -> None:
        """Exports take longer than the run waits."""
        self.edit("export_seconds", seconds=0.6)

    def unfinished_segment(self) -> None:
        """Segments are being built again, and show a part of their members."""
        for segment in (DAILY[0], LIVE[0]):
            self.edit("set_segment_state", segment=segment, state="build", progress=30)

    def delete(self) -> None:
        """A member of the real-time segment is deleted."""
        gone = sorted(self.site.world.hand_picked[MANUAL])[0]
        self.edit("delete_person", cio_id=gone)
        self.edited.pop(gone, None)

    def spend_budget(self) -> None:
        """The daily quota is used up: 429 without Retry-After."""
        self.edit("quota", left=False)

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
        rows = self.site.world.at(self.site.stand_in.vendor.workspace.instant()).identifiers
        return sorted(c for c, row in rows.items() if row[1])

    def _runtime(self, case: Case | None = None) -> Runtime:
        return self.site.runtime(rt=LIVE, daily=DAILY, **usual(case))
