"""What is in a home: its sizes, its warehouse (opened read-only, never migrated), the journal, and who holds what."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.journal import inspection
from cio_activation.outcome.doctor.part import Part
from cio_activation.outcome.doctor.surroundings import memory_bytes, tilde
from cio_activation.warehouse import migrations
from cio_activation.warehouse.lock import holder
from cio_activation.warehouse.sessions import Connection, Warehouse

WAIT_S = 20.0
"""So long the warehouse is waited for: longer than the longest transaction of a daily run, mostly."""
LEAST_FREE = 1_000_000_000
"""Bytes that stay free: a window's raw files and plans have to fit, and DuckDB's own spilling."""
LATE = {Lane.DAILY: timedelta(hours=36), Lane.REALTIME: timedelta(hours=2)}
"""A lane whose newest window ended so long ago does not run: a day's run begins after its end, and takes its time."""
WAITING = timedelta(hours=1)
"""Webhooks that wait so long are not landed by anybody."""
SKEW_S = 5.0
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def sizes(part: Part, settings: Settings) -> None:
    """Tell how big the home is, and what is free where it lies."""
    home = settings.activation_home
    if not home.is_dir():
        part.facts["there"] = False
        return
    parts = {path.name: _size(path) for path in sorted(home.iterdir())}
    disk = shutil.disk_usage(home)
    part.facts |= {"there": True, "bytes": sum(parts.values()), "parts": parts, "disk_free": disk.free}
    part.facts["disk"] = disk.total
    least = max(LEAST_FREE, parts.get("warehouse.duckdb", 0))
    if disk.free < least:
        part.wrong(
            f"{disk.free:,} bytes are free where the home lies, less than {least:,}: the warehouse's own size has to "
            "fit beside it when it is written anew",
            "free some space, or shorten workspace.raw_retention and plan_retention",
        )


def warehouse(part: Part, settings: Settings, activation: Activation | None, now: datetime) -> None:
    """Tell migrations, windows and their age, held plans and what is rejected; ``now`` is naive UTC."""
    path = settings.warehouse_path
    part.facts["there"] = path.exists()
    if not path.exists():
        return
    limit = settings.activation_duckdb_memory
    with Warehouse(path, lock_timeout_s=WAIT_S, memory_limit=limit).read() as con:
        _memory(part, con)
        _migrations(part, con)
        _windows(part, con, activation, now)
        if not part.facts["migrations_pending"]:
            _deliveries(part, con)


def journal(part: Part, settings: Settings) -> None:
    """Tell the journal's version, clock, leases, and what waits in it."""
    found = inspection.inspect_journal(settings.journal)
    part.facts |= {"place": found.place, "server": found.server, "there": found.version is not None}
    if found.version is None:
        return
    part.facts |= {"version": found.version, "version_of_this_release": inspection.NEWEST, "clock_skew_s": found.skew_s}
    if found.version > inspection.NEWEST:
        part.wrong("the journal was made by a newer release", "install that release again")
    if abs(found.skew_s) > SKEW_S:
        part.wrong(
            f"this machine's clock and the journal's differ by {found.skew_s:.0f} s",
            "let both keep time by NTP: leases and rates are by the journal's clock, windows by the machine's",
        )
    part.facts |= {"leases": found.leases, "in_flight": found.in_flight, "inbox_waiting": found.inbox_waiting}
    part.facts |= {"inbox_oldest": _age(found.inbox_age_s), "paused_vendors": found.paused}
    if found.inbox_age_s is not None and found.inbox_age_s > WAITING.total_seconds():
        part.wrong(
            f"{found.inbox_waiting:,} webhooks wait in the inbox, the oldest for {_age(found.inbox_age_s)}",
            "see that Dagster's daemon runs and the sensor realtime_sensor is on; nothing is lost",
        )


def locks(part: Part, settings: Settings) -> None:
    """Tell who has the warehouse at this instant."""
    part.facts["warehouse"] = holder(settings.warehouse_path) or "free"


