"""Stage 3: the state contract over every row, one row in a thousand broken, quarantine with reasons."""

from __future__ import annotations

from benchmarks import people
from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, count, digest, take
from benchmarks.measure import Sample
from benchmarks.state_screen import screen_sql
from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.state.contract import LAYER, breaches, duplicates_sql, frame_schema
from cio_activation.warehouse import quarantine
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.validation import Breach

_TABLE = "state.daily_properties"
_BREAKS = (
    "lapse_bucket = 'never' WHERE rowid % 2000 = 0",
    "last_engaged_on = DATE '1850-01-01' WHERE rowid % 4000 = 3000",
)


def ours(site: Site, sample: Sample) -> None:
    """Pandera in Arrow chunks, uniqueness in SQL, failing rows moved to quarantine."""
    run = _soiled(site)
    with run.warehouse.write() as con:
        with sample.timed():
            found = breaches(con, run.activation, Lane.DAILY, _TABLE)
            quarantine.refuse(con, LAYER, people.window(1), _TABLE, found)
        sample.answer = {"quarantine": _quarantined(con)}


def whole_frame(site: Site, sample: Sample) -> None:
    """Pandera over one frame of everybody, fetched by ``.df()``."""
    from pandera.errors import SchemaErrors

    run = _soiled(site)
    names = [p.name for p in run.activation.lane_properties(Lane.DAILY)]
    with run.warehouse.write() as con:
        with sample.timed():
            frame = con.sql(f"SELECT cio_id, {', '.join(names)} FROM {_TABLE}").df()
            found: list[Breach] = []
            try:
                frame_schema(run.activation, Lane.DAILY).validate(frame, lazy=True)
            except SchemaErrors as broken:
                cases = broken.failure_cases
                found = [
                    Breach(str(frame["cio_id"].iloc[key]), str(column), str(check))
                    for key, column, check in zip(cases["index"], cases["column"], cases["check"], strict=True)
                ]
            quarantine.refuse(con, LAYER, people.window(1), _TABLE, found)
        sample.answer = {"quarantine": _quarantined(con)}


def screened(site: Site, sample: Sample) -> None:
    """Only the SQL screen of the same rules, failing rows moved to quarantine."""
    run = _soiled(site)
    with run.warehouse.write() as con:
        with sample.timed():
            rows = con.execute(screen_sql(run.activation, Lane.DAILY, _TABLE)).fetchall()
            quarantine.refuse(con, LAYER, people.window(1), _TABLE, [Breach(*row) for row in rows])
        sample.answer = {"quarantine": _quarantined(con)}


def counts(site: Site, sample: Sample) -> None:
    """Count broken rows and doubles, keep nothing."""
    run = _soiled(site)
    with run.warehouse.read() as con, sample.timed():
        count(con, f"SELECT count(*) FROM ({screen_sql(run.activation, Lane.DAILY, _TABLE)})")
        count(con, f"SELECT count(*) FROM ({duplicates_sql(_TABLE)})")


def _soiled(site: Site) -> Runtime:
    run = take(site, "delivered", "validate")
    with run.warehouse.write() as con:
        for change in _BREAKS:
            con.execute(f"UPDATE {_TABLE} SET {change}")
    return run


def _quarantined(con: Connection) -> object:
    return digest(con, "quarantine.rows WHERE layer = 'state'", 'cio_id, "column", reason')


STAGE = Stage(
    3,
    "validate",
    frozenset({"delivered"}),
    {"ours": ours, "whole": whole_frame, "screen": screened, "counts": counts},
    (
        Row(
            "every row, 0.1 % broken, quarantine with reasons", "ours", ("whole", "screen"), "counts",
            ("quarantine",), 2.8, None,
        ),
    ),
    small_only=frozenset({"whole"}),
)  # fmt: skip
