"""The short form of the crash suite; ``python -m cio_activation_tests.crash.run --kills 200`` is the long one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
KILLS, BOUNDARIES = 8, 2


def test_killed_runs_lose_and_double_nothing() -> None:
    """In a process of its own: pytest's has threads, and such a process cannot be forked safely."""
    command = [
        sys.executable,
        "-m",
        "cio_activation_tests.crash.run",
        "--kills",
        str(KILLS),
        "--boundaries",
        str(BOUNDARIES),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "VENDOR_SETTLE_S"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.stdout, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    assert figures["complaints"] == []
    assert done.returncode == 0
    assert figures["kills"] + figures["outlived"] >= KILLS + 2 * BOUNDARIES
    assert figures["kills"] >= KILLS // 2
    assert figures["further_runs"] >= 1
