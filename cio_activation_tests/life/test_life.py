"""Two weeks of the simulation, in which the clocks change in Berlin and New York; ``report.py`` lives 120 days."""

from __future__ import annotations

import pytest

from cio_activation_tests.life.oracle import CHECKS
from cio_activation_tests.life.play import Life, live
from cio_activation_tests.life.world import AUTUMN

DAYS = 15


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    return live(tmp_path_factory.mktemp("life") / "home", DAYS, first=AUTUMN, actions=False)


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_wrong(life: Life, check: str) -> None:
    assert life.oracle.violations[check] == []
