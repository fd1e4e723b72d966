"""Starts the stand-ins over a world: the default order history, or one the user brings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cio_activation.cli.output import notes

if TYPE_CHECKING:
    from cio_activation.sandbox.server.running import RunningSandbox
    from cio_activation.sandbox.world.orders import Orders


MADE_UP = 1_000
"""People of the made-up world that stands in where the order histories are not installed."""


def start_sandbox(
    *, orders: Path | None, people: int | None, port: int = 0, ends_at: float | None = None, **options: Any
) -> RunningSandbox:
    """Start the three stand-ins over an order history whose newest order lies just before now, or ``ends_at``.

    ``people`` keeps only that many. ValueError or FileNotFoundError if the history cannot be read.
    """
    from cio_activation.sandbox.build import build_sandbox
    from cio_activation.sandbox.world.world import World
    from cio_activation.transport.progress import working

    end = time.time() if ends_at is None else ends_at
    with working("building the world"):
        return build_sandbox(World(_history(orders, end), people_limit=people, ends_at=end), port=port, **options)


def _history(orders: Path | None, ends_at: float) -> Orders:
    """Return the histories that are asked for, else the default ones, else made-up ones, which is said."""
    from cio_activation.sandbox.world import orders as histories

    if orders:
        return histories.load_parquet(orders, ends_at=ends_at)
    try:
        return histories.load_default(ends_at=ends_at)
    except ModuleNotFoundError:
        notes.print(
            f"The world is {MADE_UP:,} made-up people; pip install 'cio-activation\\[demo]' brings order histories of "
            "2,469 households, --orders FILE.parquet your own."
        )
        return histories.generate(MADE_UP, ends_at=ends_at)


def recorded(path: Path) -> dict[str, Any]:
    """Return the option that keeps in ``path`` what changes the stand-ins, and does first what was kept there."""
    from cio_activation.sandbox.server.recording import Recording

    return {"recording": Recording(path)}
