"""A Pipedrive company, and what is desired there: our id, five fields, one set of audiences."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers import pipedrive as benches
from cio_activation_tests.drivers.stand_ins.pipedrive import begin
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, deliver, usual

STAYING = 6
FIELDS = ("bucket", "lapsed", "category", "ordered_on", "spent")


class PipedriveRig(Rig):
    """Six people who stay, two newcomers a round (one with a person there, one without), who leave two rounds later."""

    def __init__(self, home: Path) -> None:
        seed = [{"email": f"person{n}@example.com", "first_name": "By", "last_name": "Hand"} for n in (1, 3, 5)]
        stand_in = begin(seed, plan="ultimate")
        super().__init__(stand_in)
        self.account = stand_in.vendor
        self._audiences = {"vip": benches.audience("vip")}
        self._names = FIELDS[:4]
        self.bench = benches.PipedriveBench(home, stand_in, self._activation())
        self.bench.inside = {"vip": set()}
        self.round, self.day = 0, 0
        self._schema_due, self._undecided = False, True
        self.left: dict[str, str] = {}
        for n in range(1, STAYING + 1):
            self._join(n)
        run_schema(self.bench.runtime, DESTINATION)

    def disturb(self) -> None:
        self._before = ({c: p["values"] for c, p in self.bench.people.items()}, set(self.bench.inside["vip"]))
        self.round += 1
        self._schema_due, self._undecided = False, True
        known, new = 1000 + 10 * self.round, 1001 + 10 * self.round
        self.edit("create_person", name="By Hand", emails=[f"person{known}@example.com"])
        self._join(known)
        self._join(new)
        people, vip = self.bench.people, self.bench.inside["vip"]
        for cio_id in [c for c in people if int(c[1:]) > 1000][:-4]:
            self.left[cio_id] = people.pop(cio_id)["email"]
        vip.clear()
        for i, (cio_id, person) in enumerate(sorted(people.items())):
            turn = self.round + i
            person["values"] = {
                "bucket": ("low", "high")[turn // 2 % 2],  # half of the people keep theirs
                "lapsed": turn % 3 == 0,
                "category": None if turn % 5 == 0 else f"Category {turn}",
                "ordered_on": date(2026, 1, 1) + timedelta(days=turn),
                "spent": turn + 0.25,
            }
            if turn % 2:
                vip.add(cio_id)

    def take_back(self) -> None:
        self._undecided = True
        values, inside = self._before
        present = values.keys() & self.bench.people.keys()
        for cio_id in present:
            self.bench.people[cio_id]["values"] = values[cio_id]
        self.bench.inside["vip"] = {c for c in self.bench.inside["vip"] if c not in present} | (inside & present)

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        if case is not None and case.extends:
            self._extend(case)
        if self._undecided:
            self.bench.decide()
            self._undecided = False
        return deliver(self.bench.runtime_with(**usual(case)), DESTINATION, self.day, schema=self._schema_due)

    def differences(self) -> list[str]:
        persons = self.account.state()["persons"].values()
        shown = {p["custom_fields"].get("cio_id"): p["custom_fields"] for p in persons}
        found = []
        for cio_id, person in self.bench.people.items():
            held = shown.get(cio_id)
            if held is None:
                found.append(f"{cio_id} has no person")
                continue
            wanted = {name: _shown(person["values"].get(name)) for name in self._names}
            for name, members in self.bench.inside.items():
                if (benches.LABELS.get(name, name) in (held.get("cio_audiences") or ())) is not (cio_id in members):
                    found.append(f"{cio_id}.audiences: {held.get('cio_audiences')}, {name}: {cio_id in members}")
            found += [
                f"{cio_id}.{name}: {held.get(f'cio_{name}')!r}, not {value!r}"
                for name, value in wanted.items()
                if held.get(f"cio_{name}") != value
            ]
        for cio_id, email in self.left.items():
            kept = [p for p in persons if email in map(str.lower, p["emails"]) and any(p["raw"].values())]
            if kept:
                found.append(f"{cio_id} left but keeps {kept[0]['custom_fields']}")
        return found

    def duplicates(self) -> int:
        state = self.account.state()
        persons = state["persons"].values()
        emails = Counter(e.lower() for p in persons for e in p["emails"])
        keys = Counter(p["custom_fields"]["cio_id"] for p in persons if p["custom_fields"].get("cio_id"))
        fields = Counter(f["field_name"] for f in state["fields"])
        options = Counter((f["field_name"], o["label"]) for f in state["fields"] for o in f.get("options") or ())
        counters: tuple[Counter[Any], ...] = (emails, keys, fields, options)
        return sum(n - 1 for counter in counters for n in counter.values())

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET"

    def calm(self) -> None:
        self._schema_due = True  # every mended run begins with the schema step, as a day's run does
        limits = self.account.limits
        limits.limited = False
        limits.forgive()
        limits.burn(-limits.used_today)
        self.account.search.lag_s = 0.0

    # -- troubles ---------------------------------------------------------------------------------------

    def delete(self) -> None:
        """Two persons are deleted by hand; one of them was made by us."""
        for n in (1, 2):
            self.edit("delete_person", person=f"person{n}@example.com")

    def merge(self) -> None:
        """Two persons are merged into others."""
        for n in (3, 4):
            main = f"main{n}-{self.round}@example.com"
            self.edit("create_person", name="Main", emails=[main])
            self.edit("merge", person=f"person{n}@example.com", into=main)

    def lose_option(self) -> None:
        """An option that people hold is deleted by hand: Pipedrive empties the field of all of them."""
        self.edit("delete_option", field="cio_bucket", option="low")

    def mixed_case(self) -> None:
        """A newcomer's person has capitals in its address."""
        number = 1005 + 10 * self.round
        self.edit("create_person", name="By Hand", emails=[f"PERSON{number}@Example.COM"])
        self._join(number)
        self.bench.people[f"p{number:05d}"]["values"] = dict(self.bench.people["p00001"]["values"])

    def spend_budget(self) -> None:
        """Other integrations use up the company's day."""
        self.leave_few_tokens(0)

    def leave_few_tokens(self, tokens: int = 45) -> None:
        """Other integrations leave enough for the mirror and a few writes."""
        self.account.limits.limited = True
        self.edit("burn_tokens", tokens=self.account.limits.remaining_today - tokens)

    def lag(self) -> None:
        """Search does not find what was made within the last minute."""
        self.account.search.lag_s = 60.0

    # -- what the deciding rooms would have said --------------------------------------------------------

    def _join(self, number: int) -> None:
        self._undecided = True
        self.bench.person(f"p{number:05d}", f"person{number}@example.com", name=f"Zoë {number}")

    def _extend(self, case: Case) -> None:
        """Gain a field, or an option of the set of audiences."""
        if case.fault.startswith("field"):
            self._names = FIELDS
        else:
            name = f"extra{self.round}"
            self._audiences[name] = benches.audience(name, label=name)
            self.bench.inside[name] = set(sorted(self.bench.people)[:3])
        self._undecided = True
        self.bench.use(self._activation())
        self._schema_due = True

    def _activation(self) -> Activation:
        return benches.model(self._audiences, self._names, create_people="everyone", on_deleted="recreate")


def _shown(value: Any) -> Any:
    """Return a desired value as the account's picture shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else value
