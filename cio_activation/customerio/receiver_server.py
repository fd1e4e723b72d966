"""Runs the receiver as a process: settings, journal, socket, signals."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from typing import Any

import uvicorn

from cio_activation.activation.settings import Settings
from cio_activation.customerio.inbox import Inbox
from cio_activation.customerio.inbox_writer import InboxWriter
from cio_activation.customerio.receiver import Receiver
from cio_activation.customerio.webhook import Keys
from cio_activation.errors import CioActivationError, ConfigError
from cio_activation.journal.attempts import Journal

LOCK_WAIT_S = 1.0
"""A commit waits for another process's lock no longer than this; then its requests are answered 503."""
_MOST_CONNECTIONS = 4_000
_OTHER_FILES = 64
"""Open files that are not connections: the journal, the log, libraries."""
_FIRST_PASSED_FD = 3


class ReceiverEnded(CioActivationError):
    """The receiver stopped although nobody told it to."""


def run_receiver(
    settings: Settings,
    host: str,
    port: int,
    most_bytes: int,
    announce: Callable[[str], None] = lambda _: None,
    beside: Callable[[Inbox], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Receive until SIGTERM or SIGINT, then finish what has begun. ``announce`` gets the address once it answers.

    ``beside`` gets the inbox and runs in the same event loop until the receiver ends.

    A listening socket passed by systemd is used instead of ``host`` and ``port``: while the process restarts the
    kernel holds new connections, and none is refused. Raises ConfigError without a signing key, or if the address is
    taken; ReceiverEnded if it stops by itself.
    """
    keys = Keys.of(settings)
    listener = _passed() or _listen(host, port)
    settings.activation_home.mkdir(parents=True, exist_ok=True)
    with closing(listener), closing(Journal(settings.journal, wait_s=LOCK_WAIT_S)) as journal:
        inbox = Inbox(journal)
        ended: list[bool] = []

        def on_death() -> None:
            ended.append(True)
            server.should_exit = True  # a process manager starts it again

        receiver = Receiver(inbox, InboxWriter(inbox, on_death), keys, most_bytes)
        config = uvicorn.Config(
            receiver.app(),
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="on",
            server_header=False,
            limit_concurrency=_connections(),
            timeout_graceful_shutdown=5,
        )
        server = _Server(config)
        asyncio.run(_serve(server, listener, announce, beside(inbox) if beside else None))
    if ended or not server.started:
        raise ReceiverEnded("the receiver stopped by itself; its log says why")


def _connections() -> int:
    """Return how many connections to hold at once: beyond them a 503 is better than an accept that fails."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST_CONNECTIONS, max(files - _OTHER_FILES, 1)) if files > 0 else _MOST_CONNECTIONS


class _Server(uvicorn.Server):
    """Ends quietly at a signal; uvicorn's own would die of it once more, before the journal is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield  # signals go to the main thread only
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


async def _serve(
    server: uvicorn.Server,
    listener: socket.socket,
    announce: Callable[[str], None],
    beside: Coroutine[Any, Any, None] | None,
) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        name = listener.getsockname()
        announce(f"http://{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name))
    companion = asyncio.create_task(beside) if beside else None
    await serving
    if companion is not None:
        companion.cancel()
        await asyncio.wait([companion])


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=2_048)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def _passed() -> socket.socket | None:
    """Return the socket that systemd passed, if it passed one (sd_listen_fds)."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
        return socket.socket(fileno=_FIRST_PASSED_FD)
    return None
