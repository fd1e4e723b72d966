"""A real mail server on a port of this machine, which takes what it is handed and says what that was."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "mail_server.pem"
"""Of localhost, signed by nobody else; with its key. For tests only."""


@dataclass
class Mailbox:
    """What came, and how the server behaves; a handler of aiosmtpd."""

    port: int = 0
    came: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Recipients it does not take."""
    answer: str = "250 OK"
    """What it says once it has the message."""
    asks_who: bool = False
    """Whether mail is taken after signing in only."""

    async def handle_RCPT(self, _server: Any, session: Any, envelope: Envelope, address: str, _options: Any) -> str:  # noqa: N802
        if self.asks_who and not session.authenticated:
            return "530 sign in first"
        if address in self.refused:
            return f"550 no {address} here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.came.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
            self.to.append(list(envelope.rcpt_tos))
        return self.answer

    @property
    def texts(self) -> list[str]:
        """The bodies that came."""
        return [str(one.get_content()) for one in self.came]


@contextmanager
def mail_server(*, tls: str = "", user: str | None = None, password: str = "") -> Iterator[Mailbox]:
    """Run a server. ``tls``: ``starttls``, ``from the start``, or none; with a ``user`` mail is taken after signing in."""
    box = Mailbox(asks_who=user is not None)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(CERTIFICATE)

    def signed_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: LoginPassword) -> AuthResult:
        return AuthResult(success=user is not None and given == LoginPassword(user.encode(), password.encode()))

    def serving() -> SMTP:
        return SMTP(
            box,
            hostname="localhost",
            tls_context=trust if tls == "starttls" else None,
            authenticator=signed_in,
            auth_require_tls=False,
            loop=loop,
        )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    encrypted = trust if tls == "from the start" else None
    started = loop.create_server(serving, "localhost", 0, family=socket.AF_INET, ssl=encrypted)
    server = asyncio.run_coroutine_threadsafe(started, loop).result(10)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        asyncio.run_coroutine_threadsafe(_stop(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
