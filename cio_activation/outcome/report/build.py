"""Puts the report together, and writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cio_activation.activation.models import Activation
from cio_activation.errors import ConfigError
from cio_activation.outcome.report import deliveries, funnel, health, movement, states, worth
from cio_activation.outcome.report.page import Tile, page
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar

FILE = "report.html"
"""Its name in a home, if nobody asks for another one."""
LARGEST = 1_000_000
"""Bytes; a report is to be mailed."""
_SECTIONS = (
    worth.section, funnel.section, movement.audiences, movement.work, states.section, deliveries.writes,
    deliveries.found, deliveries.audited, deliveries.refused, health.section,
)  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A report that was written."""

    path: Path
    bytes: int
    as_of: datetime


def write(runtime: Runtime, path: Path | None = None) -> Written:
    """Write the report of what the warehouse holds to ``path``, by default into the home. Nobody reads half of it."""
    with runtime.warehouse.read() as con:
        as_of = newest(con)
        text = build(con, runtime.activation, as_of).encode()
    if len(text) > LARGEST:
        raise ConfigError(f"the report is {len(text):,} bytes, more than {LARGEST:,}; please report it")
    target = path or runtime.settings.activation_home / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    beside.write_bytes(text)
    beside.replace(target)
    return Written(target, len(text), as_of)


def newest(con: Connection) -> datetime:
    """Return the end of the newest window of either lane; ConfigError if there is none."""
    found = scalar(con, "SELECT max(window_end) FROM meta.published")
    if not isinstance(found, datetime):
        raise ConfigError("nothing was decided yet; materialize a window first")
    return found


def build(con: Connection, activation: Activation, as_of: datetime) -> str:
    """Return the report as HTML."""
    sections = [section(con, activation, as_of) for section in _SECTIONS]
    return page(
        "What Customer.io decided, and what came of it",
        f"As of {as_of:%Y-%m-%d %H:%M} UTC, the end of the newest window. Counts only, nobody by name.",
        _tiles(con, activation),
        sections,
    )


def _tiles(con: Connection, activation: Activation) -> Sequence[Tile]:
    people, inside, open_actions, done, delivered, rejected = con.execute(
        """SELECT (SELECT count(*) FROM identity.persons),
            (SELECT count(DISTINCT cio_id) FROM audience.memberships
             WHERE exited_at IS NULL AND NOT coalesce(ghost, FALSE)),
            (SELECT count(*) FROM delivery.actions WHERE ended_at IS NULL),
            (SELECT count(*) FROM delivery.actions WHERE status = 'done'),
            (SELECT coalesce(sum(delivered), 0)::BIGINT FROM delivery.plans),
            (SELECT count(*) FROM delivery.rejected)"""
    ).fetchall()[0]
    return [
        Tile(f"{people:,}", "people"),
        Tile(f"{inside:,}", f"in one of {len(activation.audiences)} audiences"),
        Tile(f"{open_actions:,}", "actions open"),
        Tile(f"{done:,}", "actions done"),
        Tile(f"{delivered:,}", "writes delivered"),
        Tile(f"{rejected:,}", "rejects standing"),
    ]
