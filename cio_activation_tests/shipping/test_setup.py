"""``scripts/setup``: whatever interrupts it, the next call ends with a whole ``.venv``; done is done."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Stands for ``python -m venv DIR`` and the pip in there: it writes half a package, and dies if it is told to.
PYTHON = """#!/usr/bin/env bash
set -eu
if [ "$2" = venv ]; then
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
    exit
fi
here="$(dirname "$0")"
[ ! -e "$here/half" ] || exit 3
touch "$here/half"
case "${DIES:-}" in
    pip) exit 2 ;;
    all) kill -9 "$PPID"; exit 2 ;;
esac
mv "$here/half" "$here/cio-activation"
chmod +x "$here/cio-activation"
echo installed >> "$LOG"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the script, what it reads, and a Python that pip can be interrupted in."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def setup(checkout: Path, **more: str) -> subprocess.CompletedProcess[str]:
    known = {"PYTHON": str(checkout / "python"), "LOG": str(checkout / "log")}
    script = str(checkout / "scripts" / "setup")
    return subprocess.run(
        [script], env=dict(os.environ) | known | more, capture_output=True, text=True, check=False
    )  # fmt: skip


@pytest.mark.parametrize("dies", ["pip", "all"])
def test_after_an_interruption_everything_is_made_anew(checkout: Path, dies: str) -> None:
    assert setup(checkout, DIES=dies).returncode != 0
    assert (checkout / ".venv" / "bin" / "half").exists()
    again = setup(checkout)
    assert again.returncode == 0, again.stderr
    assert not (checkout / ".venv" / "bin" / "half").exists()
    assert (checkout / "log").read_text() == "installed\n"


def test_what_is_done_is_not_done_again(checkout: Path) -> None:
    assert setup(checkout).returncode == 0
    assert setup(checkout).returncode == 0
    assert (checkout / "log").read_text() == "installed\n"


def test_another_setup_that_is_at_work_is_left_alone(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / ".installing").write_text(str(os.getpid()))
    found = setup(checkout)
    assert found.returncode == 1
    assert "at work" in found.stderr
    assert (checkout / ".venv").exists()
