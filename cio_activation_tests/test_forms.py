"""The two forms of the tests: what is for the long one stays out of the short one, and numbers follow the form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cio_activation_tests.forms import VARIABLE

pytestmark = pytest.mark.slow

TESTS = """
import pytest
from cio_activation_tests.forms import form
NUMBER = form("few", "many")

@pytest.mark.long
def test_all(): pass

@pytest.mark.parametrize("number", [NUMBER])
def test_some(number): pass
"""


def collected(place: Path, *options: str) -> str:
    (place / "test_both.py").write_text(TESTS)
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(
        [*command, "-c", str(root / "pyproject.toml"), "-p", "cio_activation_tests.conftest", str(place)],
        capture_output=True, text=True, check=False, cwd=root,
        env={k: v for k, v in os.environ.items() if k != VARIABLE},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_short_form_leaves_out_what_is_marked_and_takes_the_small_numbers(tmp_path: Path) -> None:
    found = collected(tmp_path)
    assert "test_some[few]" in found
    assert "test_all" not in found


def test_the_long_form_has_everything_and_takes_the_large_numbers(tmp_path: Path) -> None:
    found = collected(tmp_path, "--long")
    assert "test_some[many]" in found
    assert "test_all" in found


def test_no_conftest_takes_a_number_when_it_is_imported() -> None:
    """For a file that is named, pytest imports the conftests beside it before it reads ``--long``: they got the short one."""
    conftests = list(Path(__file__).parent.rglob("conftest.py"))
    assert len(conftests) > 3
    taken = [str(path) for path in conftests if re.search(r"^\w.*\b(form|some)\(", path.read_text(), re.MULTILINE)]
    assert taken == []
