"""``python -m benchmarks.receiver [--seconds 60] [--rate 1000]``: what the webhook receiver takes on one core.

Signed reporting webhooks come from a process of their own at a fixed rate, whatever the receiver does, over kept-alive
connections; the time of an answer counts from the moment the request was due. Afterwards every event that was answered
200 is looked up in the inbox. The receiver is pinned to one core unless ``--no-pin``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.measure import foreign_load
from cio_activation.cli.output import emitted
from cio_activation.customerio.inbox import Inbox
from cio_activation.journal.attempts import Journal
from cio_activation_tests.drivers.postgres import NoPostgresError, postgres_server

KEY = "benchmark-signing-key"
CONNECTIONS = 64
TIMEOUT_S = 4.0
"""Customer.io's."""


def main() -> int:
    """Measure and print one line per journal; 1 if an answered event is not in the inbox."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="receiver-"))
    lost = 0
    print(f"Python {platform.python_version()}; foreign load at the start: {foreign_load():.1f} cores.", flush=True)
    names = ("journal", "offered/s", "sent", "200", "other", "lost", "stored", "answered/s", "p50 ms", "p95 ms",
             "p99 ms", "max ms", "CPU cores", "CPU us an event", "events a commit", "foreign cores")  # fmt: skip
    print(f"| {' | '.join(names)} |\n|---|" + "---:|" * (len(names) - 1), flush=True)
    try:
        with ExitStack() as stack:
            for place in given.journals:
                try:
                    url = _journal(place, folder, stack)
                except NoPostgresError as error:
                    print(f"PostgreSQL is left out: {error}", file=sys.stderr)
                    continue
                row = _measure(place, url, given, folder)
                lost += row[5]
                print("| " + " | ".join(map(str, row)) + " |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if lost else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.receiver", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second")
    parser.add_argument("--journals", type=lambda t: t.split(","), default=["sqlite", "postgresql"])
    parser.add_argument(
        "--first", action="store_true", help="before all other work of the machine (SCHED_RR, Linux, root)"
    )
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="let the receiver use every core")
    return parser.parse_args()


def _journal(place: str, folder: Path, stack: ExitStack) -> str:
    if place == "sqlite":
        return f"sqlite:///{folder / 'journal.sqlite'}"
    return stack.enter_context(postgres_server()).new_database()


def _measure(place: str, url: str, given: argparse.Namespace, folder: Path) -> list[Any]:
    environment = os.environ | {
        "ACTIVATION_HOME": str(folder),
        "JOURNAL_URL": url,
        "CUSTOMERIO_WEBHOOK_SIGNING_KEY": KEY,
    }
    command = [sys.executable, "-m", "cio_activation.cli.main", "receive", "--port", "0", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        told = emitted(process.stdout)
        if not told:
            raise RuntimeError("the receiver did not start; its output is above")
        if given.pin:
            os.sched_setaffinity(process.pid, {0})
        if given.first:
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            pool.submit(load, told["webhooks"]["reporting"], 200.0, 1.0, given.first).result()  # connections, caches
            before, cpu = foreign_load(), _cpu(process.pid)
            began = time.monotonic()
            answered, took, statuses, sent = pool.submit(
                load, told["webhooks"]["reporting"], given.rate, given.seconds, given.first
            ).result()
            span, cpu = time.monotonic() - began, _cpu(process.pid) - cpu
        metrics = _metrics(told["metrics"])
    finally:
        process.terminate()
        process.wait(30)
    stored = {w.event.event_id for w in Inbox(Journal(url)).new(limit=10_000_000)}
    took.sort()

    def at(share: float) -> str:
        return f"{1e3 * took[min(len(took) - 1, int(share * len(took)))]:.1f}" if took else "-"

    good = statuses.pop(200, 0)
    events = metrics["cio_receiver_new_total"] / max(metrics["cio_receiver_commits_total"], 1)
    return [
        place, f"{given.rate:,.0f}", f"{sent:,}", f"{good:,}", dict(statuses) or 0, len(set(answered) - stored),
        f"{len(stored):,}", f"{good / span:,.0f}", at(0.5), at(0.95), at(0.99), at(1.0), f"{cpu / span:.2f}",
        f"{1e6 * cpu / max(good, 1):.0f}", f"{events:.1f}", f"{before:.1f}",
    ]  # fmt: skip


def load(url: str, rate: float, seconds: float, first: bool) -> tuple[list[str], list[float], Counter[Any], int]:
    """Send at ``rate`` for ``seconds``; return (ids answered 200, seconds each answer took, statuses, sent)."""
    if first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return asyncio.run(_load(url, rate, seconds))


async def _load(url: str, rate: float, seconds: float) -> tuple[list[str], list[float], Counter[Any], int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()
    for _ in range(CONNECTIONS):
        idle.append(await asyncio.open_connection(parts.hostname, parts.port))
    answered: list[str] = []
    took: list[float] = []
    statuses: Counter[Any] = Counter()

    async def one(number: int, due: float) -> None:
        event_id, request = _request(parts, number)
        writer = None
        try:
            connection = idle.popleft() if idle else await asyncio.open_connection(parts.hostname, parts.port)
            reader, writer = connection
            async with asyncio.timeout(TIMEOUT_S):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
                )
                await reader.readexactly(length)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            statuses[type(error).__name__] += 1
            if writer is not None:
                writer.close()
            return
        if b"connection: close" in head.lower():
            writer.close()
        else:
            idle.append(connection)
        status = int(head[9:12])
        statuses[status] += 1
        took.append(time.monotonic() - due)
        if status == 200:
            answered.append(event_id)

    tasks: set[asyncio.Task[None]] = set()
    start, sent = time.monotonic(), 0
    while (now := time.monotonic() - start) < seconds:
        while sent < now * rate:
            task = asyncio.create_task(one(sent, start + sent / rate))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            sent += 1
        await asyncio.sleep(0.002)
    await asyncio.gather(*tasks)
    for _, writer in idle:
        writer.close()
    return answered, took, statuses, sent


def _request(parts: Any, number: int) -> tuple[str, bytes]:
    event_id = f"01BENCH{os.urandom(9).hex().upper()}"
    body = json.dumps(
        {
            "metric": "clicked",
            "event_id": event_id,
            "object_type": "email",
            "timestamp": int(time.time()),
            "data": {
                "action_id": 42,
                "broadcast_id": 9,
                "customer_id": "0200000001",
                "delivery_id": f"RPIL{number:024}",
                "identifiers": {"id": str(number), "email": f"p{number}@example.com", "cio_id": f"{number:012x}"},
                "href": "https://example.com/winback?campaign=lapsed-90",
                "link_id": 1,
                "recipient": f"p{number}@example.com",
                "subject": "We kept your favourites",
            },
        }
    ).encode()
    stamp = str(int(time.time()))
    signature = hmac.new(KEY.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
        f"user-agent: Customer.io Web Hooks 1.0\r\nx-cio-timestamp: {stamp}\r\nx-cio-signature: {signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return event_id, head.encode() + body


def _metrics(url: str) -> dict[str, float]:
    import httpx

    lines = [line for line in httpx.get(url).text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process so far, system time included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    raise SystemExit(main())
