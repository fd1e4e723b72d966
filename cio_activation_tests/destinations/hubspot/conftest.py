from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., HubSpotBench]]:
    """Make worlds that are stopped when the test ends."""
    made: list[HubSpotBench] = []

    def make(*args: Any, **options: Any) -> HubSpotBench:
        made.append(hubspot_bench(tmp_path / f"home{len(made)}", *args, **options))
        return made[-1]

    yield make
    for world in made:
        world.stop()
