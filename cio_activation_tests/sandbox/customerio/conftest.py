"""What the tests of writes share: a workspace a file, and a person a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from cio_activation_tests.drivers.stand_ins.customerio import CustomerioStandIn, running

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def rig() -> Iterator[CustomerioStandIn]:
    """One workspace for all tests of this file; each works on a person of its own."""
    with running() as made:
        yield made


@pytest.fixture
def person(rig: CustomerioStandIn) -> str:
    added: str = rig.edit("add_person", id=None, email=f"{next(_NUMBERS)}@example.com")["cio_id"]
    return added
