"""What the settings take from the environment and from ``.env``, and what has an effect."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from cio_activation.activation.settings import Settings
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Warehouse
from cio_activation_tests.drivers.builders import activation


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that a command is started in; nothing is set but what stands in its ``.env``."""
    monkeypatch.chdir(tmp_path)
    for name in ("ACTIVATION_HOME", "ACTIVATION_DUCKDB_MEMORY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def limit(warehouse: Warehouse) -> str:
    with warehouse.read() as con:
        return str(con.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])


def test_the_memory_that_env_allows_is_what_duckdb_keeps_to(place: Path) -> None:
    (place / ".env").write_text("ACTIVATION_DUCKDB_MEMORY=512MiB\n")
    assert limit(Runtime.build(Settings(), activation(destinations={})).warehouse) == "512.0 MiB"


def test_the_environment_goes_before_env(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / ".env").write_text("ACTIVATION_DUCKDB_MEMORY=512MiB\n")
    monkeypatch.setenv("ACTIVATION_DUCKDB_MEMORY", "256MiB")
    assert limit(Runtime.build(Settings(), activation(destinations={})).warehouse) == "256.0 MiB"


def test_a_line_without_a_value_sets_no_memory(place: Path) -> None:
    (place / ".env").write_text("ACTIVATION_DUCKDB_MEMORY=\n")
    assert Settings().activation_duckdb_memory is None


@pytest.mark.parametrize("size", ["3GB", "1.5 gib", "800m", "50%"])
def test_sizes_are_what_duckdb_reads(place: Path, monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("ACTIVATION_DUCKDB_MEMORY", size)
    assert limit(Runtime.build(Settings(), activation(destinations={})).warehouse)


@pytest.mark.parametrize("size", ["3", "much", "-1GB", "3GB; DROP TABLE x"])
def test_what_is_no_size_is_refused_before_anything_starts(
    place: Path, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    monkeypatch.setenv("ACTIVATION_DUCKDB_MEMORY", size)
    with pytest.raises(ValidationError, match="activation_duckdb_memory"):
        Settings()
