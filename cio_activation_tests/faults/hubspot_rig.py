"""A HubSpot portal, and what is desired there: properties, our key, one list, by hand edits when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane, PropertyType
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.destinations.hubspot.config import HubSpotAudience, list_name
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers import hubspot as benches
from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.world import Counts, Rig, deliver, usual

LABELS = ("0-30", "31-90", "91+")
STAYING = 6


class HubSpotRig(Rig):
    """Six people who stay, two newcomers a round (one with a contact, one without), who leave two rounds later."""

    def __init__(self, home: Path) -> None:
        self._properties = list(benches.DAILY)
        self._audience = benches.audience("winback", Lane.DAILY, benches.LABEL)
        seed = [{"email": f"person{n}@example.com"} for n in range(1, STAYING, 2)]
        self.bench = benches.hubspot_bench(home, seed, self._activation())
        super().__init__(self.bench.stand_in)
        self.round, self.day = 0, 0
        self._schema_due = False
        self._between: Callable[[], object] | None = None
        self.people: dict[str, dict[str, Any]] = {}
        self.values: dict[str, dict[str, Any]] = {}
        self.inside: set[str] = set()
        self.left: dict[str, str] = {}
        for n in range(1, STAYING + 1):
            self._join(benches.person(n))
        run_schema(self.bench.runtime, DESTINATION)

    def disturb(self) -> None:
        self._before = (dict(self.values), set(self.inside))
        self.round += 1
        self._schema_due = False
        known, new = (benches.person(1000 + 10 * self.round + i) for i in range(2))
        self.edit("create", properties={"email": known["email"], "firstname": "By hand"})
        for one in (known, new):
            self._join(one)
        for cio_id in [c for c in self.people if c.startswith(("p01", "p02"))][:-4]:
            self.left[cio_id] = self.people.pop(cio_id)["email"]
        self.inside.clear()
        self.values.clear()
        for i, cio_id in enumerate(sorted(self.people)):
            turn = self.round + i
            self.values[cio_id] = {
                "lapse_bucket": LABELS[turn % 3],
                "second_order_due": turn % 2 == 0,
                "last_category": None if turn % 5 == 0 else f"Category {turn}",
                "last_engaged": date(2026, 1, 1) + timedelta(days=turn),
                "ltv": turn + 0.25,
            } | {p.name: f"{p.name} {turn}" for p in self._properties[len(benches.DAILY) :]}
            if turn % 2:
                self.inside.add(cio_id)
        self._decide()

    def take_back(self) -> None:
        values, inside = self._before
        present = values.keys() & self.people.keys()
        self.values |= {c: values[c] for c in present}
        self.inside = {c for c in self.inside if c not in present} | (inside & present)
        self._decide()

    def run(self, case: Case | None = None) -> Counts:
        self.day += 1
        between, self._between = self._between, None
        if case is not None and case.extends:
            self._extend()

        def after(step: str) -> None:
            if between is not None and step.startswith("contact_links"):
                between()

        runtime = self.bench.runtime_with(**usual(case))
        return deliver(runtime, DESTINATION, self.day, schema=self._schema_due, after=after)

    def differences(self) -> list[str]:
        state = self.stand_in.state()
        by_key = {c["cio_id"]: c for c in state["contacts"].values() if c.get("cio_id")}
        found = []
        for cio_id in self.people:
            held = by_key.get(cio_id)
            if held is None:
                found.append(f"{cio_id} has no contact")
                continue
            for name, value in self.values[cio_id].items():
                if _wire(value) != (held.get(f"cio_{name}") or ""):
                    found.append(f"{cio_id}.{name}: {held.get(f'cio_{name}')!r}, not {_wire(value)!r}")
        for cio_id in self.left:
            kept = {k for k, v in by_key.get(cio_id, {}).items() if k.startswith("cio_") and k != "cio_id" and v}
            if kept:
                found.append(f"{cio_id} left but keeps {sorted(kept)}")
        living = [x for x in state["lists"] if not x["deleted"]]
        found += [f"there is a list {x['name']!r}" for x in living if x["name"] != list_name(self._audience)]
        lists = [x for x in living if x["name"] == list_name(self._audience)]
        on_list = {state["contacts"][i].get("cio_id") for x in lists for i in x["members"]}
        if on_list != self.inside:
            found.append(f"the list lacks {sorted(self.inside - on_list)} and has {sorted(on_list - self.inside)} more")
        return found

    def duplicates(self) -> int:
        state = self.stand_in.state()
        emails = Counter[str]()
        keys = Counter(c["cio_id"] for c in state["contacts"].values() if c.get("cio_id"))
        for contact in state["contacts"].values():
            more = contact.get("hs_additional_emails", "").split(";")
            emails.update({e.lower() for e in [contact.get("email", ""), *more] if e})
        lists = Counter(x["name"] for x in state["lists"] if not x["deleted"])
        return sum(n - 1 for counter in (emails, keys, lists) for n in counter.values())

    def is_write(self, entry: Entry) -> bool:
        return entry.method != "GET" and not entry.path.endswith("/batch/read")

    def calm(self) -> None:
        self._schema_due = True  # every mended run begins with the schema step, as a day's run does
        self.bench.portal.limits.limited = False
        self.bench.portal.limits.used_today = 0
        self.edit("settings", search_lag_s=0.0, echo_trace_ids=True, omit_empty_ids=False)

    # -- troubles ---------------------------------------------------------------------------------------

    def lose_option(self) -> None:
        """An option is deleted, and one contact: the batch is written in part."""
        kept = [{"label": v, "value": v, "displayOrder": i, "hidden": False} for i, v in enumerate(LABELS[:2])]
        self.edit("set_options", name="cio_lapse_bucket", options=kept)
        self.edit("delete", email="person2@example.com")

    def lose_option_silently(self) -> None:
        """The same, from a portal that does not give trace ids back."""
        self.edit("settings", echo_trace_ids=False)
        self.lose_option()

    def collide(self) -> None:
        """After the look-up, a colleague gives the newcomer's address to another contact."""
        email = self.people[max(self.people)]["email"]
        owner = f"owner{self.round}@example.com"
        self.edit("create", properties={"email": owner})
        self._between = lambda: self.edit("add_additional_email", email=owner, additional_email=email)

    def delete(self) -> None:
        """Two contacts are deleted by hand."""
        for n in (1, 4):
            self.edit("delete", email=f"person{n}@example.com")

    def merge(self) -> None:
        """Two contacts are merged into others; one of the two enters the list this round, one leaves it."""
        for n in (3, 4):
            self.edit("create", properties={"email": f"main{n}-{self.round}@example.com"})
            main = f"main{n}-{self.round}@example.com"
            self.edit("merge", email=main, other_email=f"person{n}@example.com")

    def mixed_case(self) -> None:
        """A newcomer's contact has capitals in its address, and trace ids do not come back."""
        person = benches.person(1000 + 10 * self.round + 5)
        self.edit("create", properties={"email": person["email"].replace("person", "PerSon").upper()})
        self._join(person)
        self.values[person["cio_id"]] = {**self.values["p00001"], "ltv": 77.0}
        self._decide()
        self.edit("settings", echo_trace_ids=False)

    def omit_empty(self) -> None:
        """Membership replies leave out what is empty."""
        self.edit("settings", omit_empty_ids=True)

    def spend_budget(self) -> None:
        """Other apps use up the account's day."""
        self.bench.portal.limits.limited = True
        self.edit("other_app_calls", kind="daily", calls=self.bench.portal.limits.daily_limit)

    def rename_list(self) -> None:
        """The audience is called something else."""
        self._audience = self._audience.model_copy(update={"label": f"RET - Winback {self.round}"})
        self._redeclare()

    def retire_list(self) -> None:
        """The audience has got another list, and the one it had is emptied and goes now."""
        self._extend_list()
        self._redeclare()
        self.run()

    def lag(self) -> None:
        """Search does not find what was written within the last minute."""
        self.edit("settings", search_lag_s=60.0)

    # -- what the deciding rooms would have said --------------------------------------------------------

    def _join(self, person: dict[str, Any]) -> None:
        self.people[person["cio_id"]] = person

    def _extend(self) -> None:
        self._properties.append(benches.prop(f"extra_{self.round}", PropertyType.TEXT))
        self._extend_list()
        for cio_id, values in self.values.items():
            values[f"extra_{self.round}"] = f"extra of {cio_id}"
        self._redeclare()

    def _extend_list(self) -> None:
        self._audience = self._audience.model_copy(
            update={"version": self._audience.version + 1, "deliver": {"hubspot": HubSpotAudience(new_list=True)}}
        )

    def _redeclare(self) -> None:
        self._schema_due = True
        self.bench.use(self._activation())
        self._decide()

    def _activation(self) -> Any:
        return benches.make_activation(
            self._properties, (self._audience,), on_deleted="recreate", retire_lists_after=timedelta(0)
        )

    def _decide(self) -> None:
        self.bench.persons(self.people.values())
        self.bench.state(self.values)
        self.bench.members("winback", self.inside)


def _wire(value: Any) -> str:
    """Return a desired value as HubSpot shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
