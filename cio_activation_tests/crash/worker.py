"""One run of a lane that may be killed: ``python -m cio_activation_tests.crash.worker HOME LANE WINDOW``.

``CRASH_AT=<boundary>#<n>`` kills this process (SIGKILL) when it comes to a named boundary for the n-th time;
``CRASH_TRACE=<file>`` writes every boundary it passes, one a line. Both are known here only: the boundaries are
wrapped around the project's own functions, which know nothing of it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.cli.readback import READS
from cio_activation.delivery import run as running
from cio_activation.journal.attempts import Journal
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation_tests.drivers import lanes

CRASH_AT, CRASH_TRACE = "CRASH_AT", "CRASH_TRACE"
_START = "launch: {baseline: include}, cooldown: 0m, again_after: 0m, respect_handled: false"
ACTIVATION = (
    lanes.ACTIVATION.replace("asked_where: {", f"asked_where: {{{_START}, gate: wismo_clicks_30d >= 0, ")
    .replace("hot_cart: {", f"hot_cart: {{{_START}, gate: cart_value > 0, ")
    .replace(
        "expires_after: 14d, deliver: {hubspot: {list: true}, pipedrive: {flag: true}}",
        "expires_after: 14d, deliver: {hubspot: {list: true}, pipedrive: {flag: true, "
        "activity: {subject: 'Clicks: {wismo_clicks_30d}', owner: cx@example.com}}}",
    )
    .replace(
        "deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}\ndestinations:",
        "deliver: {hubspot: {list: true, task: {subject: 'Cart: {cart_value}', owner: ada@example.com}}, "
        "pipedrive: {flag: true}}}\nlimits: {human_touches_per_person: {max: 999}}\ndestinations:",
    )
    + "  customerio: {}\n"
)
"""The small activation in which people are asked to act in both CRMs, and Customer.io is told."""


class Boundaries:
    """Counts the boundaries a run passes and kills it at the wanted one. Names read ``<step> <what>``."""

    def __init__(self, wanted: str | None, trace: Path | None) -> None:
        name, _, number = (wanted or "").partition("#")
        self._wanted, self._number, self._trace = name, int(number or 1), trace
        self._passed: Counter[str] = Counter()
        self.step = "decide"

    def passes(self, what: str) -> None:
        name = f"{self.step} {what}"
        self._passed[name] += 1
        if self._trace is not None:
            with self._trace.open("a") as file:
                file.write(f"{name}#{self._passed[name]}\n")
        if name == self._wanted and self._passed[name] == self._number:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """Wrap the project's functions, in this process."""
        for owner, name in (
            (Journal, "intend"),
            (Journal, "record"),
            (Journal, "prune"),
            (running, "fold"),
            (lanes, "derive"),
            (lanes, "resolve"),
            (lanes, "update"),
        ):
            setattr(owner, name, self._around(getattr(owner, name), name))
        lanes.run_schema = self._as_step(lanes.run_schema, lambda a: f"{a[1].name}/schema")
        lanes.run_step = self._as_step(lanes.run_step, lambda a: f"{a[1].name}/{a[2].name}")
        Warehouse.write = self._session(Warehouse.write)  # type: ignore[method-assign]
        VendorClient.request = self._request(VendorClient.request)  # type: ignore[method-assign]

    def _around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            self.passes(f"before {name}")
            result = function(*args, **more)
            self.passes(f"after {name}")
            return result

        return wrapped

    def _as_step(self, function: Callable[..., Any], name_of: Callable[[tuple[Any, ...]], str]) -> Callable[..., Any]:
        def wrapped(*args: Any, **more: Any) -> Any:
            self.step = name_of(args)
            result = function(*args, **more)
            self.passes("end")
            return result

        return wrapped

    def _session(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def wrapped(warehouse: Warehouse, **options: float) -> Iterator[Connection]:
            with function(warehouse, **options) as con:
                yield con
                self.passes("before commit")
            self.passes("after commit")

        return wrapped

    def _request(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapped(client: VendorClient, method: str, path: str, **more: Any) -> Any:
            writes = method != "GET" and not path.endswith(READS)
            what = "write" if writes else "read"
            self.passes(f"before {what}")
            if writes:
                # The bytes are out and the vendor works, but has not answered yet.
                asyncio.get_running_loop().call_later(0.002, self.passes, "during write")
            answer = await function(client, method, path, **more)
            self.passes(f"after {what}")
            return answer

        return wrapped


def work(home: Path, lane: Lane, number: int, *, run_id: str = "run", refresh: bool = True) -> lanes.LaneRun:
    """Run the lane's window, by the settings of this process's environment."""
    activation = lanes.small_activation(home, ACTIVATION)
    runtime = lanes.build_runtime(home, dict(os.environ), activation)
    return lanes.run_lane(runtime, lane, lanes.window(lane, number), run_id, refresh=refresh)


def killable(home: Path, lane: Lane, number: int) -> None:
    """Run the lane with the kill points that the environment asks for."""
    trace = os.environ.get(CRASH_TRACE)
    Boundaries(os.environ.get(CRASH_AT), Path(trace) if trace else None).install()
    work(home, lane, number, run_id=f"killed-{os.getpid()}")


if __name__ == "__main__":
    killable(Path(sys.argv[1]), Lane(sys.argv[2]), int(sys.argv[3]))
