"""What people do on a day of the simulation, beside the orders, carts and clicks that their histories replay."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cio_activation_tests.life.reps import LEAVES_ON, Reps
from cio_activation_tests.life.world import LifeTown

FLAPPERS, SPENDERS = 6, 3
"""So many people go in and out of the hand-picked segment, and over and under the VIPs' spend."""


@dataclass(order=True)
class Happening:
    """Something somebody does at an instant."""

    at: datetime
    what: Callable[[], None] = field(compare=False)


class Happenings:
    """Draws each day's happenings; the same ones for the same seed."""

    def __init__(self, town: LifeTown, reps: Reps, seed: int, days: int) -> None:
        self._town, self._reps, self._seed, self._days = town, reps, seed, days
        people = town.people()
        self._flappers = random.Random(seed).sample(people, FLAPPERS)
        self._spenders = random.Random(seed + 1).sample(people, SPENDERS)
        self._picked: set[str] = set()

    def of_day(self, number: int, begins: datetime) -> list[Happening]:
        """Return what happens on a day, in order."""
        rng = random.Random(f"{self._seed}/{number}")
        found: list[Happening] = []

        def at(hour: float, what: Callable[[], None]) -> None:
            found.append(Happening(begins + timedelta(seconds=int(hour * 3600) + rng.randrange(0, 899)), what))

        def own(what: str) -> random.Random:
            """Return dice that nothing else rolls: what one happening draws changes no other one."""
            return random.Random(f"{self._seed}/{number}/{what}")

        at(7.0, self._reps.share_out)
        for _ in range(rng.choice((1, 1, 2))):
            who = rng.choice(self._flappers)
            hour = rng.uniform(0, 22)
            at(hour, lambda who=who: self._flap(who))  # type: ignore[misc]
            if rng.random() < 0.5:
                # Away again before the grace is over, or just after.
                at(hour + rng.choice([0.3, 0.6, 1.3]), lambda who=who: self._flap(who))  # type: ignore[misc]
        for _ in range(rng.randrange(2)):
            at(rng.uniform(8, 20), lambda: self._reps.make_own(own("rep")))
        at(rng.uniform(0, 23), lambda: self._flap_cart(own("cart")))
        if number % 2:
            at(rng.uniform(0, 23), lambda: self._flap_spend(own("spend")))
        if number % 3 == 0:
            at(rng.uniform(8, 20), lambda: self._ask(own("ask")))
        if number % 6 == 2:
            at(rng.uniform(0, 23), lambda: self._do(own("do"), "place_order", value=-12.0))
        if number % 9 == 4:
            at(rng.uniform(0, 23), lambda: self._do(own("do"), "set_attribute", name="unsubscribed", value="true"))
        if number % 12 == 7:
            at(rng.uniform(0, 23), lambda: self._do(own("do"), "delete_person"))
        if number == max(1, int(self._days * LEAVES_ON)):
            at(12.0, self._reps.leave)
        return sorted(found)

    def _there(self, who: list[str]) -> list[str]:
        people = set(self._town.people())
        return [one for one in who if one in people]

    def _flap(self, who: str) -> None:
        if not self._there([who]):
            return
        into = who not in self._picked
        (self._picked.add if into else self._picked.discard)(who)
        self._town.act("add_to_segment" if into else "remove_from_segment", cio_id=who, segment=11)

    def _flap_cart(self, rng: random.Random) -> None:
        """A VIP's open cart falls under what makes it worth a call, or rises above it again."""
        facts = self._town.world.at(self._town.now.timestamp()).facts.to_pylist()
        carts = [row for row in facts if (row["cart_value"] or 0) > 100 and (row["total_spent"] or 0) > 390]
        if carts:
            row = rng.choice(carts)
            value = "149" if row["cart_value"] >= 150 else "151"
            self._town.act("set_attribute", cio_id=row["cio_id"], name="cart_value", value=value)

    def _flap_spend(self, rng: random.Random) -> None:
        for who in self._there(self._spenders[:1] if rng.random() < 0.5 else self._spenders[1:]):
            value = rng.choice(["240", "900"])
            self._town.act("set_attribute", cio_id=who, name="total_spent", value=value)

    def _ask(self, rng: random.Random) -> None:
        for who in rng.sample(self._town.people(), 2):
            for _ in range(2):
                self._town.act("click", cio_id=who, kind="wismo")

    def _do(self, rng: random.Random, action: str, **change: object) -> None:
        """Do something, rather as somebody whom a human is asked to act for."""
        there = self._town.there["hubspot"]
        asked = {c for task in there["tasks"] if not task["archived"] for c in task["contacts"]}
        known = {contact.get("cio_id") for i, contact in there["contacts"].items() if i in asked}
        people = self._town.people()
        likely = sorted(set(people) & {str(one) for one in known if one})
        self._town.act(action, cio_id=rng.choice(likely if likely and rng.random() < 0.7 else people), **change)
