"""A running Customer.io stand-in over a small generated world, shared by this room's integration tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cio_activation_tests.drivers.customerio import MANUAL, CustomerioBench, workspace
from cio_activation_tests.drivers.stand_ins.customerio import CustomerioStandIn


@pytest.fixture(scope="session")
def _running() -> Iterator[CustomerioStandIn]:
    made = workspace()
    yield made
    made.stop()


@pytest.fixture
def site(_running: CustomerioStandIn, tmp_path: Path) -> Iterator[CustomerioBench]:
    """The workspace standing still, without faults and with an empty log."""
    here = CustomerioBench(tmp_path, _running)
    here.edit("freeze")
    yield here
    _running.mend()
    here.calm(*here.world.segments)
    here.drop(*tuple(here.world.hand_picked[MANUAL]))
    here.clear_log()


@pytest.fixture
def no_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Make every wait of the clients instant; returns a function giving the seconds asked for."""
    waits: list[float] = []
    real = asyncio.sleep

    async def instant(seconds: float, *_: object) -> None:
        waits.append(seconds)
        await real(0)

    monkeypatch.setattr("asyncio.sleep", instant)
    return lambda: sum(waits)
