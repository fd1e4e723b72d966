"""One Pipedrive company: account, persons, fields, activities, notes, deals, and what they need of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.pipedrive import deals, persons
from cio_activation.sandbox.pipedrive.account import COMPANY, Account
from cio_activation.sandbox.pipedrive.activities import Activities, Links
from cio_activation.sandbox.pipedrive.deals import Deals
from cio_activation.sandbox.pipedrive.fields import FieldCap, Fields
from cio_activation.sandbox.pipedrive.limits import Limits, Plan
from cio_activation.sandbox.pipedrive.notes import Notes
from cio_activation.sandbox.pipedrive.persons import Persons, Surroundings
from cio_activation.sandbox.pipedrive.search import SearchIndex
from cio_activation.sandbox.pipedrive.values import Option
from cio_activation.sandbox.server.core import Clock

_LABELS = ("Customer", "Hot lead", "Warm lead", "Cold lead")


class Company:
    """Everything of one company on ``plan`` with ``seats`` users.

    ``search_lag_s`` is seconds of real time; ``limited`` false lets any rate pass, still counting.
    """

    def __init__(self, clock: Clock, plan: Plan, seats: int, *, limited: bool, search_lag_s: float) -> None:
        self._clock = clock
        self.limits = Limits(clock, plan, seats, limited=limited)
        self.account = Account(clock.now)
        self.search = SearchIndex(
            search_lag_s, lambda i: self.persons.table.get(i), lambda: self.persons.table.living()
        )
        self.persons = Persons(self._surroundings(plan.visibilities), self.search)
        links = self._links()
        self.activities, self.notes = Activities(links), Notes(links)
        self.deals = Deals(links, plan.deals_per_seat * seats)
        cap = FieldCap(plan.custom_fields, COMPANY, clock.now, lambda: self.account.admin)
        self.fields = Fields("person", cap, persons.BUILT_IN, self._person_values)
        self.fields.by_code["label_ids"].options = [Option(i, label) for i, label in enumerate(_LABELS, 5)]
        self.deals.fields = Fields("deal", cap, deals.BUILT_IN, self.deals.custom_values)
        self.persons.fields = self.search.fields = self.fields

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self._clock.now()

    def _surroundings(self, visibilities: tuple[int, ...]) -> Surroundings:
        return Surroundings(
            now=self._clock.now,
            users=self.account.active_users,
            visibilities=visibilities,
            may_delete=lambda: self.account.admin,
            tally=self._tally,
            moved=self._moved,
            of_deal=self._person_of_deal,
        )

    def _links(self) -> Links:
        return Links(
            now=self._clock.now,
            users=self.account.active_users,
            person=lambda i: self.persons.table.get(i),
            deal=lambda i: self.deals.table.get(i),
            types=self.account.type_names,
        )

    def _person_values(self) -> list[dict[str, Any]]:
        return [p.custom for p in self.persons.table.rows.values()]

    def _person_of_deal(self, deal_id: int) -> int | None:
        deal = self.deals.table.get(deal_id)
        return None if deal is None else deal.values["person_id"]

    def _moved(self, old: int, new: int) -> None:
        for part in (self.activities, self.notes, self.deals):
            part.repoint(old, new)

    def _tally(self) -> Callable[[int], dict[str, int]]:
        done: Counter[tuple[int | None, bool]] = Counter((a.person_id, a.done) for a in self.activities.table.living())
        deals: Counter[tuple[int | None, str]] = Counter(
            (d.values["person_id"], d.values["status"]) for d in self.deals.table.living()
        )

        def counts(person_id: int) -> dict[str, int]:
            finished, open_ = done[person_id, True], done[person_id, False]
            return {
                "open_deals_count": deals[person_id, "open"],
                "won_deals_count": deals[person_id, "won"],
                "lost_deals_count": deals[person_id, "lost"],
                "activities_count": finished + open_,
                "done_activities_count": finished,
                "undone_activities_count": open_,
                "notes_count": self.notes.count_of(person_id),
            }

        return counts
