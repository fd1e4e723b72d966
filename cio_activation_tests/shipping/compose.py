"""The processes of ``deploy/compose.yaml``, as it says them, without containers: what a container would give them is given here.

Commands, environment, mounts and health checks are read from the file. Places in a container become folders, names of
hosts become this one, ports become free ones; programs come from an environment with the wheel in it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from cio_activation_tests.drivers.postgres import PostgresServer
from cio_activation_tests.drivers.processes import free_port
from cio_activation_tests.shipping.wheel import ROOT, Installed

FILE = ROOT / "deploy" / "compose.yaml"
HOME, ETC = "/var/lib/cio-activation", "/etc/cio-activation"
MODULES = {
    "dagster-daemon": "dagster._daemon",
    "dagster-webserver": "dagster_webserver",
    "cio-activation": "cio_activation.cli.main",
}
"""Console script -> its module: the environment of a test has no scripts but our own."""
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def services(given: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services with their variables filled in from ``given``, as compose does."""

    def filled(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        return _VARIABLE.sub(one, value) if isinstance(value, str) else value

    def one(found: re.Match[str]) -> str:
        name, kind, text = found.groups()
        if given.get(name):
            return given[name]
        assert kind != "?", f"{name}: {text}"
        return text or ""

    return dict(filled(YAML(typ="safe").load(FILE.read_text())["services"]))


@dataclass
class Deployment:
    """What was started, where it lives, and how it is reached."""

    folder: Path
    installed: Installed
    services: dict[str, dict[str, Any]]
    settings: Mapping[str, str]
    server: PostgresServer
    ports: dict[str, int] = field(default_factory=lambda: {"3000": free_port(), "8780": free_port()})
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "home" / "dagster").mkdir(parents=True)
        (self.folder / "etc").mkdir()
        shutil.copy(ROOT / "deploy" / "workspace.yaml", self.folder / "etc")  # as the image has it
        for mount in self.services["daemon"]["volumes"]:
            source, target, *_ = mount.split(":")
            if source.startswith((".", "/")):
                shutil.copy(FILE.parent / source, self.here(target))

    def here(self, text: str) -> str:
        """Return ``text`` with this machine's places, hosts and ports for those in the containers."""
        for there, place in ((HOME, self.folder / "home"), (ETC, self.folder / "etc")):
            text = text.replace(there, str(place))
        text = re.sub(
            r"cio:[^@]*@postgres:5432/(\w+)", rf"journal:{self.server.password}@/\1?host={self.server.folder}", text
        )
        text = text.replace("0.0.0.0", "127.0.0.1").replace("webserver:", "127.0.0.1:")
        for port, free in self.ports.items():
            text = re.sub(rf"\b{port}\b", str(free), text)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """Return a service's environment: what ``env_file`` brings, then what it says itself."""
        service = self.services[name]
        brought = dict(self.settings) if service.get("env_file") else {}
        own = {key: self.here(str(value)) for key, value in service["environment"].items()}
        return self.installed.environment(**(brought | own))

    def start(self, name: str) -> None:
        """Start a service's command, as the first process of a session of its own."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self.command(self.services[name]["command"]), cwd=self.folder / "home", env=self.environment(name),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def command(self, words: list[str]) -> list[str]:
        """Return a command of the file as it is called here."""
        program, *arguments = map(self.here, words)
        python = str(self.installed.python)
        return [python, *([] if program == "python" else ["-m", MODULES[program]]), *arguments]

    def run(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside a service, with its environment."""
        return subprocess.run(
            self.command(list(words)), cwd=self.folder / "home", env=self.environment(name), capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    def wait_healthy(self, name: str, seconds: float = 180) -> None:
        """Wait until the service's own health check says so."""
        program, *words = self.services[name]["healthcheck"]["test"][1:]
        until = time.monotonic() + seconds
        while (checked := self.run(name, program, *words)).returncode != 0:
            assert self.processes[name].poll() is None, (name, self.log(name))
            assert time.monotonic() < until, (name, checked.stderr[-500:], self.log(name))
            time.sleep(2)

    def stop(self, name: str) -> tuple[int, list[int]]:
        """Send SIGTERM to a service's first process; return its exit code and who of its session is still there."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        code = process.wait(int(self.services[name]["stop_grace_period"].removesuffix("s")))
        until = time.monotonic() + 15
        while (left := session_of(process.pid)) and time.monotonic() < until:
            time.sleep(0.2)
        return code, left

    def kill(self, name: str) -> None:
        """Kill a service with all it started, as a container's end does; nobody is told before."""
        process = self.processes.pop(name)
        for pid in session_of(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(30)

    def log(self, name: str) -> str:
        """Return the end of what a service printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


def session_of(leader: int) -> list[int]:
    """Return the processes of a session that still run."""
    told = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(leader)], capture_output=True, text=True, check=False
    ).stdout
    return [int(pid) for pid, stat, *_ in map(str.split, told.splitlines()) if not stat.startswith("Z")]


@contextmanager
def deployed(
    folder: Path, installed: Installed, server: PostgresServer, given: Mapping[str, str]
) -> Iterator[Deployment]:
    """Yield a deployment of which nothing runs yet; all that was started ends with the block."""
    place = Deployment(folder, installed, services(given), given, server)
    try:
        yield place
    finally:
        for process in place.processes.values():
            for pid in session_of(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait(30)
