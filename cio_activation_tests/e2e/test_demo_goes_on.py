"""A demo that was stopped half-way: nothing it started is left; gone on with, it does what is missing and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cio_activation.cli.demo_home import FILE, STAND_INS, DemoHome
from cio_activation.sandbox.world.orders import generate
from cio_activation_tests.drivers.access import OF_OURS
from cio_activation_tests.drivers.processes import free_port

pytestmark = pytest.mark.slow
DAY = 86_400
BEGAN_BEFORE = """
import sys, time
from pathlib import Path
from cio_activation.cli.demo import Demo
from cio_activation.cli.demo_home import DemoHome
from cio_activation.cli.stopping import ended_by_sigterm
with ended_by_sigterm():
    remembered = DemoHome(orders=sys.argv[2], people=None, ends_at=float(sys.argv[3]), activation=None)
    Demo(Path(sys.argv[1]), remembered, days=1, port=0, resumed=False).run()
"""
"""``demo``, as of an instant of long ago."""
linux = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="who belongs to whom is read in /proc")


class Started:
    """A command and all that it starts, known by a mark in their environment."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._mark = f"STARTED_BY_TEST={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(OF_OURS)} | {name: value}
        self.log = folder / "log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log
            )

    def wait_for(self, found: Callable[[], Any], seconds: float = 200) -> None:
        until = time.monotonic() + seconds
        while not found():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < until, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def ends(self, number: signal.Signals | None = None) -> str:
        """Send a signal, if any; return what it printed once it has ended, and see that nobody is left."""
        if number is not None:
            self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=200)
        assert self.left() == []
        return out.decode()

    def left(self) -> list[str]:
        """Return the command lines of all living processes with the mark."""
        found = []
        for process in Path("/proc").iterdir():
            try:
                if process.name.isdigit() and self._mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except (OSError, ProcessLookupError):
                continue  # it ended while we looked, or is somebody else's
        return found


def cli(*arguments: str, folder: Path) -> Started:
    return Started("-m", "cio_activation.cli.main", *arguments, folder=folder)


def runs(home: Path) -> int:
    with sqlite3.connect(home / "dagster" / "history" / "runs.db") as con:
        return int(con.execute("SELECT count(*) FROM runs").fetchone()[0])


@linux
def test_stopped_half_way_gone_on_with_and_opened(tmp_path: Path) -> None:
    now = time.time()
    orders, home = tmp_path / "orders.parquet", tmp_path / "home"
    table = generate(25, 5, ends_at=now - 2 * DAY).table
    with duckdb.connect() as con:
        con.register("given", table)
        con.execute(
            "COPY (SELECT customer_id, order_id, to_timestamp(ordered_at) AS ordered_at, value, category FROM given) "
            f"TO '{orders}' (FORMAT parquet)"
        )

    first = Started("-c", BEGAN_BEFORE, str(home), str(orders), str(now - 2 * DAY), folder=tmp_path)
    kept = home / STAND_INS
    first.wait_for(lambda: kept.exists() and "/contacts/batch/" in kept.read_text())  # in the midst of its first push
    first.ends(signal.SIGTERM)
    assert first.process.returncode != 0

    on = cli("demo", "--home", str(home), "--resume", "--days", "1", "--json", folder=tmp_path)
    result = json.loads(on.ends())
    assert result["ok"], (result["failed"], on.log.read_text()[-2000:])
    assert result["resumed"]
    assert len(result["windows"]["daily"]) == 1
    assert result["second_run"]["write_calls"] == 0
    assert "\r" not in on.log.read_text()  # no progress bars where nobody's terminal is
    assert "\x1b" not in on.log.read_text()
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        made = con.execute(
            """SELECT destination, cio_id, count(*) FROM delivery.ledger
            WHERE kind = 'create' AND "end" = 'delivered' GROUP BY ALL"""
        ).fetchall()
    assert made
    assert [one for one in made if one[2] > 1] == []

    before, port = runs(home), free_port()
    opened = cli("demo", "--home", str(home), "--ui", "--ui-port", str(port), folder=tmp_path)
    opened.wait_for(lambda: f"Serving dagster-webserver on http://127.0.0.1:{port}" in opened.log.read_text())
    assert len(opened.left()) >= 4
    opened.ends(signal.SIGTERM)
    assert runs(home) == before
    assert "Nothing is run anew" in opened.log.read_text()
    assert DemoHome.of(home).orders == str(orders)
    assert (home / FILE).is_file()
