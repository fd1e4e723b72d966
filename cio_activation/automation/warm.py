"""The warm process: has everything imported, and forks itself once per run. Started by :mod:`.launcher`.

Protocol: one line in, by how much the run is to be nice to others and its arguments as ``dagster api execute_run``
takes them; one line out, the number of the process that executes it. It ends when its standard input does, with the
daemon that started it; runs go on.
It has no threads and no open connection of its own, so a fork is a clean copy.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from typing import TextIO

PRELOADED = (
    "cio_activation.definitions",
    "cio_activation.transport.http",
    "cio_activation.audience.members",
    "cio_activation.customerio.pull",
    "cio_activation.delivery.rejected",
    "cio_activation.delivery.ownership",
    "cio_activation.identity.resolve",
    "cio_activation.state.derive",
    "dagster._core.execution.api",
    "dagster._core.storage.event_log",
    "dagster._core.storage.runs",
    "dagster._core.run_coordinator.queued_run_coordinator",
    "orjson",
    "pandas",
    "pandera.pandas",
    "pyarrow",
)
"""What a run would import one after another."""


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runs; this process ends with the daemon
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the runs: Dagster's log has how they ended
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for name in PRELOADED:
        importlib.import_module(name)
    importlib.import_module(PRELOADED[0]).defs().get_repository_def()  # a run builds its own: little, once this ran
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            nice, _, arguments = line.strip().partition(" ")
            _execute(int(nice), arguments, answers)
        print(pid, file=answers, flush=True)


def _execute(nice: int, arguments: str, answers: TextIO) -> None:
    """Be the run's process from here on; never returns."""
    from dagster._cli.api import execute_run_command

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.nice(nice)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.close(answers.fileno())
        execute_run_command.main([arguments], standalone_mode=False)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - whatever it was, the copy of the warm process must not go on
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
