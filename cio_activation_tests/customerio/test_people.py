"""Landing a people file: what is kept, what is refused, and when nothing is published at all."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import pytest

from cio_activation.activation.models import AttributeType
from cio_activation.customerio.people import land, pull_people
from cio_activation.errors import ContractError
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers.builders import runtime, window
from cio_activation_tests.drivers.landing import TYPES, enter, landed, small_activation, write_people
from cio_activation_tests.drivers.tables import query

PEOPLE = [{"cio_id": f"p{i}", "id": f"C{i}", "email": f"p{i}@example.com", "cart_value": str(i)} for i in range(10)]


@pytest.fixture
def run(tmp_path: Path) -> Runtime:
    return runtime(tmp_path, small_activation())


def test_people_land_with_hash_and_times(run: Runtime) -> None:
    result = landed(run, window(1), PEOPLE)
    assert (result.rows, result.changed, result.departed, result.quarantined) == (10, 10, 0, {})
    rows = query(
        run,
        "SELECT external_id, email, last_name, cart_value, changed_at, observed_at FROM raw.people_current "
        "WHERE cio_id = 'p3'",
    )
    assert rows == [("C3", "p3@example.com", None, 3.0, window(1).as_of, window(1).as_of)]
    assert query(run, "SELECT count(DISTINCT content_hash) FROM raw.people") == [(10,)]


def test_changed_at_moves_only_with_content(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    moved = [{**p, "cart_value": "99"} if p["cio_id"] == "p3" else p for p in PEOPLE[:9]]
    result = landed(run, window(2), [*moved, {"cio_id": "new"}])
    assert (result.rows, result.changed, result.departed) == (10, 2, 1)
    later = query(run, f"SELECT cio_id FROM raw.people WHERE changed_at = TIMESTAMP '{window(2).as_of}' ORDER BY 1")
    assert later == [("new",), ("p3",)]


def test_the_same_file_lands_the_same_again(run: Runtime) -> None:
    file = write_people(run, window(1), [*PEOPLE, {"cio_id": "bad", "cart_value": "x"}, {"cio_id": "p1"}])
    first = land(run, window(1), file)
    table = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    second = land(run, window(1), file)
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == table
    assert second.quarantined == first.quarantined == {"duplicate cio_id": 1, "unparsable money": 1}
    assert second.changed == 0


def test_doubles_are_decided_by_content_not_by_order(run: Runtime, tmp_path: Path) -> None:
    doubles = [{"cio_id": "a", "email": f"{n}@example.com"} for n in range(5)]
    landed(run, window(1), doubles)
    kept = query(run, "SELECT email FROM raw.people")
    other = runtime(tmp_path / "other", small_activation())
    result = landed(other, window(1), list(reversed(doubles)))
    assert query(other, "SELECT email FROM raw.people") == kept
    assert result.quarantined == {"duplicate cio_id": 4}


def test_a_row_without_cio_id_is_listed_and_left_out(run: Runtime) -> None:
    result = landed(run, window(1), [*PEOPLE, {"cio_id": " ", "email": "lost@example.com"}])
    assert (result.rows, result.quarantined) == (10, {"missing cio_id": 1})
    assert "lost@example.com" in query(run, "SELECT row FROM quarantine.rows")[0][0]


def test_a_row_that_is_nobodys_is_listed_and_left_out_and_a_value_that_cannot_be_is_refused_alone(
    run: Runtime,
) -> None:
    people = [*PEOPLE, {"cio_id": "two words"}, {"cio_id": "long", "last_category": "x" * 20_000}]
    for day in (1, 2):  # the second time the row is compared with a snapshot that does not have the value
        result = landed(run, window(day), people)
        assert (result.rows, result.quarantined) == (11, {"no cio_id": 1, "text is too long": 1})


@pytest.mark.parametrize("line", ["only,two\r\n", '"un"quoted' + "," * 13 + "\r\n", ",".join("x" * 40) + "\r\n"])
def test_malformed_lines_are_listed_and_the_rest_lands(run: Runtime, line: str) -> None:
    result = landed(run, window(1), PEOPLE, total=11, tail=line)
    assert (result.rows, result.quarantined) == (10, {"malformed line": 1})
    assert query(run, "SELECT row FROM quarantine.rows") == [(line.rstrip(),)]


def test_a_file_that_is_not_utf8_loses_only_that_line(run: Runtime) -> None:
    file = write_people(run, window(1), [*PEOPLE, {"cio_id": "odd", "last_category": "café"}])
    file.path.write_bytes(file.path.read_bytes().replace("café".encode(), b"caf\xe9"))
    result = land(run, window(1), enter(run, window(1), file.path, 11))
    assert (result.rows, result.quarantined) == (10, {"malformed line": 1})


def test_byte_order_mark_and_gzip_are_read(run: Runtime) -> None:
    path = write_people(run, window(1), PEOPLE).path
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + path.read_bytes()))
    assert land(run, window(1), enter(run, window(1), path, 10)).rows == 10


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.98])
def test_a_truncated_file_publishes_nothing_and_is_put_aside(run: Runtime, share: float) -> None:
    landed(run, window(1), PEOPLE)
    before = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    path = write_people(run, window(2), PEOPLE).path
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ContractError, match=r"cut off|middle of a line|no column|none of the columns"):
        land(run, window(2), enter(run, window(2), path, 10))
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == before
    assert query(run, "SELECT count(*) FROM raw.files WHERE window_key = '2026-11-02'") == [(0,)]
    assert list(path.parent.glob("people-*.csv.refused"))


def test_a_missing_column_is_named(run: Runtime) -> None:
    path = write_people(run, window(1), PEOPLE).path
    path.write_text(path.read_text().replace("cart_value", "cartvalue").replace("birthday", "Birthday"))
    with pytest.raises(ContractError, match=r"no column birthday, cart_value|no column cart_value, birthday"):
        land(run, window(1), enter(run, window(1), path, 10))


def test_a_snapshot_that_shrank_too_much_is_not_believed(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    landed(run, window(2), PEOPLE[:8])
    with pytest.raises(ContractError, match="less than 80%"):
        landed(run, window(3), PEOPLE[:6])
    assert query(run, "SELECT count(*) FROM raw.people") == [(8,)]


def test_an_empty_first_snapshot_lands(run: Runtime) -> None:
    assert landed(run, window(1), []).rows == 0


def test_an_old_window_with_its_file_changes_nothing(run: Runtime) -> None:
    write_people(run, window(1), PEOPLE[:5])
    landed(run, window(2), PEOPLE)
    before = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    result = pull_people(run, window(1))
    assert (result.superseded, result.rows) == (True, 5)
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == before


@pytest.mark.parametrize("refresh", [True, False])
def test_an_old_window_without_its_file_publishes_nothing_and_succeeds(run: Runtime, refresh: bool) -> None:
    landed(run, window(2), PEOPLE)
    before = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    result = pull_people(run, window(1), refresh=refresh)  # nobody is asked: an export shows the present
    assert (result.superseded, result.reused, result.rows) == (True, False, 0)
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == before


def test_a_new_attribute_joins_without_losing_anybody(run: Runtime, tmp_path: Path) -> None:
    landed(run, window(1), PEOPLE)
    wider = runtime(tmp_path, small_activation(attributes={**TYPES, "tier": AttributeType.TEXT}))
    result = landed(wider, window(2), [{**p, "tier": "gold"} for p in PEOPLE])
    assert (result.rows, result.changed) == (10, 10)
    assert query(wider, "SELECT DISTINCT tier FROM raw.people_current") == [("gold",)]


def test_a_snapshot_outdates_what_the_realtime_lane_saw_before(run: Runtime) -> None:
    landed(run, window(1), PEOPLE)
    between, after = window(1).as_of + timedelta(hours=1), window(2).as_of + timedelta(hours=1)
    with run.warehouse.write() as con:
        for cio_id, seen in (("p1", between), ("p2", after), ("deleted", between)):
            con.execute(
                "INSERT INTO raw.people_live BY NAME SELECT ? AS cio_id, 'live' AS email, ? AS observed_at",
                [cio_id, seen],
            )
        con.execute("INSERT INTO raw.people_gone VALUES ('p5', ?), ('p6', ?)", [between, after])
    assert dict(query(run, "SELECT cio_id, email FROM raw.people_current"))["p1"] == "live"
    landed(run, window(2), PEOPLE)
    current = dict(query(run, "SELECT cio_id, email FROM raw.people_current"))
    assert sorted(current) == ["p0", "p1", "p2", "p3", "p4", "p5", "p7", "p8", "p9"]
    assert (current["p1"], current["p2"]) == ("p1@example.com", "live")
