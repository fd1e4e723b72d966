"""A ``dagster.yaml`` of release 0.1.0 names modules that have moved: it still loads, and says what to write instead."""

from __future__ import annotations

import sys
from pathlib import Path

import dagster as dg
import pytest

from cio_activation.dagster_runtime.launcher import ForkingRunLauncher
from cio_activation.dagster_runtime.storage import OpenSqliteStorage

OLD = """
telemetry: {enabled: false}
storage:
  custom:
    module: cio_activation.automation.storage
    class: KeptSqliteStorage
    config: {base_dir: {env: DAGSTER_HOME}}
run_launcher:
  module: cio_activation.automation.launcher
  class: WarmRunLauncher
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text(OLD)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for name in ("launcher", "storage"):  # as in a process that has just started
        monkeypatch.delitem(sys.modules, f"cio_activation.automation.{name}", raising=False)
    return tmp_path


def load(home: Path) -> None:
    """Load the instance and use both; Dagster imports the launcher only when it is asked for."""
    with dg.DagsterInstance.get() as instance:
        assert isinstance(instance.run_launcher, ForkingRunLauncher)
        assert isinstance(instance.event_log_storage, type(OpenSqliteStorage(str(home)).event_log_storage))
        assert not instance.get_runs()


def test_an_instance_with_the_names_of_0_1_0_loads_and_says_the_new_ones(home: Path) -> None:
    with pytest.warns(FutureWarning) as told:
        load(home)
    said = " ".join(str(warning.message) for warning in told)
    for new in (ForkingRunLauncher, OpenSqliteStorage):
        assert f"name {new.__module__} and {new.__name__}" in said
