"""The same company, in which open activities go to somebody else and become urgent; who leaves has theirs deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cio_activation.destinations.pipedrive.config import ActivityOptions, PipedriveAudience
from cio_activation_tests.drivers.tables import noting
from cio_activation_tests.faults.pipedrive_activities_rig import OWNER, PipedriveActivitiesRig

OWNERS = (OWNER, "3")


class PipedriveHandingRig(PipedriveActivitiesRig):
    """Each round the activities of those who stay go to the other colleague, and get the highest priority."""

    def __init__(self, home: Path) -> None:
        self.owners: dict[str, str] = {}
        self.stay: list[str] = []
        super().__init__(home)

    def asked(self) -> PipedriveAudience:
        follows: dict[str, Any] = {"owner": ["record_owner"], "follow_owner": True, "on_end": "delete"}
        sla = {"after": "8 working hours", "then": ["raise_priority"]}
        return PipedriveAudience(activity=ActivityOptions(subject="Call them", sla=sla, **follows))

    def evidence(self) -> str:
        return "{}"

    def disturb(self) -> None:
        before, self._owners_before = set(self.inside), dict(self.owners)
        super().disturb()
        self.stay = sorted(before & set(self.inside))
        self.owners = dict.fromkeys(self.inside, OWNER) | dict.fromkeys(self.stay, OWNERS[self.round % 2])
        self._hand()

    def take_back(self) -> None:
        """The records have their owners back; who entered and left stays so."""
        self.owners |= {one: self._owners_before[one] for one in self.stay}
        self._hand()

    def differences(self) -> list[str]:
        high = self.bench.catalog["activity_priority:high"]
        found = []
        open_ones = [a for a in self.account.state()["activities"] if not a["done"] and not a.get("is_deleted")]
        for one, entry in self.inside.items():
            shown = [
                (str(a["owner_id"]), a["priority"] == high)
                for a in open_ones
                if f"[activity:{entry}:1]" in (a["note"] or "")
            ]
            if shown != [(self.owners[one], one in self.stay)]:
                found.append(f"{one} has {shown}, not {self.owners[one]}, urgent: {one in self.stay}")
        if len(open_ones) > len(self.inside):
            found.append(f"{len(open_ones)} activities are open for {len(self.inside)} people")
        return found

    def _hand(self) -> None:
        with self.bench.runtime.warehouse.write() as con, noting(con, "audience.assignments"):
            for one in self.stay:
                con.execute(
                    """UPDATE audience.assignments SET owner_id = ?, given_at = now()::TIMESTAMP,
                        raised_at = coalesce(raised_at, now()::TIMESTAMP) WHERE entry_id = ?""",
                    [self.owners[one], self.inside[one]],
                )
