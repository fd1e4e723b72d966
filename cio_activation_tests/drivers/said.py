"""Which test files between them say every statement that the product says to DuckDB, in the least time.

``pytest -p cio_activation_tests.drivers.said --said=FOLDER`` notes the places in the product that a test file's statements come
from, and its seconds; ``python -m cio_activation_tests.drivers.said FOLDER`` then lists the files, best first. ``scripts/test`` has
these run on the oldest DuckDB supported.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cio_activation.warehouse.connection import Connection

PRODUCT = str(Path(__file__).parents[2] / "cio_activation") + os.sep
places: dict[str, set[str]] = defaultdict(set)
seconds: dict[str, float] = defaultdict(float)
_now = ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--said", help="folder for what each test file says to DuckDB")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    global _now
    _now = item.path.relative_to(item.config.rootpath).as_posix()
    return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds[report.nodeid.partition("::")[0]] += report.duration


@pytest.fixture(scope="session", autouse=True)
def noted() -> Generator[None]:
    """Note where each statement comes from."""
    really = Connection.execute

    def execute(self: Connection, query: str, parameters: object = None) -> Any:
        frame = sys._getframe(1)
        if frame.f_code.co_filename.startswith(PRODUCT):
            places[_now].add(f"{frame.f_code.co_filename.removeprefix(PRODUCT)}:{frame.f_lineno}")
        return really(self, query, parameters)

    with mock.patch.object(Connection, "execute", execute):
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    if folder := session.config.getoption("--said"):
        found = {name: [seconds[name], sorted(places[name])] for name in seconds}
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{os.getpid()}.json").write_text(json.dumps(found))


def chosen(folder: Path) -> list[tuple[str, float, int]]:
    """Return file, seconds and how many places it adds: always the one that adds most for its time."""
    said: dict[str, tuple[float, set[str]]] = {}
    for file in folder.glob("*.json"):
        for name, (took, there) in json.loads(file.read_text()).items():
            before = said.get(name, (0.0, set[str]()))
            said[name] = (max(before[0], took), before[1] | set(there))
    left, found = set[str]().union(*(there for _, there in said.values())), []
    while left:
        name = max(said, key=lambda one: len(said[one][1] & left) / (said[one][0] + 1.0))
        found.append((name, said[name][0], len(said[name][1] & left)))
        left -= said[name][1]
    return found


if __name__ == "__main__":
    total = 0.0
    for name, took, places_added in chosen(Path(sys.argv[1])):
        total += took
        print(f"{total:7.1f} s  {took:6.1f} s  {places_added:4}  {name}")
