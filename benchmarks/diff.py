"""Stage 4: who has to be pushed, and with which fields, when 0, 1, 10 or 100 % of people changed."""

from __future__ import annotations

from functools import partial

from benchmarks.cases import Case, Row, Stage
from benchmarks.homes import Site, count, digest, plan_properties, planned_people, take
from benchmarks.measure import Answer, Sample
from cio_activation.activation.models import Lane
from cio_activation.delivery.fields import DIFFERING, changes, differing, shadow_name
from cio_activation.destinations.common.kinds import VALUES
from cio_activation.destinations.hubspot.values import value_sql
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier

SHARES = (0, 1, 10, 100)
_SHADOW = shadow_name("hubspot", "daily")
_WANTED = "state.wanted"


def ours(percent: int, site: Site, sample: Sample) -> None:
    """Compare 64-bit hashes: the ids."""
    run = _changed(site, percent)
    with run.warehouse.write() as con:
        with sample.timed():
            con.execute(f"CREATE TEMP TABLE found AS {differing(f'FROM {_WANTED}', _SHADOW)}")
        sample.answer = _found(con)


def fields(percent: int, site: Site, sample: Sample) -> None:
    """The same, then column by column for those: each row's changed fields as JSON."""
    run = _changed(site, percent)
    hashes = f"SELECT cio_id, record_id, row_hash, rowid AS place FROM {_WANTED}"
    rows = f"SELECT * FROM {_WANTED} WHERE rowid IN (SELECT place FROM {DIFFERING})"
    select = changes(rows, _SHADOW, _names(run), kinds=VALUES, keys="'{}'", hashes=hashes)
    with run.warehouse.write() as con:
        with sample.timed():
            con.execute(f"CREATE TEMP TABLE found AS SELECT cio_id, payload FROM ({select})")
        sample.answer = _found(con)


def plan(percent: int, site: Site, sample: Sample) -> None:
    """HubSpot's whole plan: links, keys, operation ids, guard, sorted plan file."""
    run = _changed(site, percent)
    path = site.root / "work" / "plan.parquet"
    with run.warehouse.write() as con:
        with sample.timed():
            plan_properties(run, con, 1, path)
        con.execute(f"CREATE TEMP TABLE found AS {planned_people(path)}")
        sample.answer = _found(con)


def by_column(percent: int, site: Site, sample: Sample) -> None:
    """Compare column by column, without hashes."""
    run = _changed(site, percent)
    differs = " OR ".join(f"w.{identifier(n)} IS DISTINCT FROM s.{identifier('p_' + n)}" for n in _names(run))
    with run.warehouse.write() as con:
        with sample.timed():
            con.execute(
                f"CREATE TEMP TABLE found AS SELECT w.cio_id FROM {_WANTED} AS w "
                f"LEFT JOIN {_SHADOW} AS s ON s.cio_id = w.cio_id WHERE s.cio_id IS NULL OR {differs}"
            )
        sample.answer = _found(con)


def by_except(percent: int, site: Site, sample: Sample) -> None:
    """``EXCEPT`` over all columns."""
    run = _changed(site, percent)
    names = _names(run)
    left, right = ", ".join(map(identifier, names)), ", ".join(identifier("p_" + n) for n in names)
    with run.warehouse.write() as con:
        with sample.timed():
            con.execute(
                f"CREATE TEMP TABLE found AS SELECT cio_id FROM "
                f"(SELECT cio_id, {left} FROM {_WANTED} EXCEPT SELECT cio_id, {right} FROM {_SHADOW})"
            )
        sample.answer = _found(con)


def by_pandas(percent: int, site: Site, sample: Sample) -> None:
    """Merge two frames and compare their columns."""
    run = _changed(site, percent)
    names = _names(run)
    right = ", ".join(identifier("p_" + n) for n in names)
    with run.warehouse.write() as con:
        with sample.timed():
            wanted = con.sql(f"FROM {_WANTED}").to_arrow_table().to_pandas()
            known = con.sql(f"SELECT cio_id, {right} FROM {_SHADOW}").to_arrow_table().to_pandas()
            both = wanted.merge(known, on="cio_id", how="left", indicator="side")
            differs = both["side"].eq("left_only")
            for name in names:
                one, other = both[name], both[f"p_{name}"]
                differs |= ~(one.eq(other).fillna(False) | (one.isna() & other.isna()))
            ids = both.loc[differs, ["cio_id"]]  # noqa: F841
        con.execute("CREATE TEMP TABLE found AS SELECT CAST(cio_id AS VARCHAR) AS cio_id FROM ids")
        sample.answer = _found(con)


def scan(site: Site, sample: Sample) -> None:
    """Scan id and hash of both tables."""
    run = _changed(site, 0)
    with run.warehouse.read() as con, sample.timed():
        for relation, column in ((_WANTED, "row_hash"), (_SHADOW, "whole_hash")):
            con.execute(f"SELECT max(hash(cio_id)), max({column}) FROM {relation}").fetchall()


def _changed(site: Site, percent: int) -> Runtime:
    """Return a home whose desired rows differ from the shadow for ``percent`` of people, in one column each."""
    run = take(site, "delivered", "diff")
    values = "".join(
        f", {value_sql(p, 's.' + identifier(p.name))} AS {identifier(p.name)}"
        for p in run.activation.lane_properties(Lane.DAILY, "hubspot")
    )
    with run.warehouse.write() as con:
        con.execute(
            "UPDATE state.daily_properties SET vip = NOT vip, hash_hubspot = hash(hash_hubspot) "
            f"WHERE cio_id IN (SELECT cio_id FROM {_SHADOW} WHERE rowid % 100 < {percent})"
        )
        # What the step desires, as a table: so the comparison is measured apart from the joins that lead to it.
        con.execute(
            f"CREATE TABLE {_WANTED} AS SELECT s.cio_id, l.record_id, s.hash_hubspot AS row_hash{values} "
            "FROM state.daily_properties AS s "
            "JOIN delivery.links AS l ON l.destination = 'hubspot' AND l.cio_id = s.cio_id"
        )
    return run


def _names(run: Runtime) -> list[str]:
    return [p.name for p in run.activation.lane_properties(Lane.DAILY, "hubspot")]


def _found(con: Connection) -> Answer:
    return {"ids": digest(con, "found", "cio_id"), "people": count(con, "SELECT count(*) FROM found")}


def _rows(percent: int) -> tuple[Row, ...]:
    share = f"{percent} % changed"
    others = tuple(f"{peer}_{percent}" for peer in (("column", "except", "pandas") if percent == 1 else ("column",)))
    return (
        Row(f"ids to push, {share}", f"ours_{percent}", others, "scan", ("ids",), 2.6 if percent < 100 else None),
        Row(
            f"with changed fields, {share}",
            f"fields_{percent}",
            others[:1],
            "scan",
            ("ids",),
            5.5 if percent < 10 else None,
        ),
        Row(f"HubSpot's plan file, {share}", f"plan_{percent}", (), "scan"),
    )


_CASES: dict[str, Case] = {"scan": scan, "except_1": partial(by_except, 1), "pandas_1": partial(by_pandas, 1)}
for _share in SHARES:
    _CASES |= {
        f"ours_{_share}": partial(ours, _share),
        f"fields_{_share}": partial(fields, _share),
        f"plan_{_share}": partial(plan, _share),
        f"column_{_share}": partial(by_column, _share),
    }

STAGE = Stage(
    4,
    "diff",
    frozenset({"delivered"}),
    _CASES,
    tuple(row for share in SHARES for row in _rows(share)),
    small_only=frozenset({"pandas_1"}),
)
