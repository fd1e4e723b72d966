"""A whole installation as real processes: stand-ins, webhook receiver, Dagster's code server, daemon and webserver.

The processes are those of ``dagster dev`` (and of ``demo --ui``), each started here by itself, so that one can be
killed and started again as a process manager would.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
from ruamel.yaml import YAML

from cio_activation.cli.output import emitted
from cio_activation_tests.drivers.stand_ins.control import Control

LOCATION = "cio_activation"
GRACE_S = 5.0
"""Who has not ended so long after a SIGTERM is killed: a killed process leaves nothing behind here."""
_FIND = """query($f: RunsFilter!) { runsOrError(filter: $f, limit: 1000) {
    ... on Runs { results { runId status creationTime startTime endTime tags { key value } } }
    ... on PythonError { message } } }"""
_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""

_SWITCH = "mutation($s: SensorSelector!) { startSensor(sensorSelector: $s) { __typename } }"


class Site:
    """One installation under ``home``. Its environment is also put into this process's, for reading it directly.

    ``apart``: Customer.io's stand-in is a process of its own, so that it is not slow because a CRM's is busy.
    ``monitoring``: numbers of ``dagster.yaml``'s ``run_monitoring`` that are to be others than the packaged ones.
    """

    def __init__(
        self,
        home: Path,
        people: int,
        orders: Path | None = None,
        *,
        apart: bool = False,
        monitoring: Mapping[str, int] | None = None,
    ) -> None:
        self.home = home
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._commands: dict[str, list[str]] = {}
        self._logs = home / "logs"
        (home / "dagster").mkdir(parents=True)
        self._logs.mkdir()
        packaged = resources.files("cio_activation.dagster_runtime").joinpath("dagster.yaml")
        with resources.as_file(packaged) as path:
            instance = YAML().load(path)
        instance["run_monitoring"].update(monitoring or {})
        YAML().dump(instance, home / "dagster" / "dagster.yaml")
        world = ["--orders", str(orders)] if orders else []
        command = ["sandbox", "--people", str(people), "--port", "0", "--json", *world]
        told = self._told("sandbox", command)
        if apart:
            other = self._told("customerio", command)
            told["urls"]["customerio"] = other["urls"]["customerio"]
            told["environment"] |= {k: v for k, v in other["environment"].items() if k.startswith("CUSTOMERIO")}
        self.vendors: dict[str, str] = told["urls"]
        self.control = Control(self.vendors)
        code, ui = free_port(), free_port()
        self.webserver = f"http://127.0.0.1:{ui}"
        self.environment = {
            **told["environment"],
            "ACTIVATION_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "DAGSTER_WEBSERVER_URL": self.webserver,
        }
        os.environ.update(self.environment)
        workspace = home / "workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {code}, location_name: {LOCATION}}}\n"
        )
        where = ["-h", "127.0.0.1", "-p"]
        self._commands = {
            "code": ["dagster", "api", "grpc", "-m", "cio_activation.definitions", *where, str(code)],
            "webserver": ["dagster_webserver", "-w", str(workspace), *where, str(ui)],
            "daemon": ["dagster._daemon", "run", "-w", str(workspace)],
        }

    def start_dagster(self) -> None:
        """Start code server, webserver and daemon, switch the sensor on, and return once all answer."""
        with dg.DagsterInstance.get() as instance:
            instance.get_runs_count()  # makes the databases: two processes at once would make them twice
            instance.all_logs("none")
        for name in self._commands:
            self.start(name)
        self.wait(self._switched_on, 180, "the code location does not load")

    def start(self, name: str) -> None:
        """Start one of Dagster's processes (``code``, ``webserver``, ``daemon``), or start it again."""
        with (self._logs / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *self._commands[name]], stdout=log, stderr=log, text=True, cwd=self.home
            )

    def kill(self, name: str) -> None:
        """SIGKILL one process; what it started lives on, as in life."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait(30)

    def start_receiver(self) -> None:
        """Start the webhook receiver and connect the stand-in's journeys to it."""
        told = self._told("receiver", ["receive", "--port", "0", "--json"])
        self.edit(action="connect_webhook", source="journey", url=told["webhooks"]["journey"])

    def edit(self, **change: Any) -> dict[str, Any]:
        """Do something by hand in the Customer.io stand-in; see the stand-in's module ``manual_edits``."""
        return dict(self.control.edit("customerio", **change))

    def log(self, vendor: str, since: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the stand-in's request log of one vendor after call ``since``, the first ``limit`` entries of it."""
        return self.control.log(vendor, since, limit)

    def launch(self, job: str, partition: str) -> str:
        """Launch a run as the UI does; return its id."""
        selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "jobName": job}
        tags = [{"key": "dagster/partition", "value": partition}]
        params = {"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}}
        answer = self.graphql(_LAUNCH, {"p": params}) or {}
        return str(answer["launchRun"]["run"]["runId"])

    def runs(self, **only: Any) -> list[dict[str, Any]]:
        """Return runs, newest first; ``only``: fields of Dagster's ``RunsFilter``."""
        return list((self.graphql(_FIND, {"f": only}) or {})["runsOrError"]["results"])

    def ended(self, run_id: str) -> str | None:
        """Return how a run ended, None while it goes on."""
        status = str(self.runs(runIds=[run_id])[0]["status"])
        return status if status in ("SUCCESS", "FAILURE", "CANCELED") else None

    def graphql(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any] | None:
        """Ask the webserver; None while it does not answer."""
        try:
            answer = httpx.post(
                f"{self.webserver}/graphql",
                json={"query": query, "variables": variables or {}},
                timeout=60,
                verify=False,  # plain HTTP, and asked five times a second: no certificates to load
            )
        except httpx.TransportError:
            return None
        return dict(answer.json()["data"]) if answer.status_code == 200 else None

    def wait(self, found: Callable[[], Any], seconds: float, problem: str) -> Any:
        """Return the first true value of ``found``; TimeoutError with ``problem`` after ``seconds``."""
        until = time.monotonic() + seconds
        while not (value := found()):
            if time.monotonic() > until:
                raise TimeoutError(f"{problem}; logs are in {self._logs}")
            time.sleep(0.2)
        return value

    def stop(self) -> None:
        """End every process that was started here, Dagster's first."""
        for name in ("daemon", "receiver", "webserver", "code", "sandbox", "customerio"):
            if process := self.processes.get(name):
                process.terminate()
        until = time.monotonic() + GRACE_S
        for process in self.processes.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:  # Dagster's processes finish what they wait for first
                process.kill()
                process.wait(20)
            if process.stdout is not None:
                process.stdout.close()

    def _switched_on(self) -> bool:
        selector = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
        found = self.graphql(_SWITCH, {"s": selector | {"sensorName": "realtime_sensor"}})
        return found is not None and found["startSensor"]["__typename"] == "Sensor"

    def _told(self, name: str, arguments: list[str]) -> dict[str, Any]:
        """Start one of our own commands and return what it prints once it is ready."""
        with (self._logs / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "cio_activation.cli.main", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.home,
            )
        self.processes[name] = process
        assert process.stdout is not None
        told = emitted(process.stdout)
        assert told, f"{name} did not start: {(self._logs / f'{name}.log').read_text()[-2000:]}"
        return told


@contextmanager
def site(
    home: Path,
    people: int,
    orders: Path | None = None,
    *,
    apart: bool = False,
    monitoring: Mapping[str, int] | None = None,
) -> Iterator[Site]:
    """Yield an installation whose stand-ins run; everything it started ends with the block."""
    before = dict(os.environ)
    made = Site(home, people, orders, apart=apart, monitoring=monitoring)
    try:
        yield made
    finally:
        made.stop()
        os.environ.clear()
        os.environ.update(before)


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
