from __future__ import annotations

from pathlib import Path

import pytest

from cio_activation_tests.shipping import wheel
from cio_activation_tests.shipping.wheel import Installed


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which a release was cut."""
    return wheel.release(tmp_path_factory.mktemp("release") / "checkout")


@pytest.fixture(scope="session")
def built(released: Path) -> Path:
    """The wheel of that release."""
    return wheel.build(released)


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel as ``pip install cio-activation`` leaves it: no extras."""
    return wheel.install(built, tmp_path_factory.mktemp("plain"))
