"""What each kind of cell becomes, on every spelling that senders are known to use."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import EpochUnit
from cio_activation_tests.drivers.builders import runtime, window
from cio_activation_tests.drivers.landing import landed, small_activation
from cio_activation_tests.drivers.tables import query

NOON = datetime(2024, 1, 15, 12)
REFUSED = object()

CELLS: list[tuple[str, str, Any]] = [
    ("last_order_at", "1705320000", NOON),
    ("last_order_at", " 1705320000 ", NOON),
    ("last_order_at", "1705320000.5", datetime(2024, 1, 15, 12, 0, 0, 500_000)),
    ("last_order_at", "1705320000000", NOON),
    ("last_order_at", "2024-01-15T12:00:00Z", NOON),
    ("last_order_at", "2024-01-15T12:00:00", NOON),
    ("last_order_at", "2024-01-15 12:00:00", NOON),
    ("last_order_at", "2024-01-15T14:00:00+02:00", NOON),
    ("last_order_at", "2024-01-15T07:00:00.000-0500", NOON),
    ("last_order_at", "2024-01-15 12:00:00 +0000", NOON),
    ("last_order_at", "2024-01-15 12:00:00 UTC", NOON),
    ("last_order_at", "2024-01-15T12:00Z", NOON),
    ("last_order_at", "2024-01-15", datetime(2024, 1, 15)),
    ("last_order_at", "-157766400", datetime(1965, 1, 1)),
    ("last_order_at", "", None),
    ("last_order_at", "  ", None),
    ("last_order_at", "yesterday", REFUSED),
    ("last_order_at", "2024-13-01", REFUSED),
    ("last_order_at", "2024", REFUSED),
    ("last_order_at", "20240115", REFUSED),
    ("last_order_at", "infinity", REFUSED),
    ("last_order_at", "99999999999999999999", REFUSED),
    ("birthday", "1990-05-06", date(1990, 5, 6)),
    ("birthday", "1990-05-06T23:30:00-05:00", date(1990, 5, 6)),
    ("birthday", "1705320000", date(2024, 1, 15)),
    ("birthday", "05/06/1990", REFUSED),
    ("birthday", "-100000000", date(1966, 10, 31)),
    ("birthday", "86400", date(1970, 1, 2)),
    ("birthday", "99964800", date(1973, 3, 3)),
    ("birthday", "20240115", REFUSED),
    ("birthday", "0", REFUSED),
    ("last_order_at", "1_705_320_000", REFUSED),
    ("orders_count", "1_000", REFUSED),
    ("cart_value", "1_000", REFUSED),
    ("score", "1_000.5", REFUSED),
    ("orders_count", "3", 3),
    ("orders_count", "3.0", 3),
    ("orders_count", "9007199254740993", 9007199254740993),
    ("orders_count", "3.7", REFUSED),
    ("orders_count", "three", REFUSED),
    ("cart_value", "12.50", 12.5),
    ("cart_value", "-3", -3.0),
    ("cart_value", "1e3", 1000.0),
    ("cart_value", "nan", REFUSED),
    ("cart_value", "inf", REFUSED),
    ("cart_value", "$12", REFUSED),
    ("unsubscribed", "true", True),
    ("unsubscribed", "True", True),
    ("unsubscribed", "1", True),
    ("unsubscribed", "false", False),
    ("unsubscribed", "0", False),
    ("unsubscribed", "maybe", REFUSED),
    ("unsubscribed", "Yes", True),
    ("unsubscribed", "y", True),
    ("unsubscribed", "ON", True),
    ("unsubscribed", " no ", False),
    ("unsubscribed", "F", False),
    ("unsubscribed", "off", False),
    ("unsubscribed", "2", REFUSED),
    ("last_category", "  kept as it is ", "  kept as it is "),
    ("last_category", 'quote "q", comma\nline', 'quote "q", comma\nline'),
]


def test_every_spelling(tmp_path: Path) -> None:
    run = runtime(tmp_path, small_activation())
    result = landed(run, window(), [{"cio_id": f"p{i:03}", c: text} for i, (c, text, _) in enumerate(CELLS)])

    for index, (column, text, expected) in enumerate(CELLS):
        key = f"p{index:03}"
        got = query(run, f"SELECT {column} FROM raw.people WHERE cio_id = '{key}'")
        assert got == [(None if expected is REFUSED else expected,)], f"{column} {text!r}"
        listed = query(run, f"SELECT \"column\", reason, row FROM quarantine.rows WHERE cio_id = '{key}'")
        if expected is REFUSED:
            assert [(c, r.split()[0]) for c, r, _ in listed] == [(column, "unparsable")], f"{column} {text!r}"
            assert text in listed[0][2]
        else:
            assert listed == [], f"{column} {text!r}"
    assert result.rows == len(CELLS)
    assert sum(result.quarantined.values()) == sum(e is REFUSED for _, _, e in CELLS)


@pytest.mark.parametrize("bad", ["x", "y,z", 'a"b'])
def test_two_bad_cells_of_a_person_are_two_rows(tmp_path: Path, bad: str) -> None:
    run = runtime(tmp_path, small_activation())
    landed(run, window(), [{"cio_id": "a", "cart_value": bad, "birthday": bad, "last_category": "kept"}])
    assert query(run, 'SELECT "column" FROM quarantine.rows ORDER BY 1') == [("birthday",), ("cart_value",)]
    assert query(run, "SELECT cart_value, last_category FROM raw.people") == [(None, "kept")]


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("seconds", "20240115", datetime(1970, 8, 23, 6, 15, 15)),
        ("seconds", "0", datetime(1970, 1, 1)),
        ("seconds", "1705320000000", None),
        ("milliseconds", "-31536000000", datetime(1969, 1, 1)),
        ("milliseconds", "2678400000", datetime(1970, 2, 1)),
        ("milliseconds", "2024-01-15T12:00:00Z", NOON),
    ],
)
def test_a_declared_unit_decides_what_a_number_counts(
    tmp_path: Path, unit: str, text: str, expected: datetime | None
) -> None:
    act = small_activation()
    stamp = act.attributes["last_order_at"].model_copy(update={"unit": EpochUnit(unit)})
    run = runtime(tmp_path, act.model_copy(update={"attributes": act.attributes | {"last_order_at": stamp}}))
    landed(run, window(), [{"cio_id": "a", "last_order_at": text}])
    assert query(run, "SELECT last_order_at FROM raw.people") == [(expected,)]
    assert query(run, "SELECT count(*) FROM quarantine.rows") == [(0 if expected else 1,)]
