from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.customerio import workspace
from cio_activation_tests.drivers.stand_ins.customerio import CustomerioStandIn
from cio_activation_tests.drivers.warm import warm_warehouses
from cio_activation_tests.drivers.write_back import WriteBackBench, model


@pytest.fixture(scope="session")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home in which nothing happened yet, to be copied: migrating each would be half of the time."""
    home = tmp_path_factory.mktemp("empty") / "home"
    builders.runtime(home, model())
    return home


@pytest.fixture(scope="module")
def stand_in() -> Iterator[CustomerioStandIn]:
    """Run one workspace for all tests of a module."""
    made = workspace()
    yield made
    made.stop()


@pytest.fixture
def bench(stand_in: CustomerioStandIn, empty_home: Path, tmp_path: Path) -> Iterator[WriteBackBench]:
    """Return a fresh home over a workspace in which nobody is marked and nothing was ever written."""
    home = shutil.copytree(empty_home, tmp_path / "home")
    stand_in.mend()
    stand_in.world.custom.clear()
    stand_in.world._set_at.clear()
    with warm_warehouses():
        yield WriteBackBench(home, stand_in)
