"""The guide to the drivers is true: every module of theirs is in it, and every example runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cio_activation_tests import drivers
from cio_activation_tests.drivers.customerio import CustomerioBench, workspace
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench
from cio_activation_tests.drivers.pipedrive import PipedriveBench, model
from cio_activation_tests.drivers.stand_ins import pipedrive

GUIDE = Path(drivers.__path__[0]) / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
MAKERS: dict[type, Callable[[Path], Any]] = {
    HubSpotBench: hubspot_bench,
    PipedriveBench: lambda home: PipedriveBench(home, pipedrive.begin(), model()),
    CustomerioBench: lambda home: CustomerioBench(home, workspace()),
}


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[str, type], Any]]:
    """Make what an example's parameter asks for: a folder, or a bench that is stopped when the test ends."""
    with ExitStack() as stack:

        def one(name: str, kind: type) -> Any:
            if kind is Path:
                return tmp_path
            bench = MAKERS[kind](tmp_path / name)
            stack.callback(bench.stop)
            return bench

        yield one


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.strip().splitlines()[-1].strip()[:40])
def test_an_example_runs(example: str, made: Callable[[str, type], Any]) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example, str(GUIDE), "exec"), names)
    for function in [f for f in names.values() if inspect.isfunction(f) and f.__module__ == "example"]:
        hints = get_type_hints(function)
        function(*(made(f"{function.__name__}-{n}", hints[n]) for n in inspect.signature(function).parameters))


def test_there_are_examples_and_every_driver_is_in_the_guide() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 8
    folder = GUIDE.parent
    modules = [p.relative_to(folder).as_posix() for p in folder.rglob("*.py") if p.name != "__init__.py"]
    shared = {"bench.py", "stand_ins/stand_in.py"}  # bases: named by their classes
    missing = [m for m in modules if m not in text and m not in shared and not m.startswith("stand_ins/")]
    assert missing == []
