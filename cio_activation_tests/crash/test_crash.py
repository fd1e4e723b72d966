"""The crash suite in its two forms; ``python -m cio_activation_tests.crash.run`` takes other numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from cio_activation_tests.forms import form

pytestmark = pytest.mark.slow
KILLS = form(4, 200)
"""At random instants."""
BOUNDARIES: int | None = form(2, None)
"""Named ones a lane; None takes all there are."""
TIMEOUT_S = form(280, 7_200)


def test_killed_runs_lose_and_double_nothing() -> None:
    """In a process of its own: pytest's has threads, and such a process cannot be forked safely."""
    command = [
        sys.executable,
        "-m",
        "cio_activation_tests.crash.run",
        "--kills",
        str(KILLS),
        *(["--boundaries", str(BOUNDARIES)] if BOUNDARIES else []),
    ]
    environment = {k: v for k, v in os.environ.items() if k != "VENDOR_SETTLE_S"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_S, check=False)
    assert done.stdout, done.stderr[-3000:]
    figures = json.loads(done.stdout)
    assert figures["complaints"] == []
    assert done.returncode == 0
    assert figures["kills"] + figures["outlived"] >= KILLS + 2 * (BOUNDARIES or 50)
    assert figures["kills"] >= KILLS // 2
    assert figures["further_runs"] >= 1
