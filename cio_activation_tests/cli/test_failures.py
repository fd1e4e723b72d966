"""What goes wrong is told in one sentence with its mend, and with ``--json`` as one object, whatever the command."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation.lanes.failures import failures
from cio_activation.warehouse.sessions import Warehouse

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]
FAILING = {
    "check": ("--activation", "nowhere.yaml"),
    "demo": ("--orders", "nowhere.parquet", "--home", "there"),
    "doctor": (),
    "fields": ("--activation", "nowhere.yaml"),
    "forget": ("nobody@example.com",),
    "init": ("--out", "nowhere/activation.yaml"),
    "metrics": (),
    "pause": (),
    "plan": (),
    "receive": (),
    "actions": (),
    "audit": (),
    "rejected": (),
    "release": ("plan", "--why", "so"),
    "report": (),
    "resume": ("vip",),
    "resync": (),
    "run": ("--window", "2020-01-01"),
    "sample": (),
    "sandbox": ("--orders", "nowhere.parquet"),
    "sign": ("--all", "--why", "so"),
    "sql": ("SELECT 1",),
    "why": ("nobody@example.com",),
}
"""Arguments with which each command fails in an empty folder."""
READ_ONLY = OSError(errno.EROFS, "Read-only file system", "home/warehouse.duckdb.lock")
FULL = OSError(errno.ENOSPC, "No space left on device", "home/raw/people.csv")
MACHINE = [
    (READ_ONLY, "home/warehouse.duckdb.lock cannot be written; let ACTIVATION_HOME be a folder"),
    (PermissionError(errno.EACCES, "Permission denied", "home"), "home cannot be written"),
    (duckdb.IOException('IO Error: Cannot open file "x.duckdb": Permission denied'), "cannot be written; let"),
    (FULL, "the disk is full: home/raw/people.csv cannot be written; free some space and run again"),
    (duckdb.IOException("IO Error: Could not write all bytes to file"), "the disk is full"),
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CUSTOMERIO_WEBHOOK_SIGNING_KEY", raising=False)
    return tmp_path


def run(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command with ``--json``; everything on standard output has to be one object."""
    result = CliRunner().invoke(app, [*arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_each_command_is_here() -> None:
    assert sorted(FAILING) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_printed_when_a_command_fails(command: str) -> None:
    code, told = run(command, *FAILING[command])
    assert (code in (1, 2), told["ok"]) == (True, False), told
    # The doctor says all that is wrong: in an empty folder each credential is missing.
    assert len(told["problems"]) == 1 or (command == "doctor" and len(told["problems"]) > 1), told


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_printed_when_a_command_is_called_wrongly(command: str) -> None:
    code, told = run(command, *FAILING[command], "--no-such-option")
    assert (code, told["ok"], told["error"]) == (2, False, "UsageError")
    assert "--no-such-option" in told["problems"][0]


def test_json_is_printed_for_an_unknown_command_and_a_missing_argument() -> None:
    assert run("chekc")[1]["problems"] == ["No such command 'chekc'. Did you mean 'check'?"]
    assert run("release")[0] == 2
    assert run("plan", "--as-of", "yesterday")[1]["error"] == "UsageError"


def test_json_is_printed_for_a_defect_without_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("ann@example.com")

    monkeypatch.setattr("cio_activation.cli.check._vendors", broken)
    code, told = run("check")
    assert (code, told["error"], told["ok"]) == (1, "RuntimeError", False)
    assert "ann@example.com" not in json.dumps(told)
    assert "report it" in told["problems"][0]
    assert isinstance(CliRunner().invoke(app, ["check"]).exception, RuntimeError), "without --json its traceback shows"


def test_a_setting_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUSTOMERIO_REGION", "asia")
    assert run("check") == (2, {"ok": False, "error": "ValidationError",
                                "problems": ["CUSTOMERIO_REGION: Input should be 'us' or 'eu'"]})  # fmt: skip


@pytest.mark.parametrize(("error", "sentence"), MACHINE, ids=lambda v: str(v)[:30])
@pytest.mark.parametrize("command", ["rejected", "check", "resync"])
def test_a_read_only_home_and_a_full_disk_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, empty_folder: Path, error: Exception, sentence: str, command: str
) -> None:
    (empty_folder / "home").mkdir()
    (empty_folder / "home" / "warehouse.duckdb").touch()

    def refuses(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Warehouse, "read", refuses)
    code, told = run(command)
    assert (code, told["error"]) == (1, "MachineError")
    assert sentence in told["problems"][0]
    shown = CliRunner().invoke(app, [command], env={"COLUMNS": "300"})
    assert shown.exit_code == 1
    assert sentence in shown.stderr


@pytest.mark.parametrize(("error", "sentence"), MACHINE, ids=lambda v: str(v)[:30])
def test_a_run_fails_with_that_sentence_and_is_not_tried_again(error: Exception, sentence: str) -> None:
    with pytest.raises(dg.Failure) as failed, failures():
        raise error
    assert sentence in str(failed.value.description)
    assert failed.value.allow_retries is False


def test_other_errors_of_a_run_are_no_machine_s() -> None:
    with pytest.raises(duckdb.IOException), failures():
        raise duckdb.IOException("IO Error: something else")


@pytest.mark.parametrize("module", ["cio_activation.cli.main", "cio_activation.definitions"])
def test_a_platform_without_file_locks_is_one_sentence(module: str) -> None:
    code = f"import sys; sys.modules['fcntl'] = None; import {module}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    last = ended.stderr.strip().splitlines()[-1]
    assert ended.returncode == 1
    assert "cio-activation runs on Linux and macOS" in last
    assert (len(ended.stderr.strip().splitlines()) == 1) == (module == "cio_activation.cli.main")
