"""A warehouse for audience tests: segments and people written directly, state derived for real."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Audience, ExitReason, Lane
from cio_activation.audience.members import AudienceResult, update
from cio_activation.state.derive import derive
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.state import StateBench, activation, window
from cio_activation_tests.drivers.tables import noting

NOW = datetime(2026, 11, 22, 5)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def audience(name: str = "vip", **changes: Any) -> Audience:
    """Return the audience of these tests: real-time, with a gate, left by leaving the segment and by buying."""
    values: dict[str, Any] = {
        "segment": 12,
        "lane": Lane.REALTIME,
        "gate": "spent >= 100",
        "exit_on": (ExitReason.LEFT_SEGMENT, ExitReason.PURCHASE),
    }
    return builders.audience(name, **(values | changes))


class Stage:
    """One world and its clock; each ``at`` writes the world as it is then and updates the audiences."""

    def __init__(self, home: Path, *audiences: Audience) -> None:
        self.world = StateBench.create(home, activation(audiences=audiences))

    def declare(self, *audiences: Audience) -> None:
        self.world = self.world.using(activation(audiences=audiences))

    def segments(self, members: Iterable[str], segment: int = 12, lane: Lane = Lane.REALTIME) -> None:
        with self.world.runtime.warehouse.write() as con, noting(con, "raw.memberships"):
            con.execute("DELETE FROM raw.memberships WHERE segment_id = ? AND lane = ?", [segment, lane.value])
            for member in members:
                con.execute("INSERT INTO raw.memberships VALUES (?, ?, ?, ?, 'w')", [lane.value, segment, member, NOW])

    def at(
        self,
        as_of: datetime,
        people: Mapping[str, Mapping[str, Any]] | None = None,
        members: Iterable[str] | None = None,
        lane: Lane = Lane.REALTIME,
    ) -> dict[str, AudienceResult]:
        if people is not None:
            self.world.people(people)
        if members is not None:
            self.segments(members, lane=lane)
        for each in Lane:
            derive(self.world.runtime, window(as_of, each))
        return update(self.world.runtime, window(as_of, lane))

    def happened(
        self,
        cio_id: str | None,
        name: str,
        at: datetime,
        *,
        event: str | None = None,
        known_at: datetime | None = None,
        machine: bool = False,
        **body: Any,
    ) -> str:
        """Land a moment; ``known_at`` is the as-of of the window that first knew of it. Returns the event's id."""
        event = event or f"{name}-{cio_id}-{at:%d%H%M%S}"
        values = [event, name, cio_id, at, machine, json.dumps({"event": name, **body}), at]
        named_in = window(known_at, Lane.REALTIME).key if known_at is not None else None
        with self.world.runtime.warehouse.write() as con, noting(con, "raw.moments"):
            con.execute(
                """INSERT INTO raw.moments BY NAME SELECT 'journey' AS source, ? AS event_id, ? AS kind, ? AS cio_id,
                ? AS occurred_at, ? AS machine, ? AS body, ? AS received_at, ? AS named_in""",
                [*values, named_in],
            )
        return event

    def intervals(self) -> list[tuple[Any, ...]]:
        return self.world.rows(
            """SELECT cio_id, version, entered_at, exited_at, exit_reason FROM audience.memberships
            ORDER BY audience, cio_id, entered_at, exited_at NULLS LAST"""
        )

    def stages(self) -> dict[str, str]:
        return dict(self.world.rows("SELECT cio_id, stage FROM audience.eligibility ORDER BY cio_id"))
