"""The humans of a CRM: they complete, snooze, reassign, delete, take up or ignore their open items, in working hours.

What an agent does with an item, and when, depends on nothing but the seed, the item and its owner: the same
requests at the same times of the vendors' clock lead to the same deeds. They act when told (``work``), each deed at
its own instant, as if the clock stood there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, time
from hashlib import sha256
from typing import Any, Protocol

from cio_activation.sandbox.server.working_time import WorkingTime

DEEDS = ("complete", "snooze", "reassign", "delete", "take_up", "ignore")
DAY_S = 86_400


@dataclass(frozen=True)
class Item:
    """One open task or activity of somebody."""

    key: str
    owner: str
    created: float


class Desk(Protocol):
    """What agents need of a vendor. The methods below are called with the clock at the deed's instant."""

    def open_items(self) -> Iterable[Item]:
        """Return the open items that have an owner."""

    def complete(self, key: str) -> None:
        """Tick an item off."""

    def snooze(self, key: str, due: float) -> None:
        """Move an item's due time."""

    def reassign(self, key: str, owner: str) -> None:
        """Give an item to somebody else."""

    def delete(self, key: str) -> None:
        """Delete an item."""

    def take_up(self, key: str) -> None:
        """Begin with an item without ending it."""

    def outcome(self, key: str, field: str, value: str, dated: str | None) -> None:
        """Write what came of it on the people whom the item is about; ``dated``: the field of the day beside it."""


@dataclass(frozen=True)
class Agent:
    """One human and their habits. ``does``: shares of the deeds; ``delay_h``: working hours until one is done."""

    owner: str
    hours: WorkingTime
    does: Mapping[str, float]
    delay_h: tuple[float, float] = (0.5, 12.0)
    snooze_days: tuple[int, int] = (1, 5)
    outcomes: Mapping[str, float] = field(default_factory=dict)
    outcome_share: float = 1.0
    """Of the completed items, so many get an outcome."""


@dataclass
class _Turn:
    """Where an item is: the how manieth deed comes next, and since when its agent could do it."""

    number: int
    since: float
    taken_up: bool = False


@dataclass(frozen=True)
class Deed:
    """What an agent did."""

    at: float
    agent: str
    item: str
    did: str
    detail: str | None = None


