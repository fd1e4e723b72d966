"""The receiver as a process: killed under load, ended under load, started wrongly."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from cio_activation.customerio.inbox import Inbox
from cio_activation.journal.attempts import Journal
from cio_activation_tests.drivers.receiver import KEY, ReceiverProcess, clicked, encoded, signed

pytestmark = pytest.mark.slow


class Load:
    """Senders that repeat each event until it is answered 200, as Customer.io does, from several threads."""

    def __init__(self, url: str, senders: int = 8, per_sender: int = 10**6) -> None:
        self.url = url
        self.answered: list[str] = []
        self.sent: set[str] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(n, per_sender)) for n in range(senders)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, answers: int) -> None:
        """Wait until so many more answers were 200."""
        until, goal = time.monotonic() + 60, len(self.answered) + answers
        while len(self.answered) < goal:
            assert time.monotonic() < until
            time.sleep(0.005)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self, sender: int, count: int) -> None:
        draw = random.Random(sender)
        with httpx.Client(timeout=10, verify=False) as client:
            for number in range(count):
                event = clicked(sender * 10**6 + number)
                self._until_taken(client, event["event_id"], encoded(event), draw)
                if self._stop.is_set():
                    return

    def _until_taken(self, client: httpx.Client, event_id: str, body: bytes, draw: random.Random) -> None:
        self.sent.add(event_id)
        while not self._stop.is_set():
            try:
                status = client.post(f"{self.url}/webhooks/reporting", content=body, headers=signed(body)).status_code
            except httpx.TransportError:
                time.sleep(0.02)  # it is down
                continue
            if status == 200:
                self.answered.append(event_id)
                if draw.random() > 0.1:  # one in ten is sent again although it was taken
                    return


def stored(journal_url: str) -> list[str]:
    journal = Journal(journal_url)
    try:
        return [w.event.event_id for w in Inbox(journal).new(10**6)]
    finally:
        journal.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_killed_again_and_again_under_load_every_200_is_in_the_inbox_once(journal_url: str, tmp_path: Path) -> None:
    port = free_port()
    process = ReceiverProcess(journal_url, tmp_path, port)
    load = Load(process.url)
    try:
        for _ in range(4):
            load.wait_for(150)
            process.kill()
            answered = set(load.answered)  # before anything that was refused can be repeated
            assert answered <= set(stored(journal_url))
            process = ReceiverProcess(journal_url, tmp_path, port)
        load.wait_for(50)
    finally:
        load.stop()
        process.kill()
    found = stored(journal_url)
    assert len(found) == len(set(found))
    assert set(load.answered) <= set(found) <= load.sent


def test_ended_under_load_it_finishes_what_has_begun(journal_url: str, tmp_path: Path) -> None:
    process = ReceiverProcess(journal_url, tmp_path)
    load = Load(process.url)
    try:
        load.wait_for(200)
        code, log = process.terminate()
    finally:
        load.stop()
    assert code == 0
    assert set(load.answered) <= set(stored(journal_url))
    assert "Traceback" not in log
    for secret in (KEY, "example.com", "01E4C4CT6YDC7Y"):
        assert secret not in log


def test_a_request_under_way_is_answered_before_it_ends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    process = ReceiverProcess(url, tmp_path)
    body = encoded(clicked(1))
    other = Journal(url)
    with ThreadPoolExecutor() as pool:
        with other.transaction() as con:
            con.execute(sa.text("UPDATE journal_version SET version = version"))
            asked = pool.submit(httpx.post, f"{process.url}/webhooks/reporting", content=body, headers=signed(body))
            wait_for(lambda: "cio_receiver_in_line 1" in httpx.get(f"{process.url}/metrics", verify=False).text)
            ended = pool.submit(process.terminate)
            wait_for(lambda: not listens(process.url))  # it has begun to end, and the event is not written yet
        answer = asked.result(60)
        code, log = ended.result(60)
    other.close()
    assert code == 0
    assert "Traceback" not in log
    # 503 where this machine took longer than a commit may: it says so, and Customer.io sends it again.
    assert (answer.status_code, len(stored(url))) in ((200, 1), (503, 0))


def test_a_sender_that_stops_halfway_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[2] / "deploy" / "cio-activation-receive.service").read_text()
    limit = float(unit.split("TimeoutStopSec=")[1].split()[0])  # then systemd kills it
    process = ReceiverProcess(f"sqlite:///{tmp_path / 'journal.sqlite'}", tmp_path)
    parts = httpx.URL(process.url)
    with socket.create_connection((parts.host, parts.port or 0)) as sender:
        sender.sendall(b"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        wait_for(
            lambda: "cio_receiver" in httpx.get(f"{process.url}/metrics", verify=False).text
        )  # and has read the first half
        assert process.terminate(limit)[0] == 0


def wait_for(found: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not found():
        assert time.monotonic() < until
        time.sleep(0.005)


def listens(url: str) -> bool:
    parts = httpx.URL(url)
    try:
        socket.create_connection((parts.host, parts.port or 0), timeout=30).close()
    except OSError:
        return False
    return True


def test_a_run_that_holds_the_journal_for_long_costs_no_event(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    process = ReceiverProcess(url, tmp_path)
    load = Load(process.url)
    try:
        load.wait_for(50)
        other = Journal(url)
        with other.transaction() as con:
            con.execute(sa.text("UPDATE journal_version SET version = version"))
            time.sleep(3)  # three times as long as a commit of the receiver's waits
        load.wait_for(50)
    finally:
        load.stop()
    assert process.terminate()[0] == 0
    assert set(load.answered) <= set(stored(url))


def refused(tmp_path: Path, *arguments: str, **environment: str) -> str:
    """Return what ``receive`` says when it does not start because of what it was given."""
    command = [sys.executable, "-m", "cio_activation.cli.main", "receive", "--json", *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CUSTOMERIO_")}
    given = clean | {"ACTIVATION_HOME": str(tmp_path)} | environment
    done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert said["ok"] is False
    return str(said["problems"])


@pytest.mark.parametrize("key", [None, "", "   "])
def test_without_a_signing_key_it_does_not_start(tmp_path: Path, key: str | None) -> None:
    environment = {} if key is None else {"CUSTOMERIO_WEBHOOK_SIGNING_KEY": key}
    assert "CUSTOMERIO_WEBHOOK_SIGNING_KEY is not set" in refused(tmp_path, **environment)


def test_on_a_port_that_is_taken_it_does_not_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        said = refused(tmp_path, "--port", str(port), CUSTOMERIO_WEBHOOK_SIGNING_KEY=KEY)
    assert f"cannot listen on 127.0.0.1 port {port}" in said


def test_a_socket_that_systemd_opened_is_used(tmp_path: Path) -> None:
    program = (
        "import os, socket, sys\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "os.dup2(listener.fileno(), 3)\n"
        "os.set_inheritable(3, True)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'cio_activation.cli.main', 'receive', '--port', '1'])\n"
    )
    environment = os.environ | {"ACTIVATION_HOME": str(tmp_path), "CUSTOMERIO_WEBHOOK_SIGNING_KEY": KEY}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    body = encoded(clicked(1))
    # The socket is there before the receiver is: the request waits for it instead of being refused.
    answer = httpx.post(f"http://127.0.0.1:{port}/webhooks/reporting", content=body, headers=signed(body), timeout=60)
    process.terminate()
    process.communicate(timeout=60)
    assert answer.status_code == 200
    assert len(stored(f"sqlite:///{tmp_path / 'journal.sqlite'}")) == 1
