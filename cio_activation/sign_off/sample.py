"""A sample of people, what we say of them beside what the CRMs hold: what the page shows, and what is signed.

    draw, look up ours (warehouse) -> read theirs (vendors, warehouse closed) -> lay side by side -> note the sample

The same window draws the same people, and the same content has the same id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cio_activation.activation.models import Lane, Property
from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog
from cio_activation.delivery.destination import Context, Destination
from cio_activation.delivery.outreach import OpenAction, Status
from cio_activation.delivery.read_back import ReadsBack
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.sign_off import drawing
from cio_activation.sign_off.comparing import Here, Person, side_by_side
from cio_activation.sign_off.drawing import DRAWN, Stratum
from cio_activation.sign_off.reading import Place, read
from cio_activation.transport import event_loop
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists, identifier
from cio_activation.warehouse.tables import ACTIONS, AUDIENCE_MEMBERSHIPS, LINKS, PERSONS, PLANS, SAMPLES


@dataclass(frozen=True, kw_only=True)
class Sample:
    """People, here and there side by side."""

    sample_id: str
    """Hash of everything else but ``calls``."""
    window_key: str
    window_end: datetime
    audiences: Mapping[str, int]
    """Audience -> version."""
    strata: Sequence[Stratum]
    people: Sequence[Person]
    places: Sequence[str]
    notes: Sequence[str]
    """What could not be compared, and why."""
    calls: int

    @property
    def differing(self) -> int:
        """How many people have at least one difference."""
        return sum(one.differs for one in self.people)


@dataclass
class _Ours:
    """What is known here of those who were drawn, and whom to ask where."""

    window: Window
    strata: list[Stratum]
    people: list[Here]
    contexts: dict[str, Context] = field(default_factory=dict)
    actions: dict[str, list[OpenAction]] = field(default_factory=dict)


def make(runtime: Runtime, destinations: Sequence[Destination], size: int) -> Sample:
    """Draw ``size`` people, read their records, and note the sample; writes nothing anywhere else.

    Raises ConfigError where nothing was delivered yet, and VendorError where a destination cannot be read: then
    nothing is noted.
    """
    asked = [d for d in destinations if d.name in runtime.activation.destinations and isinstance(d, ReadsBack)]
    with runtime.warehouse.read() as con:
        ours = _ours(con, runtime, asked, size)
    places = [event_loop.run(_read(runtime, destination, ours)) for destination in asked]
    people = [side_by_side(runtime.activation, one, ours.strata, places) for one in ours.people]
    found = Sample(
        sample_id="",
        window_key=ours.window.key,
        window_end=ours.window.as_of,
        audiences={a.name: a.version for a in runtime.activation.audiences.values()},
        strata=ours.strata,
        people=people,
        places=[place.name for place in places],
        notes=[f"{p.name}: {what}: {why}" for p in places for what, why in p.comparable.left_out.items()],
        calls=sum(place.calls for place in places),
    )
    found = dataclasses.replace(found, sample_id=_hash(found))
    with runtime.warehouse.write() as con:
        _note(con, found)
    return found


def _hash(sample: Sample) -> str:
    content = {name: value for name, value in dataclasses.asdict(sample).items() if name not in ("sample_id", "calls")}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _note(con: Connection, sample: Sample) -> None:
    con.execute(f"DELETE FROM {SAMPLES} WHERE sample_id = ?", [sample.sample_id])
    now = datetime.now(UTC).replace(tzinfo=None)
    con.execute(
        f"INSERT INTO {SAMPLES} VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [sample.sample_id, sample.window_key, sample.window_end, now, len(sample.people), sample.differing,
         json.dumps(dict(sample.audiences)), sample.calls],
    )  # fmt: skip


async def _read(runtime: Runtime, destination: Destination, ours: _Ours) -> Place:
    records = {one.records[destination.name]: one.cio_id for one in ours.people if destination.name in one.records}
    return await read(
        runtime, destination, ours.contexts[destination.name], records, ours.actions.get(destination.name, [])
    )


def _ours(con: Connection, runtime: Runtime, asked: Sequence[Destination], size: int) -> _Ours:
    activation, window = runtime.activation, _newest_window(con)
    strata = drawing.draw(con, activation, window.key, size)
    people = {
        str(cio_id): Here(cio_id=str(cio_id), email=email, external_id=external_id)
        for cio_id, email, external_id in con.execute(
            f"""SELECT p.cio_id, p.email, p.external_id FROM {PERSONS} AS p
            JOIN {DRAWN} AS d ON d.cio_id = p.cio_id ORDER BY d.place"""
        ).fetchall()
    }
    found = _Ours(window, strata, list(people.values()))
    for prop, rows in ((p, _values(con, p)) for p in activation.properties.values()):
        for cio_id, value in rows:
            people[cio_id].values[prop.name] = value
    for cio_id, audience, ghost in _drawn(con, AUDIENCE_MEMBERSHIPS, "audience, ghost", "t.exited_at IS NULL"):
        (people[cio_id].ghosts if ghost else people[cio_id].audiences).add(audience)
    for cio_id, destination, record_id, stamped in _drawn(con, LINKS, "destination, record_id, stamped"):
        if record_id is not None:
            people[cio_id].records[destination] = record_id
        if stamped:
            people[cio_id].stamped.add(destination)
    columns = "destination, audience, kind, record_id, entry_id, about, owner_id, due_at, shown, status"
    for cio_id, where, audience, kind, record_id, entry_id, about, owner_id, due_at, shown, status in _drawn(
        con, ACTIONS, columns, "t.ended_at IS NULL"
    ):
        action = OpenAction(kind, record_id, entry_id, about, owner_id, due_at, shown, Status(status))
        people[cio_id].actions.append((where, audience, action))
        found.actions.setdefault(where, []).append(action)
    found.contexts = {
        d.name: Context(runtime.settings, activation, window, catalog.read(con, d.name)) for d in asked
    }  # fmt: skip
    return found


def _drawn(con: Connection, table: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Return ``cio_id`` and ``columns`` of those rows of ``table`` that are of who was drawn, in one order."""
    listed = ", ".join(f"t.{column.strip()}" for column in columns.split(","))
    return con.execute(
        f"SELECT t.cio_id, {listed} FROM {table} AS t SEMI JOIN {DRAWN} AS d ON d.cio_id = t.cio_id "
        f"WHERE {where} ORDER BY ALL"
    ).fetchall()


def _values(con: Connection, prop: Property) -> list[tuple[str, str]]:
    table = f"state.{prop.lane}_properties"
    if not exists(con, table) or prop.name not in {row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()}:
        return []
    column = f"s.{identifier(prop.name)}"
    return con.execute(
        f"""SELECT s.cio_id, CAST({column} AS VARCHAR) FROM {table} AS s SEMI JOIN {DRAWN} AS d ON d.cio_id = s.cio_id
        WHERE {column} IS NOT NULL"""
    ).fetchall()


def _newest_window(con: Connection) -> Window:
    rows = con.execute(
        f"SELECT lane, window_key, window_end FROM {PLANS} ORDER BY lane = 'daily' DESC, window_end DESC LIMIT 1"
    ).fetchall()
    if not rows:
        raise ConfigError("nothing was delivered yet, so there is nothing to look at; materialize a window first")
    lane, key, end = rows[0]
    at = end.replace(tzinfo=UTC)
    return Window(Lane(lane), str(key), at, at)