class Agents:
    """All agents of one vendor. ``pinned`` sets the vendors' clock to an instant for a while."""

    def __init__(self, vendor: str, desk: Desk, pinned: Callable[[float], Any]) -> None:
        self._vendor, self._desk, self._pinned = vendor, desk, pinned
        self.deeds: list[Deed] = []
        self._agents: dict[str, Agent] = {}
        self._turns: dict[str, _Turn] = {}
        self._seed = 0
        self._outcome: tuple[str, str | None] | None = None
        self._worked_until = float("-inf")

    def hire(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Make ``agents`` of the request the only ones, with a ``seed`` and the fields ``outcome``, ``outcome_at``."""
        hired = [_agent(one) for one in given["agents"]]
        self._agents = {agent.owner: agent for agent in hired}
        self._seed = int(given.get("seed", 0))
        self._outcome = (str(given["outcome"]), given.get("outcome_at")) if given.get("outcome") else None
        return {"agents": sorted(self._agents)}

    def work(self, until: float) -> list[dict[str, Any]]:
        """Let everybody work up to ``until``; return what was done, in order."""
        first = len(self.deeds)
        waiting: list[tuple[float, str, str, str]] = []
        for item in self._desk.open_items():
            self._plan(waiting, item, until)
        while waiting:
            at, key, owner, did = heapq.heappop(waiting)
            with self._pinned(at):
                following = self._do(at, Item(key, owner, at), did)
            if following is not None:
                self._plan(waiting, following, until)
        self._worked_until = max(self._worked_until, until)
        return [asdict(deed) for deed in self.deeds[first:]]

    def _plan(self, waiting: list[tuple[float, str, str, str]], item: Item, until: float) -> None:
        agent = self._agents.get(item.owner)
        if agent is None:
            return
        turn = self._turns.setdefault(item.key, _Turn(0, item.created))
        did = _pick(agent.does, self._chance(item.key, turn.number, "deed"))
        if did == "ignore" or (did == "take_up" and turn.taken_up):
            return
        low, high = agent.delay_h
        delay = low + (high - low) * self._chance(item.key, turn.number, "delay")
        at = agent.hours.after(turn.since, delay)
        if at is not None and at < self._worked_until:
            # Theirs only now: another had it when this hour passed.
            at = agent.hours.after(self._worked_until, 0.0)
        if at is not None and at <= until:
            heapq.heappush(waiting, (at, item.key, item.owner, did))

    def _do(self, at: float, item: Item, did: str) -> Item | None:
        """Do one deed; return the item if it is still open."""
        agent, turn, desk = self._agents[item.owner], self._turns[item.key], self._desk
        detail, owner, since = None, item.owner, at
        if did == "complete":
            desk.complete(item.key)
            detail = self._say(agent, item.key, turn.number)
        elif did == "delete":
            desk.delete(item.key)
        elif did == "take_up":
            desk.take_up(item.key)
        elif did == "snooze":
            low, high = agent.snooze_days
            days = low + int((high - low + 1) * self._chance(item.key, turn.number, "snooze"))
            since = agent.hours.after(at + days * DAY_S, 0.0) or at + days * DAY_S
            desk.snooze(item.key, since)
            detail = f"{days} d"
        else:
            others = sorted(set(self._agents) - {item.owner})
            if not others:
                return None
            owner = detail = others[int(len(others) * self._chance(item.key, turn.number, "heir"))]
            desk.reassign(item.key, owner)
        self.deeds.append(Deed(at, item.owner, item.key, did, detail))
        self._turns[item.key] = _Turn(turn.number + 1, since, turn.taken_up or did == "take_up")
        return None if did in ("complete", "delete") else Item(item.key, owner, at)

    def _say(self, agent: Agent, key: str, number: int) -> str | None:
        if self._outcome is None or not agent.outcomes or self._chance(key, number, "tells") >= agent.outcome_share:
            return None
        value = _pick(agent.outcomes, self._chance(key, number, "outcome"))
        self._desk.outcome(key, self._outcome[0], value, self._outcome[1])
        return value

    def _chance(self, key: str, number: int, what: str) -> float:
        text = f"{self._seed}|{self._vendor}|{key}|{number}|{what}"
        return int.from_bytes(sha256(text.encode()).digest()[:7], "big") / 2**56


def _pick(shares: Mapping[str, float], chance: float) -> str:
    """Return the entry that a number in [0, 1) falls on."""
    reached = chance * sum(shares.values())
    for name, share in shares.items():
        if reached < share:
            return name
        reached -= share
    return list(shares)[-1]


def _agent(given: Mapping[str, Any]) -> Agent:
    """Return an agent from JSON; ValueError for a deed or a key that there is not."""
    known = {
        "owner",
        "zone",
        "days",
        "hours",
        "holidays",
        "does",
        "delay_h",
        "snooze_days",
        "outcomes",
        "outcome_share",
    }
    if unknown := set(given) - known:
        raise ValueError(f"an agent has no {', '.join(sorted(unknown))}")
    does = dict(given.get("does") or {"complete": 1.0})
    if unknown := set(does) - set(DEEDS):
        raise ValueError(f"no deed is called {', '.join(sorted(unknown))}; there are {', '.join(DEEDS)}")
    opens, closes = (time.fromisoformat(text) for text in given.get("hours", ("09:00", "17:00")))
    return Agent(
        owner=str(given["owner"]),
        hours=WorkingTime(
            zone=str(given.get("zone", "America/New_York")),
            days=tuple(given.get("days", (0, 1, 2, 3, 4))),
            opens=opens,
            closes=closes,
            holidays=frozenset(date.fromisoformat(day) for day in given.get("holidays", ())),
        ),
        does=does,
        delay_h=tuple(given.get("delay_h", (0.5, 12.0))),
        snooze_days=tuple(given.get("snooze_days", (1, 5))),
        outcomes=dict(given.get("outcomes") or {}),
        outcome_share=float(given.get("outcome_share", 1.0)),
    )
