"""Dagster's storage with connections that stay open: the same files, the same behaviour, seen by other processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from threading import Event
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.base import EventLogRecord

from cio_activation.dagster_runtime.pruning import prune
from cio_activation.dagster_runtime.storage import RUNS_OPEN, OpenSqliteStorage

HANDLES = Path("/proc/self/fd")


@dg.asset(check_specs=[dg.AssetCheckSpec("whole", asset="carts")])
def carts() -> Iterator[Any]:
    yield dg.MaterializeResult(metadata={"rows": 3})
    yield dg.AssetCheckResult(passed=True)


@dg.asset
def broken() -> None:
    raise ValueError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    packaged = resources.files("cio_activation.dagster_runtime").joinpath("dagster.yaml")
    with resources.as_file(packaged) as path:
        shutil.copyfile(path, tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as made:
        yield made


def dagsters_own(home: Path) -> dg.DagsterInstance:
    """Return an instance over the same files with Dagster's own storage."""
    return dg.DagsterInstance.local_temp(str(home))


def in_another_process(body: str) -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def open_files(home: Path) -> list[str]:
    found = []
    for handle in HANDLES.iterdir():
        try:
            found.append(os.readlink(handle))
        except FileNotFoundError:  # the folder's own handle
            continue
    return [name for name in found if name.startswith(f"{home}/")]


def records(instance: dg.DagsterInstance) -> list[EventLogRecord]:
    return list(instance.fetch_materializations(dg.AssetKey("carts"), limit=100).records)


def test_the_packaged_instance_uses_it(instance: dg.DagsterInstance, home: Path) -> None:
    assert isinstance(instance.event_log_storage, type(OpenSqliteStorage(str(home)).event_log_storage))


def test_what_dagster_wrote_is_read_and_the_other_way_round(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with dagsters_own(home) as before:
        first = dg.materialize([carts], instance=before)
    with dg.DagsterInstance.get() as kept:
        assert [r.run_id for r in records(kept)] == [first.run_id]
        assert len(kept.all_logs(first.run_id)) > 10
        second = dg.materialize([carts], instance=kept)
    with dagsters_own(home) as after:
        assert {r.run_id for r in records(after)} == {first.run_id, second.run_id}
        assert len(after.all_logs(second.run_id)) == len(after.all_logs(first.run_id))
        assert after.get_run_by_id(second.run_id).status is dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]


def test_old_runs_go_with_all_that_dagster_keeps_of_them_but_for_the_newest(
    instance: dg.DagsterInstance, home: Path
) -> None:
    runs = [dg.materialize([carts], instance=instance).run_id for _ in range(4)]
    failed = dg.materialize([broken], instance=instance, raise_on_error=False).run_id
    printed = [home / "storage" / run for run in runs]
    for folder in printed:
        (folder / "compute_logs").mkdir(parents=True, exist_ok=True)
        (folder / "compute_logs" / "carts.out").write_text("printed")
    now = datetime.now(UTC).replace(tzinfo=None)
    assert prune(instance, now - timedelta(hours=1)) == 0
    assert prune(instance, now + timedelta(hours=1), most=2) == 2
    assert prune(instance, now + timedelta(hours=1)) == 1
    # The newest run of the job, which failed, and the newest that ended well.
    assert {run.run_id for run in instance.get_runs()} == {failed, runs[-1]}
    assert [run for run in runs if (home / "history" / "runs" / f"{run}.db").exists()] == runs[-1:]
    assert [folder.exists() for folder in printed] == [False, False, False, True]
    assert [r.run_id for r in records(instance)] == runs[-1:]
    key = dg.AssetCheckKey(dg.AssetKey("carts"), "whole")
    results = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    assert [r.run_id for r in results] == runs[-1:]
    assert dg.materialize([carts], instance=instance).success


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    ("when", "dies"),
    [("before", "delete_events"), ("after", "delete_events"), ("after", "delete_logs"), ("after", "delete_run")],
)
def test_pruning_that_is_killed_is_finished_by_the_next(
    instance: dg.DagsterInstance, home: Path, monkeypatch: pytest.MonkeyPatch, when: str, dies: str
) -> None:
    runs = [dg.materialize([carts], instance=instance).run_id for _ in range(3)]
    for run in runs:
        (home / "storage" / run / "compute_logs").mkdir(parents=True, exist_ok=True)
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    owner: Any = {"delete_events": instance.event_log_storage, "delete_logs": instance.compute_log_manager}
    owner = owner.get(dies, instance)
    real = getattr(owner, dies)

    def killed(*given: Any, **more: Any) -> None:
        if when == "after":
            real(*given, **more)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, dies, killed)
        with pytest.raises(Killed):
            prune(instance, later)
    there = {run.run_id for run in instance.get_runs()}
    assert set(runs[1:]) <= there
    assert all(instance.all_logs(run) for run in runs[1:]), "only the oldest was begun with"
    assert dg.materialize([carts], instance=instance).success, "runs go on meanwhile"
    assert prune(instance, later) == len(there)
    assert not [run for run in runs if instance.get_run_by_id(run) or instance.all_logs(run)]
    assert not [run for run in runs if (home / "storage" / run).exists()]


