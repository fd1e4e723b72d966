"""A third destination is one package and one line: own settings, own credential, fields, flags and an action.

A copy of the project gets both; nothing else of it is touched. Then its import contracts are run, and everything is
delivered through it, in processes that only know the copy.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
THIRD = Path(__file__).parent / "third"
LINE = "    SHEET,\n"
IMPORT = "from cio_activation.destinations.sheet.destination import DESTINATION as SHEET\n"
TOKEN = "a-token-of-the-sheet"


class SheetVendor:
    """The sheet behind a real HTTP interface. Every to-do it is asked for is made, twice if asked twice."""

    def __init__(self) -> None:
        self.pages: set[str] = set()
        self.rows: dict[str, dict[str, Any]] = {}
        self.marks: dict[str, set[str]] = {}
        self.todos: list[tuple[str, str, str]] = []
        """(marker, row, text), in the order they were made."""
        self._numbers = itertools.count(1)
        routes = [
            Route("/pages/{page}", self.page, methods=["PUT"]),
            Route("/rows", self.put, methods=["PUT"]),
            Route("/marks/{audience}", self.mark, methods=["PUT"]),
            Route("/todos", self.todo, methods=["POST"]),
            Route("/todos", self.listed, methods=["GET"]),
        ]
        self.app = Starlette(routes=routes)
        config = uvicorn.Config(self.app, port=0, log_level="warning")
        socket = config.bind_socket()
        self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [socket]})
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    async def page(self, request: Request) -> Response:
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        self.pages.add(request.path_params["page"])
        return JSONResponse({})

    async def put(self, request: Request) -> Response:
        given = await request.json()
        for person, values in given.items():
            row = self.rows.setdefault(person, {"id": f"row-{next(self._numbers)}"})
            row.update(values)
        return JSONResponse({"rows": {person: self.rows[person]["id"] for person in given}})

    async def mark(self, request: Request) -> Response:
        there = self.marks.setdefault(request.path_params["audience"], set())
        for row, inside in (await request.json()).items():
            (there.add if inside else there.discard)(row)
        return JSONResponse({})

    async def todo(self, request: Request) -> Response:
        self.todos += [(one["marker"], one["row"], one["text"]) for one in await request.json()]
        return self._found()

    async def listed(self, request: Request) -> Response:
        return self._found()

    def _found(self) -> Response:
        return JSONResponse({"todos": {marker: f"todo of {marker}" for marker, _, _ in self.todos}})


@pytest.fixture
def vendor() -> Iterator[SheetVendor]:
    made = SheetVendor()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with the package and the one line."""
    copy = tmp_path_factory.mktemp("project")
    unwanted = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "cio_activation", copy / "cio_activation", ignore=unwanted)
    shutil.copy(ROOT / "pyproject.toml", copy)
    shutil.copytree(THIRD / "sheet", copy / "cio_activation" / "destinations" / "sheet", ignore=unwanted)
    registry = copy / "cio_activation" / "destinations" / "__init__.py"
    before = registry.read_text()
    after = before.replace("    PIPEDRIVE,\n", f"    PIPEDRIVE,\n{LINE}")
    registry.write_text(after.replace("\n\nDESTINATIONS", f"\n{IMPORT}\nDESTINATIONS"))
    assert len(registry.read_text()) == len(before) + len(LINE) + len(IMPORT)
    return copy


def run(project: Path, vendor: SheetVendor, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(project), "ACTIVATION_HOME": str(home), "SHEET_URL": vendor.url, "SHEET_TOKEN": TOKEN,
    }  # fmt: skip
    program = [sys.executable, str(THIRD / "deliver.py"), str(THIRD / "activation.yaml"), *arguments]
    return subprocess.run(program, env=environment, cwd=project, capture_output=True, text=True, check=False)


def delivered(ended: subprocess.CompletedProcess[str]) -> dict[str, dict[str, int]]:
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, int]] = json.loads(ended.stdout)
    return found


def test_the_import_contracts_hold_with_it(project: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run(
        [str(linter), "--no-cache"], cwd=project, env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert "destinations.sheet" not in (ROOT / "pyproject.toml").read_text()


def test_fields_flags_and_an_action_arrive_and_a_second_run_writes_nothing(
    project: Path, vendor: SheetVendor, tmp_path: Path
) -> None:
    first = delivered(run(project, vendor, tmp_path / "home"))
    assert {name: (c["planned"], c["delivered"]) for name, c in first.items()} == {
        "rows_daily": (7, 7), "marks/vip": (3, 3), "todos/vip": (3, 3),
    }  # fmt: skip
    assert vendor.pages == {"retention"}
    assert {row["size"] for row in vendor.rows.values()} == {"high"}
    inside = {vendor.rows[f"p{i}"]["id"] for i in range(3)}
    assert vendor.marks == {"vip": inside}
    assert {row for _, row, _ in vendor.todos} == inside
    again = delivered(run(project, vendor, tmp_path / "home"))
    assert sum(c["planned"] for c in again.values()) == 0
    assert len(vendor.todos) == 3


@pytest.mark.parametrize("dies_in", ["rows_daily", "todos/vip"])
def test_a_kill_between_the_call_and_its_record_doubles_nothing_and_swallows_nothing(
    project: Path, vendor: SheetVendor, tmp_path: Path, dies_in: str
) -> None:
    """The person's own record is a creation too, and has another claim than the action for that person."""
    killed = run(project, vendor, tmp_path / "home", dies_in)
    assert killed.returncode == -9, killed.stderr
    counts = delivered(run(project, vendor, tmp_path / "home"))
    assert counts[dies_in]["recovered"] > 0
    assert all(c["unneeded"] == c["held"] == 0 for c in counts.values())
    assert set(Counter(marker for marker, _, _ in vendor.todos).values()) == {1}
    assert len(vendor.todos) == 3
    assert len(vendor.rows) == 7
