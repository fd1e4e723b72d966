"""What the CRMs are asked before a window is decided: what humans did with our actions, who can act, whose a record is.

A look that could not be ended is made up for by the next window's, and nothing is told of twice.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cio_activation.delivery.destination import Destination
from cio_activation.destinations import hubspot, pipedrive
from cio_activation.feedback.hearing import hear
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.hubspot_handing_rig import OWNERS as HUBSPOT_OWNERS
from cio_activation_tests.faults.hubspot_handing_rig import HubSpotHandingRig
from cio_activation_tests.faults.pipedrive_handing_rig import OWNERS as PIPEDRIVE_OWNERS
from cio_activation_tests.faults.pipedrive_handing_rig import PipedriveHandingRig
from cio_activation_tests.faults.world import Counts, Rig, usual

Deed = tuple[str, str]
"""An action's number there, and what a human did with it."""


class _Hears(Rig):
    """Each round somebody completes one of the new actions, somebody puts another off, and records change owners."""

    bench: Any
    inside: dict[str, Any]
    round: int
    day: int
    destination: Destination
    owners_there: tuple[str, str]

    def __init__(self, home: Path) -> None:
        self.deeds: set[Deed] = set()
        self.done: set[str] = set()
        super().__init__(home)  # type: ignore[call-arg,arg-type]

    def disturb(self) -> None:
        before = set(self.inside)
        super().disturb()  # type: ignore[safe-super]
        super().run()  # type: ignore[safe-super]
        rows = self.bench.query("SELECT cio_id, record_id FROM delivery.actions WHERE ended_at IS NULL")
        actions = dict(rows)
        first, second = sorted(set(self.inside) - before)[:2]
        self.complete(actions[first])
        self.put_off(actions[second])
        self.deeds |= {(actions[first], "done"), (actions[second], "snoozed")}
        self.done = {one for one in self.done if one in self.inside} | {first}
        for record, owner in self.records():
            self.own(record, owner)

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        self.bench.day = self.day
        due = len(self.deeds - set(self._heard()))
        heard = hear(self.bench.runtime_with(**usual(case)), self.destination, window(self.day))
        told = sum(heard.acts.values())
        failed = () if heard.problem is None else (heard.problem,)
        return Counts(planned=max(due, told), delivered=told, held=max(0, due - told), failed=failed)

    def differences(self) -> list[str]:
        found = [f"{deed} was not heard of" for deed in self.deeds - set(self._heard())]
        found += [f"{told} was heard, and nobody did it" for told in set(self._heard()) - self.deeds]
        rows = self.bench.query("SELECT cio_id, owner_id FROM feedback.records WHERE record_id IS NOT NULL")
        wanted = {one: self.owner_of(one) for one in self.inside if one not in self.done}
        if (read := dict(rows)) != wanted:
            found.append(f"records are said to belong to {read}, not {wanted}")
        return found

    def duplicates(self) -> int:
        """Count acts that were told of more than once."""
        heard = self._heard()
        return len(heard) - len(set(heard))

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET" and not entry.path.endswith("/batch/read")

    def _heard(self) -> list[Deed]:
        return [(str(record), str(act)) for record, act in self.bench.query("SELECT record_id, act FROM feedback.acts")]

    def owner_of(self, one: str) -> str:
        """Return who has somebody's record in this round."""
        return self.owners_there[(int(one[1:]) + self.round) % 2]

    @abstractmethod
    def records(self) -> Iterator[tuple[str, str]]:
        """Yield everybody's record and whose it is to be."""

    @abstractmethod
    def complete(self, action: str) -> None:
        """A human does it."""

    @abstractmethod
    def put_off(self, action: str) -> None:
        """A human does it later."""

    @abstractmethod
    def own(self, record: str, owner: str) -> None:
        """A human gives the record to somebody."""


class HubSpotHearingRig(_Hears, HubSpotHandingRig):
    """Tasks: owners, a batch of tasks, a batch of contacts and their associations are read."""

    destination = hubspot.DESTINATION
    owners_there = HUBSPOT_OWNERS

    def records(self) -> Iterator[tuple[str, str]]:
        for one, record in self.contacts.items():
            yield record, self.owner_of(one)

    def complete(self, action: str) -> None:
        self.edit("complete_task", id=action)

    def put_off(self, action: str) -> None:
        self.edit("set_task", id=action, properties={"hs_timestamp": f"2027-03-01T09:{self.round:02}:00Z"})

    def own(self, record: str, owner: str) -> None:
        self.edit("set", id=record, properties={"hubspot_owner_id": owner})


class PipedriveHearingRig(_Hears, PipedriveHandingRig):
    """Activities: users, activities and persons are read, a hundred by their ids."""

    destination = pipedrive.DESTINATION
    owners_there = PIPEDRIVE_OWNERS

    def records(self) -> Iterator[tuple[str, str]]:
        for email, person in self.bench.there.items():
            yield str(person["id"]), self.owner_of(email.partition("@")[0].replace("person", "p"))

    def complete(self, action: str) -> None:
        self.edit("complete_activity", activity=int(action))

    def put_off(self, action: str) -> None:
        self.edit("set_activity", activity=int(action), due_date="2027-03-01")

    def own(self, record: str, owner: str) -> None:
        self.edit("set_person", person=int(record), owner_id=int(owner))
