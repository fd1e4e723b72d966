"""``cio-activation demo``: the whole main job, end to end, against the stand-ins, through real Dagster runs."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.errors import CioActivationError

SETTLE_SECONDS = 300
"""Vendors' time after a window's end at which the demo runs it."""


def demo(
    home: Annotated[Path, typer.Option(help="Folder for the warehouse, the journal and Dagster's history.")] = Path(
        ".activation"
    ),
    days: Annotated[int, typer.Option(min=1, max=60, help="Daily windows to run, ending with the last full day.")] = 3,
    people: Annotated[int | None, typer.Option(min=1, help="Only this many people of the world.")] = None,
    activation: Annotated[
        Path | None, typer.Option(help="An activation file of your own, or of examples/; the default one if left out.")
    ] = None,
    orders: Annotated[
        Path | None,
        typer.Option(help="Order history (Parquet: customer_id, order_id, ordered_at, value, category) as the world."),
    ] = None,
    ui: Annotated[bool, typer.Option("--ui", help="Then keep the Dagster UI and the stand-ins running.")] = False,
    port: Annotated[int, typer.Option(help="First of the stand-ins' three ports; 0 takes free ones.")] = 0,
    ui_port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    json: Json = False,
) -> None:
    """Replay real order histories as Customer.io people and carry their states into HubSpot and Pipedrive."""
    with exit_codes(json):
        chosen = activation.resolve() if activation is not None else None
        demo_run = Demo(home.resolve(), days=days, people=people, orders=orders, port=port, activation=chosen)
        result = demo_run.run(ui_port if ui else None)
    if json:
        emit(result)
    else:
        _print(result)
    if not result["ok"]:
        raise typer.Exit(1)


class Demo:
    """One demo run: sandbox, windows, read-back."""

    def __init__(
        self,
        home: Path,
        *,
        days: int,
        people: int | None,
        orders: Path | None,
        port: int,
        activation: Path | None = None,
    ) -> None:
        if (home / "warehouse.duckdb").exists():
            raise ValueError(
                f"{home} already holds a warehouse; its people and links belong to other stand-ins. "
                "Choose another --home, or remove that folder"
            )
        self._home, self._days, self._people, self._orders, self._port = home, days, people, orders, port
        self._activation = activation
        self._seconds: dict[str, Any] = {"daily": {}, "realtime": {}}
        self._failed: list[str] = []

    def run(self, ui_port: int | None = None) -> dict[str, Any]:
        """Run every window and return what happened, as read back from the stand-ins."""
        from cio_activation.cli.world import start_sandbox

        started = time.monotonic()
        sandbox = start_sandbox(orders=self._orders, people=self._people, port=self._port)
        self._seconds["world"] = round(time.monotonic() - started, 2)
        try:
            self._point_at(sandbox.environment())
            result = self._windows(sandbox)
            self._seconds["total"] = round(time.monotonic() - started, 2)
            result["seconds"] = self._seconds
            if ui_port is not None:
                _keep_open(self._home, ui_port, result, sandbox)
        finally:
            sandbox.stop()
        return result

    def _windows(self, sandbox: Any) -> dict[str, Any]:
        import dagster as dg

        from cio_activation.activation.loader import load_activation
        from cio_activation.activation.settings import Settings
        from cio_activation.cli import people
        from cio_activation.cli.readback import read_back, write_calls
        from cio_activation.definitions import build_definitions
        from cio_activation.destinations import DESTINATIONS
        from cio_activation.lanes.partitions import Lanes
        from cio_activation.outcome.summary import summarise
        from cio_activation.runtime import Runtime

        settings = Settings()
        activation = load_activation(settings.activation_file, DESTINATIONS)
        definitions = build_definitions(activation)
        lanes = Lanes.of(activation)
        daily, realtime = self._choose(lanes, sandbox.shared.clock.now())
        fields = people.outcome_fields(activation)
        people.hire(sandbox.urls, people.named(activation), fields)
        with dg.DagsterInstance.get() as instance:
            for window in daily:
                sandbox.shared.clock.set(window.end.timestamp() + SETTLE_SECONDS)
                people.work(sandbox.urls)
                self._materialize(definitions, instance, window, "daily")
            before = write_calls(sandbox.urls)
            self._materialize(definitions, instance, daily[-1], "second_run")
            after = write_calls(sandbox.urls)
            for window, at in realtime:
                sandbox.shared.clock.set(at)
                people.work(sandbox.urls)
                self._materialize(definitions, instance, window, "realtime")
        runtime = Runtime.build(settings, activation)
        return {
            "ok": not self._failed,
            "failed": self._failed,
            "home": str(self._home),
            "windows": {"daily": [w.key for w in daily], "realtime": [w.key for w, _ in realtime]},
            **summarise(runtime),
            **read_back(sandbox.urls, activation.workspace.prefix),
            "work": people.asked_for(sandbox.urls),
            "outcomes": people.outcomes(sandbox.urls, fields["outcome"]) if fields else {},
            "second_run": {
                "window": daily[-1].key,
                "write_calls": sum(after.values()) - sum(before.values()),
                "calls": {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)},
            },
            "report": _report(runtime),
        }

    def _choose(self, lanes: Any, now: float) -> tuple[list[Window], list[tuple[Window, float]]]:
        """Return the last full days, and (window, vendors' time in s) of the real-time runs that follow them."""
        newest = lanes.window_at(Lane.DAILY, datetime.fromtimestamp(now, UTC)).start
        daily: list[Window] = []
        for back in range(self._days, 0, -1):
            daily.append(lanes.window_at(Lane.DAILY, newest - timedelta(days=back) + timedelta(hours=12)))
        earliest = daily[-1].end.timestamp() + SETTLE_SECONDS
        span = lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(now, UTC))
        length = (span.end - span.start).total_seconds()
        instants = sorted({max(earliest + i, now - (2 - i) * length) for i in range(3)})
        return daily, [(lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(i, UTC)), i) for i in instants]

    def _materialize(self, definitions: Any, instance: Any, window: Window, stage: str) -> None:
        started = time.monotonic()
        job = definitions.resolve_job_def(str(window.lane))
        notes.print(f"[dim]{stage}[/] {window.key} ...", end=" ")
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        ended = job.execute_in_process(
            partition_key=window.key, instance=instance, raise_on_error=False, run_config=quiet
        )
        seconds = round(time.monotonic() - started, 2)
        if not ended.success:
            failures = [e for e in ended.all_events if e.event_type_value == "STEP_FAILURE"]
            self._failed += [f"{stage} {window.key} {e.step_key}: {_reason(e)}" for e in failures]
        notes.print(f"{'ok' if ended.success else '[red]failed[/]'} ({seconds} s)")
        if stage in ("daily", "realtime"):
            self._seconds[stage][window.key] = seconds
        else:
            self._seconds[stage] = seconds

    def _point_at(self, environment: dict[str, str]) -> None:
        """Point this process (and those it starts) at the stand-ins and the demo's own home."""
        dagster_home = self._home / "dagster"
        dagster_home.mkdir(parents=True, exist_ok=True)
        packaged = resources.files("cio_activation.dagster_runtime").joinpath("dagster.yaml")
        with resources.as_file(packaged) as path:
            shutil.copyfile(path, dagster_home / "dagster.yaml")
        os.environ.update(environment, ACTIVATION_HOME=str(self._home), DAGSTER_HOME=str(dagster_home))
        if self._activation is not None:
            os.environ["ACTIVATION_FILE"] = str(self._activation)


