"""Stage 1: from the export's CSV to a landed table, with unreadable cells in quarantine."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from benchmarks import pandas_people
from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, activation, digest, land_day, take
from benchmarks.measure import Answer, Sample
from cio_activation.customerio.people_table import columns
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

_DATA = ", ".join(identifier(c.name) for c in columns(activation()))


def ours(site: Site, sample: Sample) -> None:
    """Land the export into an empty warehouse: typed, hashed, validated, published."""
    _land(site, sample, take(site, "empty", "ingest"))


def again(site: Site, sample: Sample) -> None:
    """Land the same export over what it gave before: nobody changed."""
    _land(site, sample, take(site, "landed", "ingest"))


def pandas_insert(site: Site, sample: Sample) -> None:
    """Read and type with pandas, then insert both tables into a DuckDB file."""
    path = site.root / "work" / "pandas.duckdb"
    path.unlink(missing_ok=True)
    with duckdb.connect(str(path)) as con:
        with sample.timed():
            people, bad = pandas_people.read(site.csv(1), activation())
            con.register("arrived", pa.Table.from_pandas(people, preserve_index=False))
            con.execute("CREATE TABLE people AS SELECT * FROM arrived")
            con.register("refused", pa.Table.from_pandas(bad, preserve_index=False))
            con.execute("CREATE TABLE bad AS SELECT * FROM refused")
            con.execute("CHECKPOINT")
        sample.answer = _found(con, "people", "bad")
    path.unlink()


def parse_only(site: Site, sample: Sample) -> None:
    """Parse every cell of the file and keep nothing."""
    with duckdb.connect(":memory:") as con:
        names = [c[0] for c in con.execute(f"DESCRIBE FROM {_csv(site)}").fetchall()]
        counted = ", ".join(f"count({identifier(n)})" for n in names)
        with sample.timed():
            con.execute(f"SELECT count(*), {counted} FROM {_csv(site)}").fetchall()


def _land(site: Site, sample: Sample, run: Runtime) -> None:
    with sample.timed():
        land_day(site, run, 1)
    with run.warehouse.read() as con:
        sample.answer = _found(con, "raw.people", "quarantine.rows WHERE layer = 'raw'")


def _found(con: Connection, people: str, bad: str) -> Answer:
    return {
        "people": digest(con, people, _DATA),
        "quarantine": digest(con, bad, 'cio_id, "column"'),
    }


def _csv(site: Site) -> str:
    return f"read_csv({literal(str(site.csv(1)))}, all_varchar = true, header = true, delim = ',', quote = '\"')"


STAGE = Stage(
    1,
    "ingest",
    frozenset({"empty", "landed"}),
    {"ours": ours, "again": again, "pandas": pandas_insert, "parse": parse_only},
    (
        Row("CSV -> landed table, dirty cells quarantined", "ours", ("pandas",), "parse", ("people", "quarantine")),
        Row("the same file again, nobody changed", "again", ("pandas",), "parse", ("people", "quarantine"), 2.5),
    ),
    small_only=frozenset({"pandas"}),
)
