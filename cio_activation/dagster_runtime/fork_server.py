"""The warm process: has everything imported, and forks itself once per run. Started by :mod:`.launcher`.

Protocol: one line in, by how much the run is to be nice to others and its arguments as ``dagster api execute_run``
takes them. One line out, by the forked process itself: its number once it has claimed the run, ``taken`` if another
process has it, or an error. As long as there is no line and no end of the output, a process may still claim it; if the
warm process is killed, the end of the output says that none will. It ends when its standard input does, with the daemon
that started it; runs go on.
It has no threads and no open connection of its own, so a fork is a clean copy.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from contextlib import suppress

TAKEN = "taken"
"""The answer of a process that finds another one at its run."""
ERROR = "error "
"""The beginning of an answer that says why no run could be claimed."""

PRELOADED = (
    "cio_activation.definitions",
    "cio_activation.dagster_runtime.storage",
    "cio_activation.dagster_runtime.run_claims",
    "cio_activation.transport.http",
    "cio_activation.audience.members",
    "cio_activation.customerio.live",
    "cio_activation.customerio.moments",
    "cio_activation.customerio.people",
    "cio_activation.delivery.rejected",
    "cio_activation.delivery.ownership",
    "cio_activation.identity.resolve",
    "cio_activation.state.derive",
    "dagster._core.execution.api",
    "dagster._core.storage.event_log",
    "dagster._core.storage.runs",
    "dagster._core.run_coordinator.queued_run_coordinator",
    "anyio._backends._asyncio",
    "certifi",
    "encodings.idna",
    "h11",
    "httpcore",
    "orjson",
    "pandas",
    "pandera.pandas",
    "pyarrow.parquet",
)
"""What a run would import one after another."""


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runs; this process ends with the daemon
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the runs: Dagster's log has how they ended
    answers = os.dup(1)
    os.dup2(2, 1)
    for name in PRELOADED:
        importlib.import_module(name)
    _validate_once()
    with suppress(Exception):  # an activation that does not load: the run says what is wrong with it
        # A run reads the file, and builds its own only if that says something else by then.
        importlib.import_module(PRELOADED[0]).defs().get_repository_def().get_job("realtime")
    os.write(answers, b"ready\n")
    for line in sys.stdin:
        if os.fork() == 0:
            nice, _, arguments = line.strip().partition(" ")
            _execute(int(nice), arguments, answers)


def _validate_once() -> None:
    """Have Pandera look for its checks, which it puts off until the first frame: half a second of every run."""
    import pandas as pd
    import pandera.pandas as pa

    pa.DataFrameSchema({"rows": pa.Column(int, pa.Check.ge(0))}).validate(pd.DataFrame({"rows": [0]}))


def _execute(nice: int, arguments: str, answers: int) -> None:
    """Be the run's process from here on; never returns."""
    from dagster._cli.api import execute_run_command

    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.nice(nice)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if _claimed(arguments, answers):
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


def _claimed(arguments: str, answers: int) -> bool:
    """Claim the run and answer the launcher, who may be gone by now: the claim counts, not who hears of it."""
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import deserialize_value

    from cio_activation.activation.settings import Settings
    from cio_activation.dagster_runtime.run_claims import claimed

    answer = ERROR
    try:
        mine = claimed(deserialize_value(arguments, ExecuteRunArgs), Settings().activation_home)
        answer = str(os.getpid()) if mine else TAKEN
    except BaseException as error:
        answer = f"{ERROR}{type(error).__name__}: {error}".replace("\n", " ")[:500]
        raise
    finally:
        with suppress(OSError):
            os.write(answers, f"{answer}\n".encode())
        os.close(answers)
    return mine


if __name__ == "__main__":
    main()