def test_processes_see_each_others_runs_and_events(instance: dg.DagsterInstance) -> None:
    here = dg.materialize([carts], instance=instance)
    in_another_process(
        f"""
        import dagster as dg
        from cio_activation_tests.dagster_runtime.test_storage import carts, records
        with dg.DagsterInstance.get() as instance:
            assert [r.run_id for r in records(instance)] == ["{here.run_id}"]
            dg.materialize([carts], instance=instance)
        """
    )
    assert len(records(instance)) == 2
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    newest = instance.get_runs(limit=1)[0]
    assert newest.run_id != here.run_id
    assert len(instance.all_logs(newest.run_id)) > 10


def test_whoever_watches_a_run_hears_of_what_another_process_does(instance: dg.DagsterInstance) -> None:
    """The UI's log of a run that goes on: Dagster's own storage waits for the file, which now changes late."""
    run = instance.create_run_for_job(dg.Definitions(assets=[carts]).resolve_implicit_global_asset_job_def())
    heard, told = Event(), []

    def listen(entry: Any, _cursor: str) -> None:
        told.append(entry.message)
        if "from there" in entry.message:
            heard.set()

    instance.watch_event_logs(run.run_id, None, listen)
    in_another_process(
        f"""
        import dagster as dg
        with dg.DagsterInstance.get() as instance:
            run = instance.get_run_by_id("{run.run_id}")
            instance.report_engine_event("from there", run)
            import os; os._exit(0)  # as a kill: nothing is closed, nothing written back
        """
    )
    assert heard.wait(30), told
    instance.end_watch_event_logs(run.run_id, listen)
    del told[:]
    instance.report_engine_event("unheard", run)
    time.sleep(0.5)
    assert not told


def test_an_event_costs_no_new_connection(instance: dg.DagsterInstance) -> None:
    dg.materialize([carts], instance=instance)
    opened: list[str] = []

    def note(connection: Any, _record: Any) -> None:
        opened.append(connection.execute("PRAGMA database_list").fetchone()[2])

    sa.event.listen(sa.pool.Pool, "connect", note)
    try:
        result = dg.materialize([carts], instance=instance)
    finally:
        sa.event.remove(sa.pool.Pool, "connect", note)
    assert {Path(name).stem for name in opened} <= {result.run_id, "index", "runs"}
    assert Counter(opened).most_common(1)[0][1] <= 2, opened  # the new run's file, which is made first


def test_only_so_many_runs_stay_open(instance: dg.DagsterInstance, home: Path) -> None:
    runs = [dg.materialize([carts], instance=instance).run_id for _ in range(RUNS_OPEN + 3)]
    shards = {Path(name).name.partition(".")[0] for name in open_files(home / "history" / "runs")} - {"index"}
    assert shards == set(runs[-RUNS_OPEN:])
    assert len(instance.all_logs(runs[0])) > 10


def test_nothing_stays_open_after_the_instance(home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        dg.materialize([carts], instance=instance)
        assert open_files(home)
    assert not open_files(home)


def test_wiped_history_is_gone_and_new_runs_are_kept(instance: dg.DagsterInstance) -> None:
    old = dg.materialize([carts], instance=instance)
    instance.wipe()
    assert not instance.get_runs()
    assert not instance.all_logs(old.run_id)
    new = dg.materialize([carts], instance=instance)
    assert [r.run_id for r in records(instance)] == [new.run_id]


def test_a_file_whose_making_was_interrupted_is_made(home: Path) -> None:
    """Dagster writes the revision last: tables without one are a process that was killed between."""
    with dg.DagsterInstance.get() as instance:
        run = dg.materialize([carts], instance=instance)
    shard = home / "history" / "runs" / f"{run.run_id}.db"
    engine = sa.create_engine(f"sqlite:///{shard}")
    with engine.begin() as con:
        con.execute(sa.text("DELETE FROM alembic_version"))
        con.execute(sa.text("DROP TABLE asset_keys"))
    engine.dispose()
    with dg.DagsterInstance.get() as instance:
        assert len(instance.all_logs(run.run_id)) > 10
    with engine.connect() as con:
        assert sa.inspect(con).has_table("asset_keys")
        assert con.execute(sa.text("SELECT count(*) FROM alembic_version")).scalar() == 1
    engine.dispose()


def test_many_processes_at_once_lose_no_event(instance: dg.DagsterInstance) -> None:
    body = textwrap.dedent(
        """
        import dagster as dg
        from cio_activation_tests.dagster_runtime.test_storage import carts
        with dg.DagsterInstance.get() as instance:
            for _ in range(3):
                assert dg.materialize([carts], instance=instance).success
        """
    )
    instance.get_runs_count()  # makes the files
    started = [subprocess.Popen([sys.executable, "-c", body], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, problems = process.communicate(timeout=240)
        assert process.returncode == 0, problems
    assert len(records(instance)) == 9
    kinds = [
        tuple(e.dagster_event_type for e in instance.all_logs(r.run_id) if e.is_dagster_event)
        for r in instance.get_runs()
    ]
    assert len(kinds) == 9
    assert len(set(kinds)) == 1, kinds
    assert len(kinds[0]) > 10
