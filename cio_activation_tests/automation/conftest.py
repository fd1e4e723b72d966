"""An address that takes alerts, and what came there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


@dataclass
class Hook:
    """An incoming webhook: its address with a secret in it, what came (path, text), what it answers."""

    url: str = ""
    came: list[tuple[str, str]] = field(default_factory=list)
    answer: int = 200

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.came]


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if made.answer == 200:
                made.came.append((self.path, json.loads(body)["text"]))
            self.send_response(made.answer)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}/hook/sesame?x=1"
    yield made
    server.shutdown()
    server.server_close()
