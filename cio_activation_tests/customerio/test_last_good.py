"""Refused is not gone: what cannot be read leaves what was there, in both lanes, and says so."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.guards import Guards
from cio_activation.activation.models import Case, Cases, Flag, Lane, Limits, PropertyType
from cio_activation.customerio.assets import build_assets
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.people import land
from cio_activation.errors import ContractError
from cio_activation.lanes.partitions import Lanes
from cio_activation.runtime import Runtime
from cio_activation.state.derive import derive
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.builders import prop, runtime, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.landing import TYPES, enter, landed, small_activation, write_people
from cio_activation_tests.drivers.tables import query

GOOD = {
    "created_at": "1577836800",
    "last_order_at": "2024-01-15T12:00:00Z",
    "birthday": "1990-05-06",
    "orders_count": "3",
    "cart_value": "12.5",
    "score": "7",
    "unsubscribed": "true",
    "last_category": "Tea",
}
PEOPLE = [{"cio_id": f"p{i}", "id": f"C{i}", "email": f"p{i}@example.com", **GOOD} for i in range(10)]
BAD = [
    ("last_order_at", "-2209161600"),
    ("last_order_at", "1900-01-01T00:00:00+01:00"),
    ("last_order_at", "2199-12-31T23:59:59-05:00"),
    ("last_order_at", "yesterday"),
    ("birthday", "-2209161600"),
    ("birthday", "05/06/1990"),
    ("score", "1e16"),
    ("score", "nan"),
    ("cart_value", "-9e99"),
    ("orders_count", "3.7"),
    ("unsubscribed", "perhaps"),
    ("last_category", "x" * 20_000),
    ("email", "x" * 20_000),
]
CONTENT = "SELECT * EXCLUDE (observed_at, received_hash) FROM raw.people ORDER BY cio_id"


@pytest.fixture
def run(tmp_path: Path) -> Runtime:
    return runtime(tmp_path, small_activation())


def with_cell(column: str, text: str, person: str = "p3") -> list[dict[str, str]]:
    return [{**p, column: text} if p["cio_id"] == person else p for p in PEOPLE]


def marks(run: Runtime, columns: str = 'relation, cio_id, "column", since, last_good_at') -> list[tuple[Any, ...]]:
    return query(run, f"SELECT {columns} FROM raw.stale_cells ORDER BY ALL")


@pytest.mark.parametrize(("column", "text"), BAD, ids=[f"{c}-{t[:20]}" for c, t in BAD])
def test_a_refused_cell_keeps_its_last_good_value_and_everything_else_goes_on(
    run: Runtime, column: str, text: str
) -> None:
    landed(run, window(1), PEOPLE)
    before = query(run, CONTENT)
    for day in (2, 3):
        result = landed(run, window(day), with_cell(column, text))
        assert (result.rows, result.departed, result.changed, result.stale_values) == (10, 0, 0, 1)
        assert sum(result.quarantined.values()) == 1
        assert query(run, CONTENT) == before
        assert marks(run) == [("raw.people", "p3", column, window(2).as_of, window(1).as_of)]
    other = "score" if column != "score" else "cart_value"
    moved = [{**p, other: "99"} if p["cio_id"] == "p3" else p for p in with_cell(column, text)]
    assert landed(run, window(4), moved).changed == 1
    assert query(run, f"SELECT {other} FROM raw.people WHERE cio_id = 'p3'") == [(99.0,)]
    assert landed(run, window(5), PEOPLE).stale_values == 0
    assert (query(run, CONTENT), marks(run)) != (before, [])
    assert query(run, CONTENT.replace("EXCLUDE (", "EXCLUDE (changed_at, ")) == [r[:-1] for r in before]


def test_a_person_first_seen_with_a_refused_cell_has_no_value_and_is_marked(run: Runtime) -> None:
    landed(run, window(1), with_cell("score", "much"))
    assert query(run, "SELECT score, last_category FROM raw.people WHERE cio_id = 'p3'") == [(None, "Tea")]
    assert marks(run) == [("raw.people", "p3", "score", window(1).as_of, None)]


def malformed(run: Runtime, day: int, people: list[dict[str, str]], broken: str, hide: bool = False) -> Any:
    """Land ``people`` with the line of ``broken`` one cell too long; ``hide``: its ``cio_id`` cannot be read either."""
    path = write_people(run, window(day), people).path
    lines = path.read_bytes().decode().split("\r\n")
    at = next(i for i, line in enumerate(lines) if f",{broken}," in line)
    lines[at] = (lines[at].replace(f",{broken},", ",?,") if hide else lines[at]) + ",one more"
    path.write_bytes("\r\n".join(lines).encode())
    return land(run, window(day), enter(run, window(day), path, len(people)))


def test_a_malformed_line_keeps_its_person_and_nobody_else(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    before = query(run, CONTENT)
    result = malformed(run, 2, PEOPLE[:9], "p3")
    assert (result.rows, result.departed, result.changed, result.retained_rows) == (9, 1, 0, 1)
    assert query(run, CONTENT) == before[:9]
    assert marks(run) == [("raw.people", "p3", None, window(2).as_of, window(1).as_of)]


def test_while_a_line_cannot_be_told_nobody_absent_is_gone(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    before = query(run, CONTENT)
    for day in (2, 3):
        result = malformed(run, day, PEOPLE[:9], "p3", hide=True)
        assert (result.rows, result.departed, result.retained_rows) == (10, 0, 2)
        assert query(run, CONTENT) == before
        assert marks(run, "cio_id, since") == [("p3", window(2).as_of), ("p9", window(2).as_of)]
    noted = query(run, "SELECT cio_id, change FROM raw.membership_changes ORDER BY 1")
    assert noted == [("p3", "absent"), ("p9", "absent")]
    assert landed(run, window(4), PEOPLE[:9]).departed == 1
    assert marks(run) == []


def test_a_row_without_cio_id_is_like_a_line_that_cannot_be_told(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    result = landed(run, window(2), [{**p, "cio_id": ""} if p["cio_id"] == "p3" else p for p in PEOPLE])
    assert (result.rows, result.departed) == (10, 0)


def test_whom_the_realtime_lane_was_told_is_gone_goes_although_a_line_cannot_be_told(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    malformed(run, 2, PEOPLE[:9], "p3", hide=True)
    with run.warehouse.write() as con:
        con.execute("INSERT INTO raw.people_gone VALUES ('p9', ?)", [window(2).as_of + timedelta(hours=1)])
    result = malformed(run, 3, PEOPLE[:9], "p3", hide=True)
    assert (result.rows, result.departed, result.retained_rows) == (9, 1, 1)


def test_what_the_realtime_lane_saw_last_is_the_last_good_value(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    seen = window(1).as_of + timedelta(hours=1)
    with run.warehouse.write() as con:
        con.execute(
            "INSERT INTO raw.people_live BY NAME "
            "SELECT * REPLACE (99.0 AS score, ? AS observed_at) FROM raw.people WHERE cio_id = 'p3'",
            [seen],
        )
        con.execute(
            "INSERT INTO raw.people_live BY NAME SELECT 'new' AS cio_id, 'n@example.com' AS email, ? AS observed_at",
            [seen],
        )
    malformed(run, 2, with_cell("score", "much"), "p7", hide=True)
    assert query(run, "SELECT score FROM raw.people WHERE cio_id = 'p3'") == [(99.0,)]
    assert query(run, "SELECT email FROM raw.people WHERE cio_id = 'new'") == [("n@example.com",)]
    assert ("raw.people", "p3", "score", window(2).as_of, seen) in marks(run)


def test_too_much_refused_is_not_believed(tmp_path: Path) -> None:
    guards = Guards(max_refused_share=0.2, refused_floor=2)
    run = runtime(tmp_path, small_activation().model_copy(update={"limits": Limits(guards=guards)}))
    landed(run, window(1), PEOPLE)
    before = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    some = [{**p, "score": "much"} if p["cio_id"] in ("p1", "p2", "p3") else p for p in PEOPLE]
    with pytest.raises(ContractError, match=r"3 people have something.*score: unparsable number, 3 times"):
        landed(run, window(2), some)
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == before
    assert list(run.raw_folder("daily", window(2).key).glob("people-*.csv.refused"))
    assert landed(run, window(2), with_cell("score", "much")[:9]).stale_values == 1
    wide = runtime(tmp_path, small_activation())  # below the number, whatever share it is
    assert landed(wide, window(3), some).stale_values == 3


def test_a_value_that_is_old_for_too_long_is_counted(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    bad = with_cell("score", "much")
    found = [landed(run, window(day), bad).stale_overdue for day in (2, 15, 16)]
    assert found == [0, 0, 1]


def test_the_realtime_lane_keeps_last_good_values_too(site: CustomerioBench) -> None:
    run = site.runtime()
    now = datetime(2026, 11, 1, 12)
    picture = site.picture().facts
    who = str(picture.column("cio_id")[0].as_py())
    site.pick(who)
    live = window(1, Lane.REALTIME)
    pull_live(run, live, older_than=timedelta(0), clock=lambda: now)
    before = query(run, f"SELECT * EXCLUDE (observed_at) FROM raw.people_current WHERE cio_id = '{who}'")
    for step, text in enumerate(("-2209161600", "1900-01-01T00:00:00+01:00", "2199-12-31T23:59:59-05:00", "soon"), 1):
        site.edit("set_attribute", cio_id=who, name="created_at", value=text)
        result = pull_live(run, live, older_than=timedelta(0), clock=lambda at=now + timedelta(minutes=step): at)
        assert sum(result.quarantined.values()) == 1
        assert query(run, f"SELECT * EXCLUDE (observed_at) FROM raw.people_current WHERE cio_id = '{who}'") == before
        assert marks(run, 'relation, cio_id, "column", last_good_at') == [("raw.people_live", who, "created_at", now)]


def test_the_check_of_the_people_asset_warns_once_a_value_is_old_for_too_long(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**site.stand_in.running.environment(), "ACTIVATION_HOME": str(site.home)}.items():
        monkeypatch.setenv(name, value)
    run = site.runtime()
    activation = run.activation
    who = str(site.picture().facts.column("cio_id")[0].as_py())
    site.edit(action="set_attribute", cio_id=who, name="created_at", value="soon")
    built = build_assets(activation, Lanes.of(activation))
    people = [
        a for a in built if isinstance(a, dg.AssetsDefinition) and dg.AssetKey(["customerio", "people"]) in a.keys
    ]

    def passed(day: int) -> bool:
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(people, instance=instance, partition_key=window(day).key)
        (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "last_good"]
        assert check.severity is dg.AssetCheckSeverity.WARN
        return check.passed

    assert [passed(day) for day in (1, 14, 15)] == [True, True, False]


def test_what_was_never_read_is_no_value_of_a_flag_or_case_either(tmp_path: Path) -> None:
    flag = prop("is_off", PropertyType.FLAG, rule=Flag(when="unsubscribed"), deliver=())
    cases = Cases(cases=(Case(label="off", when="unsubscribed"),), otherwise="on")
    stage = prop("stage", PropertyType.ENUM, rule=cases, labels=("off", "on"), deliver=())
    live = prop("live_off", PropertyType.FLAG, Lane.REALTIME, rule=Flag(when="unsubscribed OR score > 5"), deliver=())
    run = runtime(
        tmp_path, builders.activation(flag, stage, live, attributes=TYPES, profile=small_activation().profile)
    )

    def derived(day: int, people: list[dict[str, str]]) -> list[tuple[Any, ...]]:
        landed(run, window(day), people)
        derive(run, window(day))
        derive(run, window(day, Lane.REALTIME))
        return query(
            run,
            "SELECT is_off, stage, live_off FROM state.daily_properties JOIN state.realtime_properties USING (cio_id) "
            "WHERE cio_id = 'p3'",
        )

    assert derived(1, with_cell("unsubscribed", "perhaps")) == [(None, None, None)]
    assert derived(2, with_cell("unsubscribed", "perhaps")) == [(None, None, None)]
    assert derived(3, with_cell("unsubscribed", "")) == [(False, "on", True)], (
        "the source's own word that there is none"
    )
    assert derived(4, with_cell("unsubscribed", "perhaps")) == [(False, "on", True)], "its last good value is none"
    assert derived(5, PEOPLE) == [(True, "off", True)]
