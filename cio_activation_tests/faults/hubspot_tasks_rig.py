"""A HubSpot portal in which humans are asked to act: one open task for each person who is in, with today's words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cio_activation.activation.models import AttributeType, Audience, Lane
from cio_activation.delivery.destination import Step
from cio_activation.delivery.run import run_step
from cio_activation.destinations.hubspot.tasks import TasksStep
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.transport.errors import Stop, VendorError
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers import hubspot as benches
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, usual

PEOPLE, SPELL = 8, 3
"""So many people, who take turns: each is in for so many rounds, and out for one."""
OWNER = "70000001"


class HubSpotTasksRig(Rig):
    """Eight people with contacts. Each round two of them enter, two leave, and the reasons of those who stay change."""

    word = "task"

    def __init__(self, home: Path) -> None:
        self._audience = self.make_audience()
        seed = [{"email": f"person{n}@example.com"} for n in range(1, PEOPLE + 1)]
        attributes = builders.activation(attributes={"spent": AttributeType.MONEY}).attributes
        activation = benches.make_activation((), (self._audience,)).model_copy(update={"attributes": attributes})
        self.bench = benches.hubspot_bench(home, seed, activation)
        super().__init__(self.bench.stand_in)
        self.round, self.day = 0, 0
        self.bench.persons([benches.person(n) for n in range(1, PEOPLE + 1)])
        self.contacts = {f"p{n:05d}": self.bench.id_of(f"person{n}@example.com") for n in range(1, PEOPLE + 1)}
        rows = ", ".join(f"('hubspot', '{cio_id}', '{record}')" for cio_id, record in self.contacts.items())
        self.bench.sql(f"INSERT INTO delivery.links (destination, cio_id, record_id) VALUES {rows}")
        self.inside: dict[str, dict[str, Any]] = {}

    def make_audience(self) -> Audience:
        """Return the audience that asks."""
        asks = {"subject": "Call about {spent}", "body": "Offer help"}
        return benches.audience("vip", Lane.DAILY, "VIP carts", list=False, task=asks)

    def reasons(self) -> dict[str, Any]:
        """Return what the rules read of everybody who is in."""
        return {"spent": float(self.round)}

    def make_step(self) -> Step:
        """Return what is run."""
        return TasksStep(self._audience)

    def is_open(self, held: dict[str, Any]) -> bool:
        """Return whether one asks for something still."""
        return bool(held["hs_task_status"] != "COMPLETED")

    def words_of(self, held: dict[str, Any]) -> str:
        """Return what shows the day of one."""
        return str(held["hs_task_subject"])

    def is_owned(self, held: dict[str, Any]) -> bool:
        """Return whether one has who acts."""
        return bool(held.get("hubspot_owner_id"))

    def disturb(self) -> None:
        self.round += 1
        self._before = dict(self.inside)
        people = [c for n, c in enumerate(self.contacts) if (n + 2 * self.round) % PEOPLE < 2 * SPELL]
        self.inside = {c: {"owner_id": OWNER, "inputs": self.reasons()} for c in people}
        self.bench.enter("vip", self.inside)

    def take_back(self) -> None:
        self.inside = self._before
        self.bench.enter("vip", self.inside)

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        self.bench.day = self.day
        counts, runtime = Counts(), self.bench.runtime_with(**usual(case))
        try:
            return counts.with_step(
                run_step(runtime, benches.DESTINATION, self.make_step(), window(self.day), f"run{self.day}")
            )
        except VendorError as error:
            failed = (f"{type(error).__name__} {error.operation}",)
            return Counts(stopped=isinstance(error, Stop), failed=failed)

    def differences(self) -> list[str]:
        found = []
        open_ones: dict[str, list[dict[str, Any]]] = {record: [] for record in self.contacts.values()}
        for task in self.stand_in.state()[f"{self.word}s"]:
            if not task["archived"] and self.is_open(task["properties"]):
                for record in task["contacts"]:
                    open_ones[record].append(task["properties"])
        for cio_id, record in self.contacts.items():
            wanted = [f"Call about {said['inputs']['spent']:g} USD"] if (said := self.inside.get(cio_id)) else []
            subjects = [self.words_of(one) for one in open_ones[record]]
            if subjects != wanted:
                found.append(f"{cio_id} has open {self.word}s {subjects}, not {wanted}")
            found += [f"{cio_id}'s {self.word} has no owner" for one in open_ones[record] if not self.is_owned(one)]
        return found

    def duplicates(self) -> int:
        """Count tasks of one entry, in whatever state, beyond the first."""
        name = "hs_note_body" if self.word == "note" else "hs_task_body"
        bodies = [t["properties"][name] for t in self.stand_in.state()[f"{self.word}s"]]
        markers = Counter(body.rsplit(f"[{self.word}:", 1)[1].split("]")[0] for body in bodies)
        return sum(n - 1 for n in markers.values())

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET"  # also a read: what nobody changed need not be looked at

    def calm(self) -> None:
        self.edit("settings", search_lag_s=0.0, unknown_owners="refused", echo_trace_ids=True)

    # -- troubles ---------------------------------------------------------------------------------------

    def lag(self) -> None:
        """Search does not find what was written within the last minute."""
        self.edit("settings", search_lag_s=60.0)

    def lose_creation(self) -> None:
        """The run before has made something and not heard so: it is looked up first."""
        self.fault(kind="reset", when="after", path="/crm/objects/*/batch/create")
        self.run()

    def lose_trace_ids(self) -> None:
        """The portal does not give trace ids back."""
        self.edit("settings", echo_trace_ids=False)

    def end_owner(self) -> None:
        """One of the new tasks is for an owner who is none, for a day."""
        newest = next(c for c in self.inside if c not in self._before)
        self.bench.sql(f"UPDATE audience.assignments SET owner_id = '12345' WHERE cio_id = '{newest}'")

    def take_owner(self) -> None:
        """The owner is one by now."""
        self.bench.sql(f"UPDATE audience.assignments SET owner_id = '{OWNER}'")
