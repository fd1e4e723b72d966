"""What the default activation comes to is reviewed as text: a change of it is a diff somebody looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.warehouse.sql_format import formatted
from cio_activation_tests.golden import statements, texts
from cio_activation_tests.golden.__main__ import main


def changed(folder: Path, old: str, new: str) -> str:
    """Return how the texts differ once ``old`` says ``new`` in the activation file."""
    written = DEFAULT_ACTIVATION.read_text()
    assert old in written
    path = folder / "activation.yaml"
    path.write_text(written.replace(old, new))
    return texts.differences(texts.of(texts.default_activation(path)))


def moved(told: str) -> tuple[set[str], list[str]]:
    """Return the files a diff is about, and its lines that came or went."""
    lines = told.splitlines()
    files = {line.removeprefix("+++ ") for line in lines if line.startswith("+++ ")}
    return files, [line for line in lines if line[:1] in ("+", "-") and line[:3] not in ("+++", "---")]


def tree(con: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """Return DuckDB's own reading of a SELECT, without places and with one name for what has two."""
    told = json.loads(con.execute("SELECT json_serialize_sql(?)", [statement]).fetchall()[0][0])
    assert not told["error"], told
    return _plain(told["statements"])


_SAME = {"TEXT": "VARCHAR", "len": "length", "->>": "json_extract_string", "->": "json_extract", "list": "array_agg"}
_PLACE = ("query_location", "query_location_length", "is_operator")


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return _SAME.get(node, node) if isinstance(node, str) else node
    found = {key: _plain(value) for key, value in node.items() if key not in _PLACE}
    inside = found["children"][0] if found.get("type") == "OPERATOR_NOT" else {}
    if inside.get("type") == "OPERATOR_IS_NULL":  # NOT x IS NULL
        return inside | {"type": "OPERATOR_IS_NOT_NULL", "alias": found["alias"]}
    return found


def test_definitions_and_sql_of_the_default_activation_are_as_reviewed() -> None:
    told = texts.differences(texts.now())
    assert not told, f"review this, then run `{texts.UPDATE}` and commit what it wrote:\n{told}"


def test_formatted_sql_is_read_by_duckdb_as_the_sql_that_runs() -> None:
    with duckdb.connect() as con:
        for path, selects in statements.generated(texts.default_activation()).items():
            for name, select in selects.items():
                assert tree(con, formatted(select)) == tree(con, select), f"{path} {name}"


def test_sql_that_cannot_be_read_is_shown_as_it_was_written() -> None:
    assert formatted(" SELECT FROM WHERE (") == "SELECT FROM WHERE ("


@pytest.mark.parametrize(
    ("old", "new", "files"),
    [
        ("edges: [30, 90, 180]", "edges: [30, 100, 180]", {"sql/state/daily_properties.sql"}),
        ("gate: orders_count = 1", "gate: orders_count = 2", {"sql/audience/second_purchase_due.sql"}),
    ],
)
def test_another_edge_or_gate_shows_as_a_few_lines(tmp_path: Path, old: str, new: str, files: set[str]) -> None:
    touched, lines = moved(changed(tmp_path, old, new))
    assert touched == files
    assert 2 <= len(lines) <= 10, lines


def test_a_dependency_that_goes_shows_as_one_line(tmp_path: Path) -> None:
    touched, lines = moved(changed(tmp_path, "gate: cart_value >= 200 AND ltv_tier IN ('gold', 'platinum')",
                                   "gate: cart_value >= 200"))  # fmt: skip
    assert touched == {"definitions/assets.txt", "sql/audience/vip_cart_abandoners.sql"}
    assert "-  dep state/daily_properties by LastPartitionMapping" in lines


def test_the_command_writes_what_the_test_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(texts, "FOLDER", tmp_path)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "of_an_audience_that_went.sql").write_text("-- was reviewed once\n")
    assert main([]) == 1
    assert "-- was reviewed once" in capsys.readouterr().out
    assert main(["--update"]) == 0
    assert main([]) == 0
    assert not (tmp_path / "sql" / "of_an_audience_that_went.sql").exists()
