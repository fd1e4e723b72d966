"""``cio-activation demo``: the whole main job, end to end, against the stand-ins, through real Dagster runs."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.cli import demo_home
from cio_activation.cli.demo_home import DemoHome
from cio_activation.cli.output import Json, emit, exit_codes, notes
from cio_activation.cli.progress import bars
from cio_activation.cli.stopping import beside, ended_by_sigterm
from cio_activation.cli.windows import ENDS, Windows, dagster_home
from cio_activation.errors import CioActivationError, ConfigError
from cio_activation.transport.progress import working

SETTLE_SECONDS = 300
"""Vendors' time after a window's end at which the demo runs it."""


def demo(
    home: Annotated[Path, typer.Option(help="Folder for the warehouse, the journal and Dagster's history.")] = Path(
        ".activation"
    ),
    days: Annotated[
        int, typer.Option(min=1, max=60, help="Daily windows to run at most, ending with the last full day.")
    ] = 3,
    people: Annotated[int | None, typer.Option(min=1, help="Only this many people of the world.")] = None,
    activation: Annotated[
        Path | None, typer.Option(help="An activation file of your own, or of examples/; the default one if left out.")
    ] = None,
    orders: Annotated[
        Path | None,
        typer.Option(help="Order history (Parquet: customer_id, order_id, ordered_at, value, category) as the world."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the demo that the home holds: the days since, and now.")
    ] = False,
    ui: Annotated[
        bool,
        typer.Option(
            "--ui", help="Then keep the Dagster UI and the stand-ins running; of a home that is there, only that."
        ),
    ] = False,
    port: Annotated[int, typer.Option(help="First of the stand-ins' three ports; 0 takes free ones.")] = 0,
    ui_port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    json: Json = False,
) -> None:
    """Replay real order histories as Customer.io people and carry their states into HubSpot and Pipedrive."""
    with exit_codes(json), ended_by_sigterm(), bars(json):
        folder = home.resolve()
        opens = ui and not resume and (folder / demo_home.FILE).is_file()
        if resume or opens:
            _refuse_other_world("--resume" if resume else "--ui", people=people, activation=activation, orders=orders)
            remembered = DemoHome.of(folder)
        else:
            demo_home.require_free(folder)
            remembered = DemoHome.new(orders, people, activation)
        demo_run = Demo(folder, remembered, days=days, port=port, resumed=resume or opens)
        result = demo_run.run(ui_port if ui else None, opens=opens)
    if json:
        emit(result)
    elif not opens:
        _print(result)
    if not result["ok"]:
        raise typer.Exit(1)


def _refuse_other_world(option: str, **given: Any) -> None:
    """Raise ConfigError for options that say what the world is, where it is there already."""
    if named := [f"--{name}" for name, value in given.items() if value is not None]:
        raise ConfigError(f"{option} takes the world and the activation of the home; leave out {', '.join(named)}")


class Demo:
    """One demo run: sandbox, windows, read-back."""

    def __init__(self, home: Path, remembered: DemoHome, *, days: int, port: int, resumed: bool) -> None:
        self._home, self._remembered, self._days, self._port = home, remembered, days, port
        self._resumed = resumed
        self._seconds: dict[str, Any] = {"daily": {}, "realtime": {}}
        self._failed: list[str] = []

    def run(self, ui_port: int | None = None, *, opens: bool = False) -> dict[str, Any]:
        """Run every window and return what happened, as read back from the stand-ins; ``opens``: run none."""
        from cio_activation.cli.world import recorded, start_sandbox

        started = time.monotonic()
        orders = self._remembered.orders
        sandbox = start_sandbox(
            orders=Path(orders) if orders else None,
            people=self._remembered.people,
            port=self._port,
            ends_at=self._remembered.ends_at,
            **recorded(self._home / demo_home.STAND_INS),
        )
        self._seconds["world"] = round(time.monotonic() - started, 2)
        try:
            self._point_at(sandbox.environment())
            if self._resumed:
                sandbox.shared.clock.set(time.time())
            else:
                self._remembered.write(self._home)
            result: dict[str, Any] = {"ok": True, "home": str(self._home), "failed": []}
            if not opens:
                result = self._windows(sandbox)
            self._seconds["total"] = round(time.monotonic() - started, 2)
            result["seconds"] = self._seconds
            if ui_port is not None:
                _keep_open(self._home, ui_port, result, sandbox, switching_on=not opens)
        except KeyboardInterrupt:
            notes.print(f"stopped; `demo --resume --home {self._home}` goes on with it", markup=False, soft_wrap=True)
            raise
        finally:
            sandbox.stop()
        return result

    def _windows(self, sandbox: Any) -> dict[str, Any]:
        import dagster as dg

        from cio_activation.activation.loader import load_activation
        from cio_activation.activation.settings import Settings
        from cio_activation.cli import people
        from cio_activation.cli.readback import read_back, write_calls
        from cio_activation.destinations import DESTINATIONS
        from cio_activation.outcome.summary import summarise
        from cio_activation.runtime import Runtime

        settings = Settings()
        activation = load_activation(settings.activation_file, DESTINATIONS)
        windows = Windows(activation)
        daily, realtime = self._choose(windows.lanes, sandbox.shared.clock.now())
        fields = people.outcome_fields(activation)
        if not self._resumed:
            people.hire(sandbox.urls, people.named(activation), fields)
        again: dict[str, Any] | None = None
        with dg.DagsterInstance.get() as instance:
            for window in daily:
                sandbox.shared.clock.set(window.end.timestamp() + SETTLE_SECONDS)
                people.work(sandbox.urls)
                self._materialize(windows, instance, window, "daily")
            if daily:
                before = write_calls(sandbox.urls)
                self._materialize(windows, instance, daily[-1], "second_run")
                after = write_calls(sandbox.urls)
                again = {
                    "window": daily[-1].key,
                    "write_calls": sum(after.values()) - sum(before.values()),
                    "calls": {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)},
                }
            for window, at in realtime:
                sandbox.shared.clock.set(at)
                people.work(sandbox.urls)
                self._materialize(windows, instance, window, "realtime")
        runtime = Runtime.build(settings, activation)
        return {
            "ok": not self._failed,
            "failed": self._failed,
            "home": str(self._home),
            "resumed": self._resumed,
            "windows": {"daily": [w.key for w in daily], "realtime": [w.key for w, _ in realtime]},
            **summarise(runtime),
            **read_back(sandbox.urls, activation.workspace.prefix),
            "work": people.asked_for(sandbox.urls),
            "outcomes": people.outcomes(sandbox.urls, fields["outcome"]) if fields else {},
            "second_run": again,
            "report": _report(runtime),
        }

    def _choose(self, lanes: Any, now: float) -> tuple[list[Window], list[tuple[Window, float]]]:
        """Return the last full days, and (window, vendors' time in s) of the real-time runs that follow them.

        Of a demo that is gone on with the days since its last one, and the real-time window that is now.
        """
        newest = lanes.window_at(Lane.DAILY, datetime.fromtimestamp(now, UTC)).start
        daily: list[Window] = []
        for back in range(self._days, 0, -1):
            daily.append(lanes.window_at(Lane.DAILY, newest - timedelta(days=back) + timedelta(hours=12)))
        if self._resumed:
            done = demo_home.daily_windows(self._home)
            daily = [window for window in daily if not done or window.key > done[-1]]
            if not daily:
                notes.print(f"no day has ended since {done[-1]}, the demo's last; the real-time lane goes on")
            return daily, [(lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(now, UTC)), now)]
        earliest = daily[-1].end.timestamp() + SETTLE_SECONDS
        span = lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(now, UTC))
        length = (span.end - span.start).total_seconds()
        instants = sorted({max(earliest + i, now - (2 - i) * length) for i in range(3)})
        return daily, [(lanes.window_at(Lane.REALTIME, datetime.fromtimestamp(i, UTC)), i) for i in instants]

    def _materialize(self, windows: Windows, instance: Any, window: Window, stage: str) -> None:
        with working(f"{stage} {window.key}"):
            ran = windows.run(instance, window)
        self._failed += [f"{stage} {window.key} {failure}" for failure in ran.failures]
        end = "ok" if ran.ok else "[red]failed[/]"
        notes.print(f"[dim]{stage}[/] {window.key} {end} ({ran.seconds} s)")
        if stage in ("daily", "realtime"):
            self._seconds[stage][window.key] = ran.seconds
        else:
            self._seconds[stage] = ran.seconds

    def _point_at(self, environment: dict[str, str]) -> None:
        """Point this process (and those it starts) at the stand-ins and the demo's own home."""
        history = dagster_home(self._home)
        os.environ.update(environment, ACTIVATION_HOME=str(self._home), DAGSTER_HOME=str(history))
        if self._remembered.activation is not None:
            os.environ["ACTIVATION_FILE"] = self._remembered.activation


def _report(runtime: Any) -> str | None:
    """Write the report; None, and why, where the extra it needs is not installed."""
    from cio_activation.outcome.report.build import write

    try:
        return str(write(runtime).path)
    except CioActivationError as error:
        notes.print(f"no report: {error}", markup=False)
        return None


def _keep_open(home: Path, ui_port: int, result: dict[str, Any], sandbox: Any, *, switching_on: bool) -> None:
    """Run ``dagster dev`` and the webhook receiver beside the stand-ins until interrupted.

    ``switching_on``: with the schedules and the sensor on; else they stay as they were left.
    """
    from cio_activation.activation.loader import load_activation
    from cio_activation.activation.settings import Settings
    from cio_activation.automation.toggles import switch_on
    from cio_activation.cli.receiver_process import receiver_beside
    from cio_activation.destinations import DESTINATIONS

    if switching_on:
        switch_on(load_activation(Settings().activation_file, DESTINATIONS))
    os.environ["DAGSTER_WEBSERVER_URL"] = f"http://127.0.0.1:{ui_port}"  # the receiver launches runs there
    notes.print(f"The Dagster UI opens at http://127.0.0.1:{ui_port}; Ctrl-C ends all of it. Home: {home}")
    if not switching_on:
        notes.print("Nothing is run anew; schedules and sensors are as they were left.")
    if not result["ok"]:
        notes.print("[red]Some windows failed; see the runs in the UI.[/]")
    command = [sys.executable, "-m", "dagster", "dev", "-m", "cio_activation.definitions", "-p", str(ui_port)]
    with receiver_beside() as webhooks:
        for source, url in webhooks.items():
            sandbox.vendors["customerio"].edit({"action": "connect_webhook", "source": source, "url": url})
        notes.print(
            f"Carts, orders and clicks made by hand come as webhooks: POST {sandbox.urls['customerio']}/_sandbox/edit"
        )
        with suppress(KeyboardInterrupt), beside([*command, "-h", "127.0.0.1"]) as process:
            if process.wait() != 0:
                raise CioActivationError("dagster dev ended with an error; its output is above")


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

    table = Table("destination", *ENDS)
    for name, counts in result["operations"].items():
        table.add_row(name, *(f"{counts[end]:,}" for end in ENDS))
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
    if again := result["second_run"]:
        notes.print(f"the newest day again: {again['write_calls']} write calls")
    notes.print(f"{result['seconds']['total']} s in all; home: {result['home']}", soft_wrap=True)
    notes.print("`--resume` goes on with it, `--ui` opens it in Dagster's UI")
    if result["report"]:
        notes.print(f"the report: {result['report']}", markup=False, soft_wrap=True)
    for failure in result["failed"]:
        notes.print(f"[red]failed[/] {failure}")
