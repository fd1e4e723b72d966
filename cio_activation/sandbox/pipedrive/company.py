"""One Pipedrive company: account, persons, fields, activities, notes, deals, and what they need of each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cio_activation.sandbox.pipedrive import activities, deals, persons
from cio_activation.sandbox.pipedrive.account import COMPANY, Account
from cio_activation.sandbox.pipedrive.activities import Activities
from cio_activation.sandbox.pipedrive.deals import Deals
from cio_activation.sandbox.pipedrive.fields import FieldCap, Fields
from cio_activation.sandbox.pipedrive.limits import Limits, Plan
from cio_activation.sandbox.pipedrive.links import Links
from cio_activation.sandbox.pipedrive.notes import Notes
from cio_activation.sandbox.pipedrive.persons import Persons, Surroundings
from cio_activation.sandbox.pipedrive.pipelines import Pipelines
from cio_activation.sandbox.pipedrive.search import SearchIndex
from cio_activation.sandbox.pipedrive.settings import Settings
from cio_activation.sandbox.pipedrive.standing import Mails, tally
from cio_activation.sandbox.pipedrive.values import Option
from cio_activation.sandbox.server.core import Clock

_LABELS = ("Customer", "Hot lead", "Warm lead", "Cold lead")


class Company:
    """Everything of one company on ``plan`` with ``seats`` users.

    ``search_lag_s`` is seconds of real time; ``limited`` false lets any rate pass, still counting.
    """

    def __init__(self, clock: Clock, plan: Plan, seats: int, *, limited: bool, search_lag_s: float) -> None:
        self._clock = clock
        self.organizations: dict[int, str] = {}
        self.limits = Limits(clock, plan, seats, limited=limited)
        self.settings = Settings()
        self.account = Account(clock.now, self.settings)
        self.search = SearchIndex(
            search_lag_s, lambda i: self.persons.table.get(i), lambda: self.persons.table.living()
        )
        self.persons = Persons(self._surroundings(plan.visibilities), self.search)
        links = self._links()
        self.activities, self.notes = Activities(links), Notes(links)
        self.pipelines = Pipelines(clock.now() - 400 * 86_400)
        self.deals = Deals(links, self.pipelines, plan.deals_per_seat * seats)
        self.mails = Mails()
        cap = FieldCap(plan.custom_fields, COMPANY, clock.now, lambda: self.account.admin)
        self.fields = Fields("person", cap, persons.BUILT_IN, self._person_values)
        self.fields.by_code["label_ids"].options = [Option(i, label) for i, label in enumerate(_LABELS, 5)]
        self.deals.fields = Fields("deal", cap, deals.BUILT_IN, self.deals.custom_values)
        closed = FieldCap(0, COMPANY, clock.now, lambda: False)  # activities have no fields of one's own
        self.activities.fields = Fields("activity", closed, activities.BUILT_IN, list)
        options = [Option(i, label) for i, label in enumerate(activities.PRIORITIES, 1)]
        self.activities.fields.by_code["priority"].options = options
        self.persons.fields = self.search.fields = self.fields

    @property
    def now(self) -> float:
        """The vendors' present time, seconds since the epoch."""
        return self._clock.now()

    def _surroundings(self, visibilities: tuple[int, ...]) -> Surroundings:
        return Surroundings(
            now=self._clock.now,
            users=self.account.assignable,
            org=self.organizations.get,
            visibilities=visibilities,
            may_delete=lambda: self.account.admin,
            tally=self._tally,
            moved=self._moved,
            of_deal=self._person_of_deal,
        )

    def _links(self) -> Links:
        return Links(
            now=self._clock.now,
            users=self.account.assignable,
            org=self.organizations.get,
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
        for part in (self.activities, self.notes, self.deals, self.mails):
            part.repoint(old, new)

    def _tally(self) -> Callable[[int], dict[str, Any]]:
        activities, deals = self.activities.table.living(), self.deals.table.living()
        return tally(activities, deals, self.mails, self.notes.count_of)