def _memory(part: Part, con: Connection) -> None:
    told = str(_one(con, "SELECT current_setting('memory_limit')"))
    have = memory_bytes()
    part.facts |= {"duckdb_memory_limit": told, "duckdb_threads": _one(con, "SELECT current_setting('threads')")}
    found = re.fullmatch(r"([\d.]+) (\w+)", told)
    if found and found[2] in _UNITS and float(found[1]) * _UNITS[found[2]] > have:
        part.wrong(
            f"DuckDB may use {told}, and this process has {have:,} bytes",
            f"set ACTIVATION_DUCKDB_MEMORY to about {0.8 * have / 2**30:.1f}GiB",
        )


def _migrations(part: Part, con: Connection) -> None:
    pending, unknown = sorted(migrations.pending(con)), migrations.unknown(con)
    part.facts |= {"migrations_pending": pending, "newest_migration": migrations.newest(con)}
    if unknown:
        part.wrong(
            f"the home was opened by a newer release, which made {', '.join(unknown)}",
            "install that release again, or restore the backup from before",
        )


def _windows(part: Part, con: Connection, activation: Activation | None, now: datetime) -> None:
    if not _one(con, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'published'"):
        part.facts["windows"] = {}
        return
    rows = con.execute(
        """SELECT lane, max_by(window_key, window_end), max(window_end) FROM meta.published
        WHERE window_end IS NOT NULL GROUP BY lane ORDER BY lane"""
    ).fetchall()
    part.facts["windows"] = {
        lane: {"newest": key, "ended": f"{end} UTC", "age": _age((now - end).total_seconds())}
        for lane, key, end in rows
    }
    span = activation.workspace.realtime_window if activation else timedelta(0)
    for lane, key, end in rows:
        late = LATE[Lane(lane)] if lane == Lane.DAILY else max(LATE[Lane.REALTIME], 4 * span)
        if now - end > late:
            part.wrong(
                f"the {lane} lane's newest window {key} ended {_age((now - end).total_seconds())} ago",
                "see that Dagster's daemon runs, that the lane's schedule or sensor is on, and why its last run failed",
            )


def _deliveries(part: Part, con: Connection) -> None:
    stopped = con.execute(
        """SELECT plan_id, destination, step, window_key, note FROM delivery.plans AS p
        WHERE NOT EXISTS (FROM delivery.releases AS r WHERE r.plan_id = p.plan_id)
        QUALIFY row_number() OVER (PARTITION BY destination, step ORDER BY made_at DESC NULLS LAST) = 1
            AND status = 'held' ORDER BY ALL"""
    ).fetchall()
    for plan, destination, step, window, note in stopped:
        part.wrong(
            f"the plan {plan} of {destination}/{step} ({window}) is held: {note}",
            f'mend what it saw, or `cio-activation release {plan} --why "..."`',
        )
    part.facts |= {
        "accounts": _pairs(con, "SELECT destination, account_id FROM delivery.accounts ORDER BY ALL"),
        "people": _one(con, "SELECT count(*) FROM identity.persons"),
        "rejected": _pairs(con, "SELECT destination, count(*) FROM delivery.rejected GROUP BY ALL ORDER BY ALL"),
        "quarantined": _pairs(con, "SELECT layer, count(*) FROM quarantine.rows GROUP BY ALL ORDER BY ALL"),
        "warnings": _pairs(con, "SELECT kind, count(*) FROM outcome.warnings GROUP BY ALL ORDER BY ALL"),
        "paused_audiences": _pairs(con, "SELECT audience, 1 FROM audience.pauses WHERE resumed_at IS NULL"),
    }


def _pairs(con: Connection, query: str) -> Mapping[str, Any]:
    return {str(key): value for key, value in con.execute(query).fetchall()}


def _one(con: Connection, query: str) -> Any:
    return con.execute(query).fetchall()[0][0]


def _size(path: Path) -> int:
    files = (inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files)


def _age(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    return f"{days} d {hours} h" if days else f"{hours} h {rest // 60} min"


def folder(settings: Settings) -> str:
    """Return where the home is, fit for a report."""
    return tilde(settings.activation_home)


def utc_now() -> datetime:
    """Return now as naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)
