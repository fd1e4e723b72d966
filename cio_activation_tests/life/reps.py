"""The humans of both CRMs: eight reps each, two of them in both, in three time zones with three holiday calendars."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cio_activation_tests.life.calendars import HOLIDAYS, Hours
from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.seen import Deed
from cio_activation_tests.life.world import LifeTown

HUBSPOT = ("ann", "ben", "cleo", "dan", "eva", "finn", "nina", "otto")
PIPEDRIVE = ("nina", "otto", "pia", "raj", "sue", "tom", "una", "vic")
LEAVES = {"hubspot": "cleo", "pipedrive": "raj"}
"""Who leaves the company on the day ``LEAVES_ON`` (a share of the simulation)."""
LEAVES_ON = 0.4
OUTCOMES = {"converted": 3, "not_interested": 2, "bad_timing": 1, "no_answer": 2, "wrong_person": 0.3}
HABITS: tuple[Mapping[str, float], ...] = (
    {"complete": 0.85, "snooze": 0.1, "ignore": 0.05},
    {"complete": 0.5, "reassign": 0.25, "snooze": 0.15, "delete": 0.1},
    {"take_up": 0.4, "complete": 0.45, "ignore": 0.15},
    {"ignore": 0.55, "complete": 0.35, "delete": 0.1},
)


class Reps:
    """Everybody who works in the CRMs, and what they did by hand."""

    def __init__(self, town: LifeTown, rules: Rules, seed: int) -> None:
        self._town, self._rules, self._seed = town, rules, seed
        self._ids: dict[str, dict[str, Any]] = {"hubspot": {}, "pipedrive": {}}
        self._gone: set[tuple[str, str]] = set()
        self._made = 0
        for name in HUBSPOT:
            made = town.by_hand("hubspot", "add_owner", email=_email(name), first_name=name.capitalize())
            self._ids["hubspot"][name] = made["id"]
        for name in PIPEDRIVE:
            zone = rules.hours[_email(name)].zone
            made = town.by_hand("pipedrive", "add_user", name=name.capitalize(), email=_email(name), timezone=zone)
            self._ids["pipedrive"][name] = made["id"]
        self._hire()

    def _hire(self) -> None:
        for place, ids in self._ids.items():
            agents = [
                self._agent(owner, name, HABITS[number % len(HABITS)])
                for number, (name, owner) in enumerate(ids.items())
                if (place, name) not in self._gone
            ]
            humans = self._town.sandbox.vendors[place].agents
            assert humans is not None
            humans.hire(
                {
                    "agents": agents,
                    "seed": self._seed,
                    "outcome": "cio_outreach_outcome",
                    "outcome_at": "cio_outreach_outcome_on",
                }
            )

    def _agent(self, owner: Any, name: str, does: Mapping[str, float]) -> dict[str, Any]:
        hours: Hours = self._rules.hours[_email(name)]
        return {
            "owner": str(owner),
            "zone": hours.zone,
            "days": sorted(hours.days),
            "hours": [f"{hours.opens:%H:%M}", f"{hours.closes:%H:%M}"],
            "holidays": sorted(str(day) for day in HOLIDAYS.get(hours.holidays or "", ())),
            "does": dict(does),
            "delay_h": [0.5, 10.0],
            "snooze_days": [1, 4],
            "outcomes": OUTCOMES,
        }

    def work(self, until: float) -> list[Deed]:
        """Let everybody work up to ``until``; return what they did."""
        found = []
        for place in self._ids:
            humans = self._town.sandbox.vendors[place].agents
            assert humans is not None
            found += [Deed(place, deed["item"], deed["did"], deed["at"], _said(deed)) for deed in humans.work(until)]
        return sorted(found, key=lambda deed: deed.at)

    def leave(self) -> None:
        """Let one rep in each CRM leave the company; what they had stays theirs."""
        for place, name in LEAVES.items():
            owner = self._ids[place][name]
            if place == "hubspot":
                self._town.by_hand(place, "deactivate_owner", id=owner)
            else:
                self._town.by_hand(place, "deactivate_user", user=owner)
            self._gone.add((place, name))
        self._hire()

    def share_out(self) -> None:
        """Give records that nobody has to somebody, as a lead does in the morning."""
        there = self._town.there
        for place, ids in self._ids.items():
            active = [owner for name, owner in ids.items() if (place, name) not in self._gone]
            if place == "hubspot":
                for contact in self._town.sandbox.vendors[place].account.records["contacts"].live.values():  # type: ignore[attr-defined]
                    # A third of all contacts stay without an owner.
                    if not contact.values.get("hubspot_owner_id") and contact.id // 50 % 3:
                        owner = active[contact.id // 50 % len(active)]
                        self._town.by_hand(
                            place, "set", id=str(contact.id), properties={"hubspot_owner_id": str(owner)}
                        )
            else:
                for person in there[place]["persons"].values():
                    if person["owner_id"] not in active:
                        owner = active[person["id"] % len(active)]
                        self._town.by_hand(place, "set_person", person=person["id"], owner_id=owner)

    def make_own(self, rng: random.Random) -> None:
        """Make a task or an activity for oneself about somebody, as humans do."""
        there, place = self._town.there, rng.choice(list(self._ids))
        names = [name for name in self._ids[place] if (place, name) not in self._gone]
        owner = self._ids[place][rng.choice(names)]
        self._made += 1
        subject = f"Note to self {self._made}"
        if place == "hubspot" and there[place]["contacts"]:
            due = (self._town.now + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            values = {"hs_task_subject": subject, "hubspot_owner_id": str(owner), "hs_timestamp": due}
            who = rng.choice(sorted(there[place]["contacts"]))
            self._town.by_hand(place, "create_task", properties=values, contacts=[who])
        elif place == "pipedrive" and there[place]["persons"]:
            who = rng.choice(sorted(there[place]["persons"]))
            self._town.by_hand(place, "create_activity", person=int(who), subject=subject, owner_id=owner)


def _said(deed: Mapping[str, Any]) -> str | None:
    """Return the outcome that goes with a completion."""
    return str(deed["detail"]) if deed["did"] == "complete" and deed["detail"] else None


def _email(name: str) -> str:
    return f"{name}@example.com"
