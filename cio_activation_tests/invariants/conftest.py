from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.forms import form

settings.register_profile(
    "towns",
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # an example takes seconds: shrinking would take hours
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            # These carry whole lanes, many times over: on a busy machine that takes longer than any other test may.
            item.add_marker(pytest.mark.timeout(form(1200, 14_400)))


MakeTown = Callable[..., Town]


@pytest.fixture
def make_town(tmp_path: Path) -> Iterator[MakeTown]:
    """Make towns; only the newest one is alive, because each keeps its warehouse open."""
    stack = ExitStack()
    made = 0

    def make(**options: Any) -> Town:
        nonlocal made
        stack.close()
        made += 1
        return stack.enter_context(town(tmp_path / f"home{made}", **options))

    yield make
    stack.close()
