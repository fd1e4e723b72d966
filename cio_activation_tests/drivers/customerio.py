"""Builders of this room's tests: an activation of every attribute type, and people files written by hand."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Attribute, AttributeType, Audience, Lane, Profile, Workspace
from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.people import PeoplePull, land
from cio_activation.customerio.people_table import sources
from cio_activation.runtime import Runtime

TYPES = {
    "created_at": AttributeType.TIMESTAMP,
    "last_order_at": AttributeType.TIMESTAMP,
    "birthday": AttributeType.DATE,
    "orders_count": AttributeType.INTEGER,
    "cart_value": AttributeType.MONEY,
    "score": AttributeType.NUMBER,
    "unsubscribed": AttributeType.BOOLEAN,
    "last_category": AttributeType.TEXT,
}


def audience(name: str, segment: int, lane: Lane) -> Audience:
    return Audience(
        name=name, label=name, description=name, owner="x@example.com", segment=segment, lane=lane, deliver={}
    )


def small_activation(*audiences: Audience, attributes: Mapping[str, AttributeType] = TYPES) -> Activation:
    return Activation(
        workspace=Workspace(),
        profile=Profile(phone="phone", first_name="first_name", last_name=None),
        attributes={n: Attribute(name=n, source=n, type=t) for n, t in attributes.items()},
        properties={},
        audiences={a.name: a for a in audiences},
        destinations={},
    )


def write_people(
    run: Runtime, window: Window, people: Iterable[Mapping[str, str]], *, total: int | None = None, tail: str = ""
) -> RawFile:
    """Write a people file as an export would be, enter it as the window's kept one, and return it."""
    rows = list(people)
    names = [*reversed(sources(run.activation)), "extra", "Extra"]
    path = run.raw_folder(window.lane.value, window.key) / "people.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(names)
        writer.writerows([row.get(name, "") for name in names] for row in rows)
        out.write(tail)
    return enter(run, window, path, len(rows) if total is None else total)


def enter(run: Runtime, window: Window, path: Path, total: int, at: datetime | None = None) -> RawFile:
    observed = at or window.end.astimezone(UTC).replace(tzinfo=None)
    file = RawFile("people", path, files.sha256_of(path), total, observed)
    with run.warehouse.write() as con:
        files.retain(con, run.settings.activation_home, window, file)
    return file


def landed(run: Runtime, window: Window, people: Iterable[Mapping[str, str]], **options: Any) -> PeoplePull:
    return land(run, window, write_people(run, window, people, **options))


def query(run: Runtime, sql: str) -> list[tuple[Any, ...]]:
    with run.warehouse.read() as con:
        return con.execute(sql).fetchall()
