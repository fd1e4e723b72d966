"""How long files stay: what Customer.io sent, and what was planned. A home must not grow for ever.

How long rows do says ``privacy.pruning``, and Dagster's runs ``dagster_runtime.pruning``.

By the age of the files themselves, window by window. What something still reads stays however old it is: the newest
window of each lane, the newest plan of each step that was let through (guards compare with it), plans that a guard
holds and those that somebody released.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cio_activation.privacy.pruning import prune_rows
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import FILES, FILES_SET_ASIDE, PLANS, RELEASES


@dataclass(frozen=True)
class Pruned:
    """What was deleted, and what stays."""

    raw_windows: int = 0
    """Windows whose raw files were deleted."""
    plan_files: int = 0
    freed_bytes: int = 0
    pruned_rows: Mapping[str, int] = field(default_factory=dict)
    """Table -> rows that were deleted."""
    pruned_runs: int = 0
    """Of Dagster's runs."""
    home_bytes: int = 0
    """Size of the home afterwards."""


def prune(runtime: Runtime, now: datetime, runs: Callable[[datetime], int] = lambda _before: 0) -> Pruned:
    """Delete files, rows and runs that are older at ``now`` (naive UTC) than the workspace keeps them.

    Books first, then files: whoever dies in between leaves files that no book has, which the next call finds by their
    age. The other way round, rows of files that are gone would stay for ever.
    ``runs`` deletes what Dagster keeps of runs that began before an instant, and tells how many that were.
    """
    workspace, home = runtime.activation.workspace, runtime.settings.activation_home
    with runtime.warehouse.read() as con:
        read_still = _read_still(con)
    windows = list(_old_windows(runtime.settings.raw_dir, _before(now, workspace.raw_retention)))
    plans = list(_old_plans(home / "plans", _before(now, workspace.plan_retention), read_still))
    freed = sum(path.stat().st_size for path in [*plans, *(file for folder in windows for file in _files(folder))])
    if windows:
        _forget(runtime, [folder.relative_to(home).as_posix() for folder in windows])
    for folder in windows:
        for path in _files(folder):
            path.unlink(missing_ok=True)
        folder.rmdir()
    for path in plans:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    for folder in _empty_folders(home / "plans", _before(now, workspace.plan_retention)):
        folder.rmdir()
    rows = prune_rows(runtime, now)
    pruned_runs = runs(now - workspace.run_retention)
    return Pruned(len(windows), len(plans), freed, rows, pruned_runs, sum(path.stat().st_size for path in _files(home)))


def _read_still(con: Connection) -> frozenset[str]:
    """Return the plans whose file is read by what is to come."""
    rows = con.execute(
        f"""(SELECT plan_id FROM {PLANS} WHERE status <> 'held' AND planned > 0
            QUALIFY row_number() OVER (
                PARTITION BY destination, step ORDER BY made_at DESC NULLS LAST, window_end DESC) = 1)
        UNION SELECT plan_id FROM {PLANS} WHERE status IN ('held', 'sending')
        UNION SELECT plan_id FROM {RELEASES} WHERE spent_by IS NULL"""
    ).fetchall()
    return frozenset(str(plan_id) for (plan_id,) in rows)


def _old_windows(raw: Path, before: float) -> Iterator[Path]:
    """Yield the folders of windows in which nothing is younger than ``before``; never a lane's newest one."""
    for lane in sorted(path for path in raw.glob("*") if path.is_dir()):
        aged = {folder: max(map(_written, _files(folder)), default=0.0) for folder in lane.iterdir() if folder.is_dir()}
        newest = max(aged.values(), default=0.0)
        yield from sorted(folder for folder, at in aged.items() if at < before and at < newest)


def _old_plans(plans: Path, before: float, read_still: frozenset[str]) -> Iterator[Path]:
    yield from (path for path in _files(plans) if _written(path) < before and path.stem not in read_still)


def _empty_folders(plans: Path, before: float) -> list[Path]:
    """Return the windows' folders that are left without a plan; not one that a run may just have made."""
    folders = (path for lane in plans.glob("*") if lane.is_dir() for path in lane.iterdir() if path.is_dir())
    return [folder for folder in sorted(folders) if not any(folder.iterdir()) and _written(folder) < before]


def _forget(runtime: Runtime, folders: list[str]) -> None:
    with runtime.warehouse.write() as con:
        for table in (FILES, FILES_SET_ASIDE):
            for folder in folders:
                con.execute(f"DELETE FROM {table} WHERE starts_with(path, ?)", [f"{folder}/"])


def _before(now: datetime, retention: timedelta) -> float:
    return (now - retention - datetime(1970, 1, 1)).total_seconds()


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _written(path: Path) -> float:
    return path.stat().st_mtime
