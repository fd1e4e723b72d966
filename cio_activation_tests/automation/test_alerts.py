"""A failed run is announced, with the step's own words and without the address in any message."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import dagster as dg
import pytest

from cio_activation.automation.alerts import alert_on_failure, post
from cio_activation.transport.errors import VendorError


class _Inbox(BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, str]]] = []
    answer = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).received.append((self.path, json.loads(body)["text"]))
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def inbox() -> Iterator[str]:
    _Inbox.received, _Inbox.answer = [], 200
    server = HTTPServer(("127.0.0.1", 0), _Inbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook/sesame?x=1"
    server.shutdown()
    server.server_close()


@dg.op
def breaks() -> None:
    raise dg.Failure("hubspot/properties_daily: 401")


@dg.job(tags={"dagster/partition": "2026-11-21"})
def daily() -> None:
    breaks()


def test_a_failed_run_is_posted_with_its_window_and_step(inbox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_URL", inbox)
    with dg.DagsterInstance.ephemeral() as instance:
        result = daily.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="alert_on_failure",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        alert_on_failure(context)
    ((path, text),) = _Inbox.received
    assert path == "/hook/sesame?x=1"
    assert "daily 2026-11-21 failed: breaks: hubspot/properties_daily: 401" in text


def test_an_address_that_refuses_is_an_error_without_the_address(inbox: str) -> None:
    _Inbox.answer = 403
    with pytest.raises(VendorError) as caught:
        asyncio.run(post(inbox, "text"))
    assert "sesame" not in str(caught.value)