def _report(runtime: Any) -> str | None:
    """Write the report; None, and why, where the extra it needs is not installed."""
    from cio_activation.outcome.report.build import write

    try:
        return str(write(runtime).path)
    except CioActivationError as error:
        notes.print(f"no report: {error}", markup=False)
        return None


def _reason(event: Any) -> str:
    """Return what a failed step said: its failure's own description, else the error under Dagster's."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error else "failed"


def _keep_open(home: Path, ui_port: int, result: dict[str, Any], sandbox: Any) -> None:
    """Run ``dagster dev`` and the webhook receiver beside the stand-ins until interrupted, with the sensor on."""
    import subprocess
    import sys

    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import Settings
    from cio_activation.automation.toggles import switch_on
    from cio_activation.cli.receiver_process import receiver_beside
    from cio_activation.destinations import DESTINATIONS

    switch_on(load_activation(Settings().activation_file, DESTINATIONS))
    os.environ["DAGSTER_WEBSERVER_URL"] = f"http://127.0.0.1:{ui_port}"  # the receiver launches runs there
    notes.print(f"The Dagster UI opens at http://127.0.0.1:{ui_port}; stop with Ctrl-C. Home: {home}")
    if not result["ok"]:
        notes.print("[red]Some windows failed; see the runs in the UI.[/]")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "cio_activation.definitions", "-p", str(ui_port)]
    with receiver_beside() as webhooks:
        for source, url in webhooks.items():
            sandbox.vendors["customerio"].edit({"action": "connect_webhook", "source": source, "url": url})
        notes.print(
            f"Carts, orders and clicks made by hand come as webhooks: POST {sandbox.urls['customerio']}/_sandbox/edit"
        )
        process = subprocess.Popen([*command, "-h", "127.0.0.1"])
        try:
            if process.wait() != 0:
                raise CioActivationError("dagster dev ended with an error; its output is above")
        except KeyboardInterrupt:
            process.terminate()
            process.wait(30)


def _print_work(work: dict[str, list[dict[str, Any]]]) -> None:
    """Print what people are asked to do in the stand-ins, with who, until when, and what they did with it."""
    from rich.table import Table

    for vendor, asked in work.items():
        by_state = Counter(one["state"] for one in asked)
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(by_state.items())) or "nothing"
        notes.print(f"{vendor} asks people for {len(asked):,} things: {counts}", markup=False)
        if asked:
            table = Table("state", "who", "due (UTC)", "what")
            for one in asked[:5]:
                table.add_row(one["state"], one["owner"] or "(nobody)", one["due"] or "", one["subject"])
            notes.print(table)


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    ends = ("planned", "delivered", "rejected", "unneeded", "held")
    table = Table("destination", *ends)
    for name, counts in result["operations"].items():
        table.add_row(name, *(f"{counts[end]:,}" for end in ends))
    notes.print(table)
    for name, key in (("hubspot", "contacts"), ("pipedrive", "persons")):
        there = result[name]
        calls = sum(there["calls"].values())
        notes.print(f"{name}: {there[key]:,} {key}, {calls:,} calls, {there['throttled']} answered 429")
        for label, size in there.get("lists", {}).items():
            notes.print(f"   {size:>6,}  {label}", markup=False)
    _print_work(result["work"])
    for vendor, said in result["outcomes"].items():
        if not result["work"][vendor]:
            continue
        told = ", ".join(f"{count:,} {outcome}" for outcome, count in said.items()) or "nothing yet"
        notes.print(f"{vendor}: people say of what came of it: {told}", markup=False)
    source = result["customerio"]
    notes.print(f"customerio: {sum(source['calls'].values()):,} calls, {source['throttled']} answered 429")
    notes.print(f"quarantined: {result['quarantined']}", markup=False)
    again = result["second_run"]["write_calls"]
    notes.print(f"the newest day again: {again} write calls; {result['seconds']['total']} s in all")
    if result["report"]:
        notes.print(f"the report: {result['report']}", markup=False, soft_wrap=True)
    for failure in result["failed"]:
        notes.print(f"[red]failed[/] {failure}")
