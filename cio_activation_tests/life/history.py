"""What the judge remembers of every task and activity, from one look at the stand-ins to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cio_activation_tests.life.seen import Item, Key, Seen


@dataclass
class Record:
    """One task or activity through its life."""

    key: Key
    ours: bool
    first: Item
    """As it was when it was first seen."""
    now: Item
    window_end: float
    """Of the run after which it was first seen."""
    lane: str
    began: float
    ended_at: float | None = None
    ended_by_human: bool = False
    taken_up: bool = False
    said: str | None = None
    """What a human wrote of it, once it was done."""
    moved_to: float | None = None
    """Until when a human moved what is due."""

    @property
    def open(self) -> bool:
        """Whether it is neither done nor gone."""
        return self.ended_at is None

    @property
    def audience(self) -> str | None:
        """Whose action it is."""
        return self.first.audience

    @property
    def who(self) -> str | None:
        """Whom it is about, also after that person has gone."""
        return self.first.person or self.now.person

    def was_open(self, at: float) -> bool:
        """Return whether it was there and not ended at an instant."""
        return self.first.created <= at and (self.ended_at is None or self.ended_at > at)


@dataclass
class History:
    """All records by place and id, and who was shown on lists and by flags since when."""

    records: dict[Key, Record] = field(default_factory=dict)
    shown: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """(place, audience, person) -> end of the window since whose run the person is shown without a break."""
    ever_shown: set[tuple[str, str]] = field(default_factory=set)
    """(audience, person)."""
    left: dict[tuple[str, str, str], float] = field(default_factory=dict)
    """(place, audience, person) -> end of the window after whose run the person was shown no more."""

    def take(self, seen: Seen) -> tuple[list[Record], set[tuple[str, str, str]]]:
        """Take one look in; return the actions of ours, and the appearances on lists and flags, that are new."""
        new = [record for record in self._items(seen) if record.ours]
        self._gone(seen)
        shown = {(place, name, who) for (place, name), people in seen.shown.items() for who in people}
        fresh = shown - set(self.shown)
        for key in set(self.shown) - shown:
            self.left[key] = seen.window_end
        self.shown = {key: self.shown.get(key, seen.window_end) for key in shown}
        self.ever_shown |= {(name, who) for _, name, who in fresh}
        return new, fresh

    def ours(self) -> Iterator[Record]:
        """Return our actions."""
        return (record for record in self.records.values() if record.ours)

    def _items(self, seen: Seen) -> Iterator[Record]:
        for key, item in seen.items.items():
            known = self.records.get(key)
            if known is not None:
                self._follow(known, item, seen)
                continue
            # Its mark alone would make it ours too, should a request that made it not have been answered.
            record = Record(key, key in seen.created or item.marked, item, item, seen.window_end, seen.lane, seen.began)
            self.records[key] = record
            if item.status in ("done", "deleted"):
                self._end(record, item.created, seen)
            yield record

    def _follow(self, record: Record, item: Item, seen: Seen) -> None:
        before, record.now = record.now, item
        if record.first.person is None and item.person is not None:
            record.first = replace(record.first, person=item.person)
        deeds = [deed for deed in seen.deeds if (deed.place, deed.item) == record.key]
        record.taken_up |= item.status == "taken_up" or any(deed.did == "take_up" for deed in deeds)
        if item.due != before.due and (any(d.did == "snooze" for d in deeds) or record.key not in seen.written):
            record.moved_to = item.due
        if item.status in ("done", "deleted") and record.open:
            self._end(record, seen.at, seen)

    def _gone(self, seen: Seen) -> None:
        for key, record in self.records.items():
            if record.open and key not in seen.items:
                self._end(record, seen.at, seen)

    def _end(self, record: Record, at: float, seen: Seen) -> None:
        ends = [
            deed.at
            for deed in seen.deeds
            if (deed.place, deed.item) == record.key and deed.did in ("complete", "delete")
        ]
        record.ended_by_human = bool(ends) or record.key not in seen.written | seen.created
        record.ended_at = ends[-1] if ends else at
        record.said = next((d.said for d in seen.deeds if (d.place, d.item) == record.key and d.said), None)
