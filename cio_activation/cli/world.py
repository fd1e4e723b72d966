"""Starts the stand-ins over a world: the default order history, or one the user brings."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cio_activation.sandbox.server.running import RunningSandbox


def start_sandbox(*, orders: Path | None, people: int | None, port: int = 0, **options: Any) -> RunningSandbox:
    """Start the three stand-ins over an order history whose newest order lies just before now.

    ``people`` keeps only that many. ValueError or FileNotFoundError if the history cannot be read.
    """
    from cio_activation.sandbox.build import build_sandbox
    from cio_activation.sandbox.world import orders as histories
    from cio_activation.sandbox.world.world import World

    now = time.time()
    history = histories.load_parquet(orders, ends_at=now) if orders else histories.load_default(ends_at=now)
    return build_sandbox(World(history, people_limit=people, ends_at=now), port=port, **options)
