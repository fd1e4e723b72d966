"""Whoever waits for a vendor can be stopped, whatever the loop is at when the signal comes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from cio_activation.transport.event_loop import run


class Interrupted(BaseException):
    """As Dagster's own exception: neither an ``Exception`` nor a ``KeyboardInterrupt``."""


def raises(_number: int, _frame: object) -> None:
    raise Interrupted


@pytest.fixture(autouse=True)
def as_in_a_step_of_dagster() -> Iterator[None]:
    before = {number: signal.signal(number, raises) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def tell(number: int) -> None:
    """Have the signal come here, in the midst of what the loop calls."""
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_callback_ends_it(number: int) -> None:
    cleaned = []

    async def waits_for_a_vendor() -> None:
        asyncio.get_running_loop().call_soon(tell, number)
        try:
            await asyncio.sleep(5)
        finally:
            cleaned.append(number)

    with pytest.raises(KeyboardInterrupt):
        run(waits_for_a_vendor())
    assert cleaned == [number]
    assert signal.getsignal(number) is raises


def test_asyncio_alone_loses_it() -> None:
    """Why there is a function of our own: if this fails, it can go."""

    async def waits_for_a_vendor() -> str:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.call_soon(tell, signal.SIGTERM)
        await asyncio.sleep(0.05)
        return "went on"

    assert asyncio.run(waits_for_a_vendor()) == "went on"


def test_a_signal_while_nothing_happens_ends_it() -> None:
    async def waits_for_a_vendor() -> None:
        await asyncio.sleep(5)

    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(waits_for_a_vendor())
    assert time.monotonic() - began < 4


def test_whoever_does_not_mind_being_cancelled_is_not_heard() -> None:
    async def goes_on() -> str:
        asyncio.get_running_loop().call_soon(tell, signal.SIGTERM)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            return "went on"
        return "slept"

    async def fails() -> None:
        try:
            await goes_on()
        finally:
            raise ValueError("in the midst of ending")

    for one in (goes_on(), fails()):
        with pytest.raises(KeyboardInterrupt):
            run(one)


def test_what_comes_of_it_else() -> None:
    async def fails() -> None:
        raise ValueError("a reason")

    async def found() -> int:
        return 7

    async def cancels_itself() -> None:
        raise asyncio.CancelledError

    assert run(found()) == 7
    with pytest.raises(ValueError, match="a reason"):
        run(fails())
    with pytest.raises(asyncio.CancelledError):
        run(cancels_itself())


def test_in_another_thread_it_is_asyncios_own() -> None:
    async def found() -> int:
        return 7

    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(run(found())))
    thread.start()
    thread.join()
    assert got == [7]
