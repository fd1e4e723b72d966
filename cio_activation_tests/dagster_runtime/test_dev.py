"""``dagster dev`` where somebody types it first: in a fresh clone, and in the folder of an installation of one's own."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from cio_activation_tests.forms import some

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONGEST_S = 120
"""Daemon, webserver and code server, each a process that imports Dagster, on a busy machine."""


def clone(folder: Path) -> list[str]:
    """Make ``folder`` look like a checkout; return what is typed there."""
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(ROOT / "workspace.yaml", folder)
    return ["-w", "workspace.yaml"]


def installation(folder: Path) -> list[str]:
    """Make ``folder`` an installation of one's own, with the packaged instance file."""
    shutil.copy(ROOT / "cio_activation" / "dagster_runtime" / "dagster.yaml", folder)
    return ["-m", "cio_activation.definitions"]


@pytest.mark.parametrize(("make", "home"), some(itertools.product([clone, installation], [None, "elsewhere"]), 3))
def test_it_serves_and_says_where_its_history_is(tmp_path: Path, make: object, home: str | None) -> None:
    typed = make(tmp_path)  # type: ignore[operator]
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("DAGSTER", "ACTIVATION", "CIO_"))}
    environment["PYTHONPATH"] = str(ROOT)
    if home:
        (tmp_path / home).mkdir()
        shutil.copy(tmp_path / "dagster.yaml", tmp_path / home)
        environment["DAGSTER_HOME"] = str(tmp_path / home)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "dagster", "dev", *typed, "-h", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
        try:
            assert serves(process, port), log.read_text()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
    folder = tmp_path / (home or ".activation/dagster")
    assert (folder / "history" / "runs.db").exists()
    said = f"stay in {folder}"
    assert log.read_text().count(said) == (0 if home else 1)


def serves(process: subprocess.Popen[bytes], port: int) -> bool:
    """Tell whether the webserver answers before the process ends or time is up."""
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)  # polling another process
    return False
