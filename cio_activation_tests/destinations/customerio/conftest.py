from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cio_activation_tests.drivers.customerio import workspace
from cio_activation_tests.drivers.write_back import WriteBackBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WriteBackBench]:
    """A home over a workspace in which nobody is marked."""
    made = WriteBackBench(tmp_path / "home", workspace())
    yield made
    made.stop()
