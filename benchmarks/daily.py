"""Stage 5: the second day's derivation, one person in a hundred touched and the clock a day on."""

from __future__ import annotations

from benchmarks import people
from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, count, digest, take
from benchmarks.measure import Sample
from cio_activation.activation.models import Lane
from cio_activation.runtime import Runtime
from cio_activation.state.derive import StateResult, derive
from cio_activation.state.sql import StateSql
from cio_activation.warehouse.sql import timestamp

_TABLE = "state.daily_properties"
_ROW = "cio_id, row_hash, hash_hubspot, hash_pipedrive, source_hash, next_transition_at"


def ours(site: Site, sample: Sample) -> None:
    """Derive candidates only; afterwards a full derivation proves that nobody was missed."""
    run = take(site, "second", "daily")
    with sample.timed():
        result = derive(run, people.window(2))
    _note(run, sample, result)
    proof = derive(run, people.window(2), full=True)
    if proof.missed or proof.changed:
        raise AssertionError(f"the incremental derivation missed {proof.missed}, left {proof.changed} wrong")


def full(site: Site, sample: Sample) -> None:
    """Derive, validate and write everybody anew, as after a change of definitions."""
    run = take(site, "second", "daily")
    with run.warehouse.write() as con:
        con.execute("DELETE FROM state.versions")
    with sample.timed():
        result = derive(run, people.window(2))
    if not result.rebuilt:
        raise AssertionError("this was meant to derive everybody")
    _note(run, sample, result)


def updated_only(site: Site, sample: Sample) -> None:
    """Derive only who was updated: wrong, since buckets move with the clock; the note says how much it finds."""
    run = take(site, "second", "daily")
    window = people.window(2)
    statements = StateSql.of(run.activation, Lane.DAILY, window.as_of)
    with run.warehouse.write() as con:
        with sample.timed():
            con.execute(
                "CREATE TEMP TABLE touched AS SELECT cio_id FROM raw.people "
                f"WHERE changed_at = {timestamp(window.as_of)}"
            )
            con.execute(f"CREATE TEMP TABLE staged AS {statements.select('touched')}")
        query = f"SELECT count(*) FROM staged AS n JOIN {_TABLE} AS s USING (cio_id) WHERE n.row_hash <> s.row_hash"
        sample.answer = {"changed": count(con, query)}


def _note(run: Runtime, sample: Sample, result: StateResult) -> None:
    with run.warehouse.read() as con:
        sample.answer = {
            "state": digest(con, _TABLE, _ROW),
            "candidates": result.candidates,
            "changed": result.changed,
        }


STAGE = Stage(
    5,
    "daily run",
    frozenset({"second"}),
    {"ours": ours, "full": full, "updated": updated_only},
    (Row("1 % touched, clock + 1 day", "ours", ("full",), "updated", ("state",), None, 0.5),),
)
