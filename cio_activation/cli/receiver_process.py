"""Runs the webhook receiver beside something else: a process of its own that ends with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cio_activation.cli.output import emitted
from cio_activation.errors import CioActivationError


@contextmanager
def receiver_beside() -> Iterator[dict[str, str]]:
    """Run ``cio-activation receive`` on a free port, with this process's settings; yields source -> webhook address.

    CioActivationError if it does not start; its own words are on standard error.
    """
    command = [sys.executable, "-m", "cio_activation.cli.main", "receive", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = emitted(process.stdout)
        if not found.get("ok"):
            problems = "; ".join(found.get("problems", [])) or "see its output above"
            raise CioActivationError(f"the webhook receiver did not start: {problems}")
        try:
            yield found["webhooks"]
        finally:
            process.terminate()
            process.wait(30)
