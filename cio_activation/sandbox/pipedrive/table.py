"""Records by id with an index ordered by update, and v2's keyset paging over them."""

from __future__ import annotations

import base64
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

import orjson

from cio_activation.sandbox.pipedrive.envelope import PAGE_DEFAULT, PAGE_MAX, Query

_SMALL = 5_000
"""Below this many rows in the asked time window, sorting them beats walking all ids."""


class Record(Protocol):
    """What a table needs to know of a row; times are whole epoch seconds, UTC."""

    id: int
    add_time: int
    update_time: int
    is_deleted: bool


R = TypeVar("R", bound=Record)
Key = tuple[Any, int]


class Table(Generic[R]):
    """All rows by id; the living ones also by id order and by (update_time, id)."""

    def __init__(self) -> None:
        self.rows: dict[int, R] = {}
        self._ids: list[int] = []
        self._moved: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._ids)

    def living(self) -> Iterator[R]:
        """Yield the rows that are not deleted, by id."""
        return (self.rows[i] for i in self._ids)

    def get(self, row_id: int) -> R | None:
        """Return a row that is not deleted."""
        row = self.rows.get(row_id)
        return None if row is None or row.is_deleted else row

    def load(self, rows: Iterable[R]) -> None:
        """Add many rows at once."""
        for row in rows:
            self.rows[row.id] = row
        self._ids = sorted(i for i, row in self.rows.items() if not row.is_deleted)
        self._moved = sorted((self.rows[i].update_time, i) for i in self._ids)

    def add(self, row: R) -> None:
        """Add one row."""
        self.rows[row.id] = row
        insort(self._ids, row.id)
        insort(self._moved, (row.update_time, row.id))

    def touch(self, row: R, now: float) -> None:
        """Move a row's ``update_time`` to ``now``."""
        if not row.is_deleted:
            self._unlist(row)
        row.update_time = int(now)
        if not row.is_deleted:
            insort(self._moved, (row.update_time, row.id))

    def remove(self, row: R, now: float) -> None:
        """Mark a row as deleted: it leaves every list, and stays under its id."""
        self._unlist(row)
        del self._ids[bisect_left(self._ids, row.id)]
        row.is_deleted, row.update_time = True, int(now)

    def _unlist(self, row: R) -> None:
        del self._moved[bisect_left(self._moved, (row.update_time, row.id))]

    def page(
        self,
        query: Query,
        *,
        keep: Callable[[R], bool] | None = None,
        only: Iterable[int] | None = None,
        sorts: tuple[str, ...] = ("id", "update_time", "add_time"),
    ) -> tuple[list[R], str | None]:
        """Return one page of a v2 list and its ``next_cursor``; reads and closes the query's parameters.

        ``only`` narrows to these ids (deleted rows among them are the caller's wish). ``updated_since`` is
        inclusive, ``updated_until`` exclusive.
        """
        limit = query.integer("limit", PAGE_DEFAULT, 1, PAGE_MAX) or PAGE_DEFAULT
        sort = query.choice("sort_by", sorts, "id")
        descending = query.choice("sort_direction", ("asc", "desc"), "asc") == "desc"
        since, until = query.instant("updated_since"), query.instant("updated_until")
        marker = _marker(query, sort, descending)
        query.done()
        rows = self._walk(sort, descending, since, until, marker, only)
        if keep is not None:
            rows = filter(keep, rows)
        found = list(islice(rows, limit + 1))
        following = found[limit] if len(found) > limit else None
        return found[:limit], _cursor(sort, descending, _key(following, sort)) if following else None

    def _walk(
        self,
        sort: str,
        descending: bool,
        since: float | None,
        until: float | None,
        marker: Key | None,
        only: Iterable[int] | None,
    ) -> Iterator[R]:
        low = 0 if since is None else bisect_left(self._moved, (since, -1))
        high = len(self._moved) if until is None else bisect_left(self._moved, (until, -1))
        timed = since is not None or until is not None
        if only is None and sort == "update_time":
            return self._by_update(low, high, descending, marker)
        if only is None and sort == "id" and not (timed and high - low <= _SMALL):
            return self._by_id(since, until, descending, marker)
        ids = (i for _, i in self._moved[low:high]) if only is None else iter(only)
        picked = [r for i in ids if (r := self.rows.get(i)) is not None and _within(r, since, until)]
        picked.sort(key=lambda r: _key(r, sort), reverse=descending)
        if marker is None:
            return iter(picked)
        return (r for r in picked if (_key(r, sort) <= marker if descending else _key(r, sort) >= marker))

    def _by_update(self, low: int, high: int, descending: bool, marker: Key | None) -> Iterator[R]:
        if marker is not None and descending:
            high = min(high, bisect_left(self._moved, (marker[0], marker[1] + 1)))
        elif marker is not None:
            low = max(low, bisect_left(self._moved, marker))
        span = range(low, high)
        return (self.rows[self._moved[i][1]] for i in (reversed(span) if descending else span))

    def _by_id(self, since: float | None, until: float | None, descending: bool, marker: Key | None) -> Iterator[R]:
        low, high = 0, len(self._ids)
        if marker is not None and descending:
            high = bisect_left(self._ids, marker[1] + 1)
        elif marker is not None:
            low = bisect_left(self._ids, marker[1])
        span = range(low, high)
        rows = (self.rows[self._ids[i]] for i in (reversed(span) if descending else span))
        return (r for r in rows if _within(r, since, until))


def _within(row: Record, since: float | None, until: float | None) -> bool:
    return (since is None or row.update_time >= since) and (until is None or row.update_time < until)


def _key(row: Record, sort: str) -> Key:
    value = getattr(row, sort)
    return ("" if value is None else value), row.id


def _cursor(sort: str, descending: bool, key: Key) -> str:
    direction = "desc" if descending else "asc"
    token = {"field": sort, "fieldValue": key[0], "sortDirection": direction, "id": key[1]}
    return base64.urlsafe_b64encode(orjson.dumps(token)).decode().rstrip("=")


def _marker(query: Query, sort: str, descending: bool) -> Key | None:
    """Return the key of the first item on the page that a cursor points at."""
    raw = query.text("cursor")
    if raw is None:
        return None
    token = _decoded(raw)
    right = token.get("field") == sort and token.get("sortDirection") == ("desc" if descending else "asc")
    value, row_id = token.get("fieldValue"), token.get("id")
    if right and isinstance(row_id, int) and isinstance(value, str if sort == "due_date" else int):
        return value, row_id
    query.problem("cursor: is not valid for this list")
    return None


def _decoded(raw: str) -> dict[str, Any]:
    try:
        token = orjson.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))
    except ValueError:
        # Neither base64 nor JSON: not a cursor of ours, told to the caller as such.
        return {}
    return token if isinstance(token, dict) else {}
