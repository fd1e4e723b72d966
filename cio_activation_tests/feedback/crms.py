"""What humans do with records and actions in either CRM's stand-in, in the same words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from cio_activation.delivery.catalog import load
from cio_activation_tests.drivers.town import Town


class Crm(ABC):
    """One CRM of a town; records and actions by the person they are about."""

    name, word = "", ""

    def __init__(self, here: Town) -> None:
        self.here = here

    @abstractmethod
    def hire(self, email: str) -> str:
        """Have one more colleague; return their id."""

    @abstractmethod
    def dismiss(self, owner: str) -> None:
        """Have one leave."""

    @abstractmethod
    def own(self, who: str, owner: str) -> None:
        """Give somebody's record to a colleague."""

    @abstractmethod
    def give(self, who: str, owner: str) -> None:
        """Give what is asked about somebody to a colleague, by hand."""

    @abstractmethod
    def take_up(self, who: str) -> None:
        """Begin with what is asked about somebody."""

    @abstractmethod
    def contact(self, who: str) -> None:
        """Call or write to somebody, and log it."""

    @abstractmethod
    def high(self) -> Any:
        """Return how the highest priority reads there."""

    @abstractmethod
    def state(self, who: str) -> dict[str, Any]:
        """Return ``owner``, ``priority`` and ``due`` of what is asked about somebody."""

    def owner(self, who: str) -> str:
        return str(self.state(who)["owner"])

    def known(self, who: str, column: str) -> str:
        """Return what we know of what is asked about somebody."""
        query = f"SELECT {column} FROM delivery.actions WHERE destination = '{self.name}' AND cio_id = '{who}'"
        (row,) = self.here.query(query)
        return str(row[0])

    def by_hand(self, action: str, **change: Any) -> dict[str, Any]:
        return self.here.by_hand(self.name, action, **change)


class HubSpot(Crm):
    name, word = "hubspot", "task"

    def high(self) -> Any:
        return "HIGH"

    def hire(self, email: str) -> str:
        return str(self.by_hand("add_owner", email=email)["id"])

    def dismiss(self, owner: str) -> None:
        self.by_hand("deactivate_owner", id=owner)

    def own(self, who: str, owner: str) -> None:
        self.by_hand("set", id=self.known(who, "about"), properties={"hubspot_owner_id": owner})

    def give(self, who: str, owner: str) -> None:
        self.by_hand("set_task", id=self.known(who, "record_id"), properties={"hubspot_owner_id": owner})

    def take_up(self, who: str) -> None:
        self.by_hand("complete_task", id=self.known(who, "record_id"), status="IN_PROGRESS")

    def contact(self, who: str) -> None:
        self.by_hand("contacted", id=self.known(who, "about"))

    def state(self, who: str) -> dict[str, Any]:
        found = {t["id"]: t["properties"] for t in self.here.there[self.name]["tasks"]}[self.known(who, "record_id")]
        names = {"owner": "hubspot_owner_id", "priority": "hs_task_priority", "due": "hs_timestamp"}
        return {name: found.get(there) for name, there in names.items()}


class Pipedrive(Crm):
    name, word = "pipedrive", "activity"

    def high(self) -> Any:
        return load(self.here.runtime.warehouse, self.name)["activity_priority:high"]

    def hire(self, email: str) -> str:
        return str(self.by_hand("add_user", name=email, email=email, timezone="UTC")["id"])

    def dismiss(self, owner: str) -> None:
        self.by_hand("deactivate_user", user=int(owner))

    def own(self, who: str, owner: str) -> None:
        self.by_hand("set_person", person=int(self.known(who, "about")), owner_id=int(owner))

    def give(self, who: str, owner: str) -> None:
        self.by_hand("set_activity", activity=int(self.known(who, "record_id")), owner_id=int(owner))

    def take_up(self, who: str) -> None:
        note = f"{self._row(who)['note']}<p>On it</p>"
        self.by_hand("set_activity", activity=int(self.known(who, "record_id")), note=note)

    def contact(self, who: str) -> None:
        self.by_hand("log_mail", person=int(self.known(who, "about")), direction="outgoing")

    def state(self, who: str) -> dict[str, Any]:
        found = self._row(who)
        return {"owner": str(found["owner_id"]), "priority": found.get("priority"), "due": found["due_date"]}

    def _row(self, who: str) -> dict[str, Any]:
        there = {str(a["id"]): a for a in self.here.there[self.name]["activities"]}
        return dict(there[self.known(who, "record_id")])


CRMS: dict[str, Callable[[Town], Crm]] = {"hubspot": HubSpot, "pipedrive": Pipedrive}
