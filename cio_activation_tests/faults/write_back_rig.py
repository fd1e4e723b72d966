"""The way back to Customer.io: three attributes of people whom somebody is asked to act for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from cio_activation.destinations.customerio import DESTINATION
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers.customerio import workspace
from cio_activation_tests.drivers.write_back import ENTERED, WriteBackBench, epoch
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, deliver, usual

ASKED = 8
"""People asked for at a time; every round two of them are done with, and others come."""


class WriteBackRig(Rig):
    """Sixty people, of whom some are asked for, put off, done with, and asked for anew."""

    def __init__(self, home: Path) -> None:
        super().__init__(workspace())
        self.bench = WriteBackBench(home, self.stand_in)  # type: ignore[arg-type]
        self.round, self.day = 0, 0
        self.wanted: dict[str, str] = {}
        """Who is to be marked -> until when."""
        self.entries_of: dict[str, str] = {}
        self.ever: set[str] = set()

    def disturb(self) -> None:
        self._before = dict(self.wanted)
        self.round += 1
        for cio_id in list(self.wanted)[: len(self.wanted) - ASKED + 4]:
            self._end(cio_id)
        people = self.bench.people
        for number in range(4):
            self._ask(people[(4 * self.round + number) % len(people)])
        later = ENTERED + timedelta(days=30 + self.round)
        cio_id = next(iter(self.wanted))
        self.bench.put_off(self.entries_of[cio_id], later)
        self.wanted[cio_id] = epoch(later)

    def take_back(self) -> None:
        for cio_id in [c for c in self.wanted if c not in self._before]:
            self._end(cio_id)
        for cio_id in [c for c in self._before if c not in self.wanted]:
            self._ask(cio_id)

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        return deliver(self.bench.runtime_with(**usual(case)), DESTINATION, self.day, schema=case is None)

    def differences(self) -> list[str]:
        found = []
        for cio_id in self.bench.people:
            wanted: Any = ("true", "vip", self.wanted[cio_id]) if cio_id in self.wanted else ("false", None, None)
            shown = self.bench.shown(cio_id)
            if cio_id in self.ever and shown != wanted and not (cio_id not in self.wanted and shown[0] is None):
                found.append(f"{cio_id}: {shown}, not {wanted}")
            if cio_id not in self.ever and shown != (None, None, None):
                found.append(f"{cio_id}: {shown}, and nobody was asked")
        return found

    def duplicates(self) -> int:
        """Nothing is made here, but people who were not there: the update must leave those alone."""
        return len(self.bench.world.at(self.bench.stand_in.vendor.workspace.instant())) - len(self.bench.people)

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET"

    def calm(self) -> None:
        self.stand_in.mend()

    def _ask(self, cio_id: str) -> None:
        if cio_id in self.wanted:
            return
        self.entries_of[cio_id] = self.bench.ask(cio_id, attempt=self.round)
        self.wanted[cio_id] = epoch(ENTERED + timedelta(days=14))
        self.ever.add(cio_id)

    def _end(self, cio_id: str) -> None:
        del self.wanted[cio_id]
        self.bench.end(cio_id)
