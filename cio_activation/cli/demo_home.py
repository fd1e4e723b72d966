"""What a demo's home remembers of itself, so that it can be gone on with: its world, its activation, its stand-ins."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cio_activation.errors import ConfigError

FILE = "demo.json"
STAND_INS = "stand-ins.jsonl"


@dataclass(frozen=True, kw_only=True)
class DemoHome:
    """One home. The same world is made again from the same three; what changed the stand-ins is kept beside it."""

    orders: str | None
    people: int | None
    ends_at: float
    """When the world's history ends, seconds since the epoch: when the demo began."""
    activation: str | None

    @classmethod
    def new(cls, orders: Path | None, people: int | None, activation: Path | None) -> DemoHome:
        """Return what a demo that begins now remembers."""
        named = [str(path.resolve()) if path is not None else None for path in (orders, activation)]
        return cls(orders=named[0], people=people, ends_at=time.time(), activation=named[1])

    @classmethod
    def of(cls, folder: Path) -> DemoHome:
        """Return what the home in ``folder`` remembers; ConfigError if no demo can go on there."""
        if not (folder / FILE).is_file():
            raise ConfigError(
                f"{folder} holds no demo to go on with; name the --home of one, or begin one there if it is empty"
            )
        return cls(**json.loads((folder / FILE).read_text(encoding="utf-8")))

    def write(self, folder: Path) -> None:
        """Keep it."""
        (folder / FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")


def require_free(folder: Path) -> None:
    """Raise ConfigError, saying what is there, if ``folder`` holds a home already."""
    if not is_home(folder):
        return
    if (folder / FILE).is_file():
        raise ConfigError(
            f"{folder} holds a demo already: {told(folder)}. `--resume` goes on with it, `--ui` opens it as it is; for "
            "a new one choose another --home, or remove that folder"
        )
    raise ConfigError(
        f"{folder} already holds a warehouse that no demo left there, or one of an earlier release; its people and "
        "links belong elsewhere. Choose another --home, or remove that folder"
    )


def is_home(folder: Path) -> bool:
    """Tell whether something lives in ``folder``."""
    return (folder / FILE).exists() or (folder / "warehouse.duckdb").exists()


def told(folder: Path) -> str:
    """Return in words what a demo's home holds."""
    home, keys = DemoHome.of(folder), daily_windows(folder)
    began = f"begun {datetime.fromtimestamp(home.ends_at, UTC):%Y-%m-%d %H:%M} UTC"
    days = f"{len(keys)} days, the last of them {keys[-1]}" if keys else "no day that was finished"
    world = f"orders of {home.orders}" if home.orders else "the default world"
    size = f", {home.people:,} people of it" if home.people else ""
    return f"{began}, {days}; {world}{size}"


def daily_windows(folder: Path) -> list[str]:
    """Return the keys of the daily windows that were delivered there, oldest first."""
    from cio_activation.warehouse.sessions import Warehouse
    from cio_activation.warehouse.sql import exists

    path = folder / "warehouse.duckdb"
    if not path.exists() or not path.stat().st_size:
        return []
    with Warehouse(path).read() as con:
        if not exists(con, "delivery.plans"):
            return []
        rows: list[Any] = con.execute(
            "SELECT DISTINCT window_key FROM delivery.plans WHERE lane = 'daily' ORDER BY 1"
        ).fetchall()
    return [str(key) for (key,) in rows]
