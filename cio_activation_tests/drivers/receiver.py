"""The webhook receiver, in a thread or a process: requests signed as Customer.io's document says, and its inbox."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn
from prometheus_client.parser import text_string_to_metric_families

from cio_activation.cli.output import emitted
from cio_activation.customerio.inbox import Event, Inbox
from cio_activation.customerio.inbox_writer import InboxWriter
from cio_activation.customerio.receiver import Receiver
from cio_activation.customerio.webhook import Keys
from cio_activation.journal.attempts import Journal
from cio_activation.journal.schema import inbox as table

KEY, PREVIOUS, TOKEN = "sesame", "old-sesame", "open-journey"
LIMIT = 4_096


def clicked(number: int, **more: Any) -> dict[str, Any]:
    """Return a reporting event in the documented shape."""
    data = {
        "delivery_id": f"RPIL{number:024}",
        "identifiers": {"id": str(number), "email": f"person{number}@example.com", "cio_id": f"{number:012x}"},
        "href": "https://example.com/winback",
        "recipient": f"person{number}@example.com",
    }
    event = {"metric": "clicked", "event_id": f"01E4C4CT6YDC7Y{number:012}", "object_type": "email"}
    return {**event, "timestamp": 1_795_348_800, "data": data, **more}


def encoded(event: Any) -> bytes:
    return json.dumps(event).encode()


def signed(body: bytes, key: str = KEY, at: float | None = None) -> dict[str, str]:
    """Return the headers that Customer.io sends with ``body`` when it is sent at ``at`` (default: now)."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(key.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-CIO-Timestamp": stamp, "X-CIO-Signature": digest, "Content-Type": "application/json"}


@dataclass
class ReceiverThread:
    """One receiver in a thread, with a client, over one journal."""

    url: str
    journal_url: str
    client: httpx.Client
    journal: Journal
    receiver: Receiver

    def post(self, body: bytes, headers: dict[str, str] | None = None, path: str = "reporting") -> httpx.Response:
        return self.client.post(f"/webhooks/{path}", content=body, headers=signed(body) if headers is None else headers)

    def journey(self, body: bytes, key: str | None = "k1", **how: Any) -> httpx.Response:
        extra = {"x-cio-idempotency-key": key} if key else {}
        return self.post(body, signed(body, **how) | extra | {"x-cio-delivery-id": "d1"}, "journey")

    def stored(self) -> list[Event]:
        return [w.event for w in Inbox(self.journal).new()]

    def empty(self) -> None:
        with self.journal.transaction() as con:
            con.execute(sa.delete(table))

    def raw(self, *pieces: bytes) -> bytes:
        """Send bytes as they are, in pieces, and return all that comes back until the other side closes."""
        with self.open() as sock:
            for piece in pieces:
                sock.sendall(piece)
            return _drain(sock)

    def open(self) -> socket.socket:
        parts = httpx.URL(self.url)
        return socket.create_connection((parts.host, parts.port or 0), timeout=30)

    def metrics(self) -> dict[str, float]:
        """Return every series as Prometheus reads it: ``name`` or ``name{label="value",...}``, labels by name."""
        answer = self.client.get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        samples = [s for family in text_string_to_metric_families(answer.text) for s in family.samples]
        labels = [",".join(f'{k}="{v}"' for k, v in sorted(s.labels.items())) for s in samples]
        return {s.name + (f"{{{told}}}" if told else ""): s.value for s, told in zip(samples, labels, strict=True)}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer out of the inbox."""
        other = Journal(self.journal_url)
        with other.transaction() as con:
            if con.dialect.name == "postgresql":
                con.execute(sa.text("LOCK TABLE inbox, journal_version IN EXCLUSIVE MODE"))
            yield
        other.close()


@contextmanager
def receiving(journal_url: str, keys: Keys | None = None) -> Iterator[ReceiverThread]:
    """Run a receiver with small limits in a thread of its own."""
    journal = Journal(journal_url, wait_s=0.3)
    inbox = Inbox(journal)
    keys = keys or Keys((KEY.encode(), PREVIOUS.encode()), (TOKEN.encode(),))
    receiver = Receiver(inbox, InboxWriter(inbox), keys, LIMIT)
    server = uvicorn.Server(uvicorn.Config(receiver.app(), log_config=None, access_log=False, lifespan="on", ws="none"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with httpx.Client(base_url=url, timeout=30, verify=False) as client:
        yield ReceiverThread(url, journal_url, client, journal, receiver)
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
    journal.close()


class ReceiverProcess:
    """``cio-activation receive`` as a process of its own."""

    def __init__(self, journal_url: str, home: Any, port: int = 0) -> None:
        environment = os.environ | {
            "ACTIVATION_HOME": str(home),
            "JOURNAL_URL": journal_url,
            "CUSTOMERIO_WEBHOOK_SIGNING_KEY": KEY,
        }
        command = [sys.executable, "-m", "cio_activation.cli.main", "receive", "--port", str(port), "--json"]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.told = emitted(self._process.stdout)
        self.url: str = self.told["url"]

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)

    def terminate(self, within_s: float = 60) -> tuple[int, str]:
        """Ask it to end; return exit code and what it logged."""
        self._process.send_signal(signal.SIGTERM)
        _, log = self._process.communicate(timeout=within_s)
        return self._process.returncode, log


def _drain(sock: socket.socket) -> bytes:
    answer = b""
    try:
        while chunk := sock.recv(65_536):
            answer += chunk
    except ConnectionError:
        pass  # the rest of a body was refused with a reset; what was said before it counts
    return answer
