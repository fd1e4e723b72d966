"""The page of the first hour, done as it says: its own commands, in an empty folder, until HubSpot has the first task."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cio_activation.cli.readback import control, write_calls
from cio_activation_tests.docs import pages
from cio_activation_tests.drivers.access import OF_OURS

pytestmark = pytest.mark.slow
_HEADING = re.compile(r"^## (\d)\. (.+)$", re.MULTILINE)
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SANDBOX = "cio-activation sandbox"
NOTHING_BEFORE, NOBODY_BEFORE = 5, 7
"""The steps before which, the page says, nothing is written and nobody is asked."""


def steps() -> list[tuple[int, str, list[str]]]:
    """Return number, heading and blocks of commands of each step of the page."""
    parts = _HEADING.split(pages.text_of("first-hour.md"))[1:]
    return [(int(n), title, _SHELL.findall(text)) for n, title, text in zip(*[iter(parts)] * 3, strict=True)]


class NewUser:
    """Somebody with an empty folder, a shell in which the project is installed, and nothing else set."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder = folder
        bin_folder.mkdir()
        program = bin_folder / "cio-activation"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m cio_activation.cli.main "$@"\n')
        program.chmod(0o755)
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(OF_OURS)} | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(pages.ROOT),
        }

    def types(self, block: str) -> str:
        """Run a block of the page; return what it said."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], **self._shell(), check=False)  # type: ignore[call-overload]
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return str(done.stdout)

    @contextmanager
    def beside(self, block: str) -> Iterator[dict[str, str]]:
        """Run the stand-ins as the page's preparation says, on free ports; yield vendor -> address."""
        command = block.strip().replace(SANDBOX, f"exec {SANDBOX} --port 0")
        with subprocess.Popen(["bash", "-c", command], cwd=self.folder, env=self._environment) as process:
            try:
                until = time.monotonic() + 120
                while "PIPEDRIVE_URL" not in (found := self._file(".env")):
                    assert process.poll() is None, "the stand-ins ended"
                    assert time.monotonic() < until, "the stand-ins do not answer"
                    time.sleep(0.1)
                said = dict(line.split("=", 1) for line in found.splitlines())
                yield {"hubspot": said["HUBSPOT_URL"], "pipedrive": said["PIPEDRIVE_URL"]}
            finally:
                process.terminate()

    def _file(self, name: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    def _shell(self) -> dict[str, Any]:
        return {
            "cwd": self.folder,
            "env": self._environment,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
            "timeout": 280,
        }


def asked(urls: dict[str, str]) -> dict[str, int]:
    """Return how much people are asked for in each CRM, by the stand-ins' own word."""
    hubspot = control(urls["hubspot"], "state?vendor=hubspot")["hubspot"]["tasks"]
    pipedrive = control(urls["pipedrive"], "state?vendor=pipedrive")["pipedrive"]["activities"]
    return {"hubspot": len(hubspot), "pipedrive": len(pipedrive)}


def used() -> float:
    """Return the CPU seconds of all that was started here and has ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def test_the_pages_own_commands_lead_from_an_empty_folder_to_the_first_task(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (preparation, *walked) = steps()
    (start,) = preparation[2]
    folder = tmp_path / "new"
    folder.mkdir()
    user = NewUser(folder, tmp_path / "bin")
    told: list[str] = []
    with user.beside(start) as urls:
        before = asked(urls)
        for number, title, blocks in walked:
            if number == NOTHING_BEFORE:
                assert write_calls(urls) == {}
            if number == NOBODY_BEFORE:
                assert asked(urls) == before
                assert write_calls(urls)
            began, cpu = time.monotonic(), used()
            said = "\n".join(user.types(block) for block in blocks)
            if number == NOBODY_BEFORE - 2:  # the plan says whose work it will be
                assert re.search(r"pipedrive .* \w+@example\.com .* 20\d\d-", said), said
            told.append(f"{number}. {title}: {time.monotonic() - began:.0f} s, of these {used() - cpu:.0f} s of CPU")
        assert asked(urls)["hubspot"] > before["hubspot"]
        assert asked(urls)["pipedrive"] > before["pipedrive"]
    with capsys.disabled():
        print("\nthe first hour, against the stand-ins:", *told, sep="\n  ")
