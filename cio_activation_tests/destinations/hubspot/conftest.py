from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation_tests.drivers.hubspot import World, make_world


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Make worlds that are stopped when the test ends."""
    made: list[World] = []

    def make(*args: Any, **options: Any) -> World:
        made.append(make_world(tmp_path / f"home{len(made)}", *args, **options))
        return made[-1]

    yield make
    for world in made:
        world.running.stop()
