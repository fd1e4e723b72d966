"""A Pipedrive company in which people are asked to act: who enters, who stays with a new reason, who leaves."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.destinations.pipedrive.config import ActivityOptions, PipedriveAudience
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers import builders, decided
from cio_activation_tests.drivers import pipedrive as benches
from cio_activation_tests.drivers.stand_ins.pipedrive import begin
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, deliver, usual

PEOPLE = 6
OWNER = "2"


class PipedriveActivitiesRig(Rig):
    """Six people: each round two enter, two stay and have spent more, two leave."""

    def __init__(self, home: Path) -> None:
        stand_in = begin([{"email": f"person{n}@example.com", "first_name": "By"} for n in range(PEOPLE)])
        super().__init__(stand_in)
        self.account = stand_in.vendor
        call = builders.audience("call", deliver={"pipedrive": self.asked()})
        self.bench = benches.PipedriveBench(home, stand_in, benches.model({"call": call}, ("spent",)))
        self.bench.inside = {}
        self.round, self.day = 0, 0
        self.inside: dict[str, str] = {}
        for n in range(PEOPLE):
            self.bench.person(f"p{n}", f"person{n}@example.com")
        run_schema(self.bench.runtime, DESTINATION)
        self.bench.decide()

    def asked(self) -> PipedriveAudience:
        """Return what is asked for."""
        return PipedriveAudience(activity=ActivityOptions(subject="Call them"))

    def given(self) -> dict[str, Any]:
        """Return what was decided of whoever is in."""
        return {"owner_id": OWNER, "due_at": "2026-11-20 10:00:00", "evidence": self.evidence()}

    def evidence(self) -> str:
        """Return what the rules read."""
        return f'{{"inputs": {{"spent": {self.round}}}}}'

    def disturb(self) -> None:
        self.round += 1
        wanted = {f"p{n}" for n in range(PEOPLE) if (n + self.round) % 3}
        given = self.given()
        exited = {one: "purchase" for one in self.inside if one not in wanted}
        entries = decided.entries(
            self.bench.runtime,
            "call",
            dict.fromkeys(sorted(wanted), given),
            exited=exited,
            destination="pipedrive" if "owner_id" in given else "",
        )
        self.inside = {one: entry for one, entry in entries.items() if one in wanted}

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        return deliver(self.bench.runtime_with(**usual(case)), DESTINATION, self.day, schema=False)

    def differences(self) -> list[str]:
        open_ones = [a for a in self.account.state()["activities"] if not a["done"]]
        found = []
        for one, entry in self.inside.items():
            its = [a for a in open_ones if f"[activity:{entry}:1]" in a["note"]]
            if [f"<p>Spent: {self.round}</p>" in a["note"] for a in its] != [True]:
                found.append(f"{one} is in and has {len(its)} activities, or an old text")
        if len(open_ones) > len(self.inside):
            found.append(f"{len(open_ones)} activities are open for {len(self.inside)} people")
        return found

    def duplicates(self) -> int:
        markers = Counter(a["note"][a["note"].index("[activity:") :][:50] for a in self.account.state()["activities"])
        return sum(n - 1 for n in markers.values())

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET"

    def calm(self) -> None:
        """Nothing but data was touched."""

    # -- troubles ---------------------------------------------------------------------------------------

    def lose_creation(self) -> None:
        """The run before has made something and not heard so: it is looked up first."""
        self.fault(kind="reset", when="after", method="POST")
        self.run()
