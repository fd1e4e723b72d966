"""The crash suite's command: ``python -m cio_activation_tests.crash.run --kills 200``. Prints its figures as JSON.

Exit code 1 if anything was lost, made twice, left unaccounted for or not quiet afterwards.
"""

from __future__ import annotations

import os

# Before numpy is imported: a process with threads cannot be forked safely.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path

from cio_activation.activation.models import Lane
from cio_activation_tests.crash.suite import running


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="kills at random moments")
    parser.add_argument("--boundaries", type=int, default=None, help="at most this many named boundaries a lane")
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--home", type=Path, default=None, help="an empty folder; one in memory by default")
    given = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        home = given.home or Path(folder)
        with running(home, people=given.people, seed=given.seed) as suite:
            suite.random_kills(given.kills)
            # Lanes take turns: one that rests for a day comes back with so many exits that a guard holds them.
            for pair in zip_longest(*(_some(suite.boundaries(lane), given.boundaries) for lane in Lane)):
                for lane, name in zip(Lane, pair, strict=True):
                    if name is not None:
                        suite.kill_at(lane, name)
            figures = suite.figures
    print(json.dumps(figures.as_dict(), indent=2))
    return 0 if figures.clean else 1


def _some(names: list[str], most: int | None) -> list[str]:
    """Return up to ``most`` of ``names``, spread over all of them."""
    return names if most is None else names[:: max(1, len(names) // max(1, most))][:most]


if __name__ == "__main__":
    sys.exit(main())
