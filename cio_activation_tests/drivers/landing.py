"""People files written by hand and landed, over an activation with attributes of every type."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, AttributeType, Audience, Profile
from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.files import RawFile
from cio_activation.customerio.people import PeoplePull, land
from cio_activation.customerio.people_table import sources
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers import builders

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


def small_activation(*audiences: Audience, attributes: Mapping[str, AttributeType] = TYPES) -> Activation:
    """Return an activation that only lands: attributes of every type, a phone and a first name, no destination."""
    profile = Profile(phone="phone", first_name="first_name", last_name=None)
    return builders.activation(audiences=audiences, attributes=attributes, profile=profile)


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
