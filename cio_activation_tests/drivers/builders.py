"""Builders every test shares: small activations, runtimes, windows, state tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import (
    Activation,
    Attribute,
    AttributeType,
    Guards,
    Lane,
    Limits,
    Property,
    PropertyType,
    Tiers,
    Workspace,
)
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers.tables import noting

START = datetime(2026, 11, 1, tzinfo=UTC)


def window(day: int = 1, lane: Lane = Lane.DAILY) -> Window:
    """Return the ``day``-th daily window of the tests' calendar."""
    start = START + timedelta(days=day - 1)
    return Window(lane, start.strftime("%Y-%m-%d"), start, start + timedelta(days=1))


def tier(name: str, *deliver: str, lane: Lane = Lane.DAILY) -> Property:
    """Return an enumerated property with the labels low and high."""
    return Property(
        name=name,
        label=name.title(),
        description=f"{name} in tiers",
        owner="retention@example.com",
        lane=lane,
        rule=Tiers(attribute="amount", edges=(10.0,), labels=("low", "high", "top", "bad")),
        type=PropertyType.ENUM,
        labels=("low", "high", "top", "bad"),
        deliver=deliver,
    )


def activation(*properties: Property, destinations: Mapping[str, Any], max_operations: int = 200_000) -> Activation:
    """Return an activation with one attribute and the given properties."""
    return Activation(
        workspace=Workspace(),
        attributes={"amount": Attribute(name="amount", source="amount", type=AttributeType.MONEY)},
        properties={p.name: p for p in properties},
        audiences={},
        limits=Limits(guards=Guards(max_operations=max_operations)),
        destinations=dict(destinations),
    )


def runtime(home: Path, model: Activation, **settings: Any) -> Runtime:
    """Return a runtime over a fresh home."""
    return Runtime.build(Settings(activation_home=home, _env_file=None, **settings), model)  # type: ignore[call-arg]


def write_state(run: Runtime, lane: Lane, destination: str, rows: Mapping[str, Mapping[str, str | None]]) -> None:
    """Make ``state.<lane>_properties`` hold exactly ``rows``: person -> property -> value."""
    names = [p.name for p in run.activation.lane_properties(lane)]
    with run.warehouse.write() as con, noting(con, f"state.{lane}_properties"):
        columns = ", ".join(f'"{n}" VARCHAR' for n in names)
        con.execute(f"CREATE OR REPLACE TEMP TABLE given (cio_id VARCHAR, {columns})")
        for person, values in rows.items():
            con.execute(
                f"INSERT INTO given VALUES ({', '.join('?' * (len(names) + 1))})",
                [person, *(values.get(n) for n in names)],
            )
        listed = ", ".join(f'"{n}"' for n in names)
        con.execute(
            f"""CREATE OR REPLACE TABLE state.{lane}_properties AS
            SELECT *, hash({listed}) AS row_hash, hash({listed}) AS hash_{destination} FROM given"""
        )
