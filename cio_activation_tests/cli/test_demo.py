"""``demo`` over a home that is there: what it says, and what it leaves alone; whole demos are in ``e2e``."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cio_activation.cli import demo_home, output, progress
from cio_activation.cli.demo_home import DemoHome
from cio_activation.cli.main import app
from cio_activation.transport.progress import counted, working
from cio_activation.warehouse.sessions import Warehouse


def told(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["demo", *arguments, "--json"])
    return result.exit_code, " ".join(json.loads(result.stdout)["problems"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home of a demo that ran two days."""
    DemoHome(orders=None, people=1_200, ends_at=1_796_000_000.0, activation=None).write(tmp_path)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    warehouse.migrate()
    with warehouse.write() as con:
        for day in ("2026-11-27", "2026-11-28"):
            con.execute("INSERT INTO delivery.plans (plan_id, lane, window_key) VALUES (?, 'daily', ?)", [day, day])
    return tmp_path


def test_a_demo_that_is_there_is_described_with_what_can_be_done(home: Path) -> None:
    before = sorted(p.name for p in home.iterdir())
    code, said = told("--home", str(home))
    assert code == 2
    for words in ("2 days, the last of them 2026-11-28", "1,200 people", "--resume", "--ui", "another --home"):
        assert words in said
    assert sorted(p.name for p in home.iterdir()) == before


@pytest.mark.parametrize("option", ["--resume", "--ui"])
@pytest.mark.parametrize("other", [("--people", "9"), ("--orders", "x.parquet"), ("--activation", "x.yaml")])
def test_the_world_of_a_home_stays_what_it_is(home: Path, option: str, other: tuple[str, str]) -> None:
    assert told("--home", str(home), option, *other) == (
        2,
        f"{option} takes the world and the activation of the home; leave out {other[0]}",
    )


def test_nothing_can_be_gone_on_with_where_nothing_is(tmp_path: Path) -> None:
    code, said = told("--home", str(tmp_path / "new"), "--resume")
    assert (code, "holds no demo to go on with" in said) == (2, True)
    assert not (tmp_path / "new").exists()


def test_a_home_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").touch()
    for options in ((), ("--ui",)):
        code, said = told("--home", str(tmp_path), *options)
        assert (code, "another --home" in said) == (2, True)
    assert not (tmp_path / demo_home.FILE).exists()


def work() -> None:
    with working("sending", 3) as advance:
        assert [len(batch) for batch in counted([[1], [2, 3]], advance)] == [1, 2]


def test_bars_show_on_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(*, terminal: bool, as_json: bool) -> str:
        where = io.StringIO()
        shown: Any = Console(file=where, force_terminal=terminal, width=100)
        monkeypatch.setattr(output, "notes", shown)
        monkeypatch.setattr(progress, "notes", shown)
        with progress.bars(as_json):
            work()
        return where.getvalue()

    assert "sending" in seen(terminal=True, as_json=False)
    assert seen(terminal=False, as_json=False) == ""
    assert seen(terminal=True, as_json=True) == ""


BESIDE_DAGSTER = """
import os, sys, time
from cio_activation.cli.progress import bars
from cio_activation.transport.progress import working
with bars(False):
    with working("landing"), open(sys.argv[1], "w") as log:
        os.dup2(log.fileno(), 2)  # as Dagster does while a step runs
        print("printed")
        time.sleep(0.5)
"""


def test_bars_are_on_the_terminal_while_a_steps_output_goes_elsewhere(tmp_path: Path) -> None:
    main, terminal = os.openpty()
    command = [sys.executable, "-c", BESIDE_DAGSTER, str(tmp_path / "log")]
    environment = os.environ | {"TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, env=environment, check=True, timeout=60)
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert "landing" in shown
    assert done.stdout.decode() == "printed\n"
    assert (tmp_path / "log").read_text() == ""
