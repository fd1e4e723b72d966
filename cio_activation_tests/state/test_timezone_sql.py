"""Wall-clock times against Python's own zone rules, on both sides of every change of the clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cio_activation.state.timezone_sql import local_time
from cio_activation.warehouse.sessions import scratch

NOW = datetime(2026, 11, 22, 5)


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
def test_agrees_with_the_zone_database(zone: str) -> None:
    instants = [datetime(2019, 1, 1) + timedelta(hours=7) * i for i in range(12_000)]
    info = ZoneInfo(zone)
    # every instant at which the offset changes, and the microsecond before it
    hours = [datetime(2022, 12, 1) + timedelta(minutes=30) * i for i in range(2 * 24 * 1500)]
    offsets = [h.replace(tzinfo=ZoneInfo("UTC")).astimezone(info).utcoffset() for h in hours]
    changes = [h for h, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]
    instants += [c - timedelta(microseconds=d) for c in changes for d in (0, 1)]
    with scratch() as con:
        con.execute("CREATE TABLE m AS SELECT unnest($1::TIMESTAMP[]) AS instant", [instants])
        found = dict(con.execute(f"SELECT instant, {local_time('instant', zone, NOW)} FROM m").fetchall())
    expected = {m: m.replace(tzinfo=ZoneInfo("UTC")).astimezone(info).replace(tzinfo=None, fold=0) for m in instants}
    assert found == expected


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "America/New_York", "Antarctica/Troll"])
def test_agrees_with_duckdb_to_the_microsecond(zone: str) -> None:
    """Also where a government changed its mind and DuckDB's zone data differ from the system's."""
    with scratch() as con:
        con.execute(
            """CREATE TABLE m AS SELECT TIMESTAMP '2020-01-01' + to_microseconds((hash(i) % 316000000000000)::BIGINT)
            AS instant FROM range(50000) AS t(i)"""
        )
        different = con.execute(
            f"""SELECT count(*) FROM m WHERE ({local_time("instant", zone, NOW)})
            IS DISTINCT FROM timezone('{zone}', timezone('UTC', instant))"""
        ).fetchall()
    assert different == [(0,)]


def test_a_missing_time_stays_missing() -> None:
    with scratch() as con:
        query = f"SELECT {local_time('instant', 'America/New_York', NOW)} FROM (SELECT NULL::TIMESTAMP AS instant)"
        assert con.execute(query).fetchall() == [(None,)]
