"""The same portal, in which open tasks go to somebody else and get a higher priority; who leaves has theirs deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cio_activation.activation.models import Audience, Lane
from cio_activation_tests.drivers import hubspot as benches
from cio_activation_tests.drivers.tables import noting
from cio_activation_tests.faults.hubspot_tasks_rig import OWNER, HubSpotTasksRig

OWNERS = (OWNER, "70000002")


class HubSpotHandingRig(HubSpotTasksRig):
    """Each round everybody's task but a newcomer's goes to the other owner, and the newcomers of the round before are urgent."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.owners: dict[str, str] = {}
        self.raised: set[str] = set()
        """Whose task is to be urgent."""
        self.stay: list[str] = []
        """Who has a task of an earlier round."""

    def make_audience(self) -> Audience:
        asks = {"subject": "Call about {spent}", "body": "Offer help", "owner": ["record_owner"], "follow_owner": True}
        sla = {"after": "8 working hours", "then": ["raise_priority"]}
        return benches.audience(
            "vip", Lane.DAILY, "VIP carts", list=False, task=asks | {"sla": sla, "on_end": "delete"}
        )

    def reasons(self) -> dict[str, Any]:
        return {"spent": 1.0}

    def disturb(self) -> None:
        before = set(self.inside)
        super().disturb()
        self.stay = sorted(before & set(self.inside))
        self._owners_before = dict(self.owners)
        self.raised = {c for c in self.raised if c in self.inside} | set(self.stay)
        self.owners = dict.fromkeys(self.inside, OWNER) | dict.fromkeys(self.stay, OWNERS[self.round % 2])
        self._hand()

    def take_back(self) -> None:
        """The records have their owners back; who entered and left stays so."""
        self.owners |= {c: self._owners_before[c] for c in self.stay}
        self._hand()

    def differences(self) -> list[str]:
        found = super().differences()
        for task in self.stand_in.state()["tasks"]:
            of = {cio_id for cio_id in self.inside if self.contacts[cio_id] in task["contacts"]}
            if task["archived"] or not of:
                continue
            (cio_id,), held = of, task["properties"]
            wanted = (self.owners[cio_id], "HIGH" if cio_id in self.raised else "MEDIUM")
            if (shown := (held.get("hubspot_owner_id"), held["hs_task_priority"])) != wanted:
                found.append(f"the task of {cio_id} is {shown}, not {wanted}")
        return found

    # -- troubles ---------------------------------------------------------------------------------------

    def end_owner(self) -> None:
        """One of the tasks is to go to an owner who is none, for a day."""
        self._assign(self.stay[0], "12345")

    def take_owner(self) -> None:
        """The owner is one by now."""
        self._hand()

    # -- what the deciding rooms would have said --------------------------------------------------------

    def _hand(self) -> None:
        for cio_id in self.stay:
            self._assign(cio_id, self.owners[cio_id])

    def _assign(self, cio_id: str, owner: str) -> None:
        with self.bench.runtime.warehouse.write() as con, noting(con, "audience.assignments"):
            con.execute(
                """UPDATE audience.assignments SET owner_id = ?, given_at = now()::TIMESTAMP,
                    raised_at = coalesce(raised_at, now()::TIMESTAMP)
                WHERE entry_id = (SELECT arg_max(entry_id, number) FROM audience.memberships WHERE cio_id = ?)""",
                [owner, cio_id],
            )
