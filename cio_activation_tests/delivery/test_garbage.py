"""Garbage is looked for less often while a step is at work, and as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from cio_activation.delivery.garbage import SELDOM, seldom_collected


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_less_often_within_and_as_before_after_it() -> None:
    gc.set_threshold(700, 10, 10)
    with seldom_collected():
        assert gc.get_threshold() == SELDOM
        with seldom_collected():
            assert gc.get_threshold() == SELDOM
        assert gc.get_threshold() == SELDOM
    assert gc.get_threshold() == (700, 10, 10)


def fails() -> None:
    with seldom_collected():
        raise ValueError("within")


def test_as_before_also_where_it_fails() -> None:
    gc.set_threshold(700, 10, 10)
    with pytest.raises(ValueError, match="within"):
        fails()
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (200_000, 5, 5)])
def test_whoever_chose_less_keeps_it(chosen: tuple[int, int, int]) -> None:
    gc.set_threshold(*chosen)
    with seldom_collected():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen
