"""This room's tests are about migrations and files: its homes are made the long way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cio_activation_tests.drivers.fresh_homes import real_migrations


@pytest.fixture(scope="module", autouse=True)
def homes_are_migrated() -> Iterator[None]:
    with real_migrations():
        yield
