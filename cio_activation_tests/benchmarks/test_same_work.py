"""The comparison of two checkouts: what counts as different, and what must not."""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import same_run, same_work
from benchmarks.same_work import Checkout, Cpu, Difference, NotComparable, differences, facts

ROOT = Path(__file__).parents[2]

ENDS = {"planned": 3, "delivered": 2, "rejected": 0, "unneeded": 1, "held": 0}
TOLD: dict[str, Any] = {
    "failed": [],
    "windows": {"daily": ["2026-01-01"], "realtime": ["2026-01-02T10:00"]},
    "operations": {"hubspot": ENDS},
    "quarantined": {"raw": {"unparsable timestamp": 1}},
    "hubspot": {"contacts": 2, "properties": {}, "lists": {}, "calls": {"POST /x/batch/update": 1}, "throttled": 0},
    "pipedrive": {"persons": 1, "fields": {}, "calls": {}, "throttled": 0},
    "customerio": {"calls": {"GET /v1/segments": 5, "GET /v1/exports/{id}": 3}, "throttled": 1},
    "second_run": {"window": "2026-01-01", "write_calls": 0, "calls": {}},
}
FOUND: dict[str, Any] = {
    "kinds": {"hubspot": {"update": ENDS}},
    "records": {"hubspot": {"cio_tier": {"ann 1": "low", "ben 1": "high"}}, "pipedrive": {}},
}


def changed(given: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of ``given`` with the entry at ``path`` (names separated by dots) set to ``value``."""
    made = copy.deepcopy(given)
    *above, last = path.split(".")
    place = made
    for name in above:
        place = place[name]
    place[last] = value
    return made


def compared(told: dict[str, Any] = TOLD, found: dict[str, Any] = FOUND) -> list[Difference]:
    return differences(facts(TOLD, FOUND), facts(told, found))


def test_the_same_answers_are_the_same() -> None:
    assert compared(copy.deepcopy(TOLD), copy.deepcopy(FOUND)) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "quarantined.raw",
            {"unparsable timestamp": 2},
            Difference("quarantined: raw: unparsable timestamp", "1", "2"),
        ),
        ("hubspot.calls", {}, Difference("calls: hubspot", "(none)", "{}")),
        ("pipedrive.throttled", 4, Difference("429: pipedrive", "0", "4")),
        ("second_run.write_calls", 7, Difference("second run: write_calls", "0", "7")),
        ("failed", ["daily"], Difference("failed", "[]", "['daily']")),
        ("windows.daily", ["2026-01-02"], Difference("windows: daily", "['2026-01-01']", "['2026-01-02']")),
        ("customerio.calls", {"GET /v1/segments": 6}, Difference("customerio: calls that counted", "4", "5")),
    ],
)
def test_a_figure_that_differs_is_named_with_both_sides(path: str, value: Any, expected: Difference) -> None:
    assert expected in compared(changed(TOLD, path, value))


def test_an_old_word_for_the_same_end_is_no_difference() -> None:
    old = {**{n: c for n, c in ENDS.items() if n != "unneeded"}, "superseded": 1}
    assert compared(changed(TOLD, "operations.hubspot", old)) == []


def test_how_often_customerio_asked_to_wait_is_no_difference() -> None:
    calls = {"GET /v1/segments": 7, "GET /v1/exports/{id}": 9}
    told = changed(changed(TOLD, "customerio.calls", calls), "customerio.throttled", 3)
    assert compared(told) == []


def test_people_with_other_values_are_counted_and_never_named() -> None:
    swapped = {"ann 1": "high", "ben 1": "low"}
    assert compared(TOLD, changed(FOUND, "records.hubspot.cio_tier", swapped)) == [
        Difference("hubspot: cio_tier of each person", "2 people", "2 people, 2 differ")
    ]


def test_kinds_that_do_not_add_up_to_their_destination_cannot_be_compared() -> None:
    with pytest.raises(NotComparable, match="3 operations planned, but 0 by kind"):
        facts(TOLD, changed(FOUND, "kinds", {}))


def test_the_ids_a_vendor_gives_make_no_difference() -> None:
    def held(first: str, second: str) -> dict[str, Any]:
        contacts = {first: {"cio_id": "ann", "cio_tier": "low"}, second: {"cio_id": "ben", "cio_tier": "high"}}
        lists = [{"name": "RET", "members": [second], "deleted": False}]
        person = {"id": first, "name": "Ann", "raw": {first: 1}, "custom_fields": {"cio_id": "ann"}}
        return {"hubspot": {"contacts": contacts, "lists": lists}, "pipedrive": {"persons": {first: person}}}

    one, other = same_run.records(held("1", "2")), same_run.records(held("2", "1"))
    assert one == other
    assert one["hubspot"]["list RET"] == {"ben 1": True}
    assert one["pipedrive"] == {"name": {"ann 1": "Ann"}, "cio_id": {"ann 1": "ann"}}


@pytest.mark.parametrize("word", ["superseded", "unneeded"])
def test_what_a_plan_did_not_send_is_unneeded_or_held_as_the_plan_says(tmp_path: Path, word: str) -> None:
    import duckdb

    folder = tmp_path / "plans/daily/2026-01-01"
    folder.mkdir(parents=True)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute(f"""
            CREATE SCHEMA delivery;
            CREATE TABLE delivery.plans AS FROM (VALUES
                ('first', 'hubspot', 0, 1), ('second', 'hubspot', 1, 0)) AS p (plan_id, destination, held, {word});
            CREATE TABLE delivery.ledger AS FROM (VALUES
                ('first', 'a', 'retry', 1), ('first', 'a', 'delivered', 2), ('first', 'b', 'rejected', 1),
                ('second', 'a', 'delivered', 3), ('second', 'd', 'retry', 3)
            ) AS l (plan_id, operation_id, "end", ended_at)""")
        for plan, operations in {"first": "('a'), ('b'), ('c')", "second": "('a'), ('d')"}.items():
            chosen = f"SELECT o AS operation_id, 'update' AS kind FROM (VALUES {operations}) AS t (o)"
            con.execute(f"COPY ({chosen}) TO '{folder}/{plan}.parquet' (FORMAT parquet)")
    expected = {"planned": 5, "delivered": 2, "rejected": 1, "unneeded": 1, "held": 1}
    assert same_run.kinds(tmp_path) == {"hubspot": {"update": expected}}


def test_the_world_of_a_held_sandbox_ends_at_the_given_instant_and_its_clock_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cio_activation.cli import world

    monkeypatch.setattr("cio_activation.cli.world.time", time)  # both are put back at the end
    monkeypatch.setattr(world, "start_sandbox", world.start_sandbox)
    started = same_run.hold_sandbox(1_790_000_000)
    sandbox = world.start_sandbox(orders=None, people=20)
    clock = sandbox.shared.clock
    try:
        assert started == [sandbox]
        assert sandbox.vendors["customerio"].now == 1_790_000_000
        clock.set(1_790_000_900.5)
        assert [clock.now(), clock.now()] == [1_790_000_900.5, 1_790_000_900.5]
    finally:
        sandbox.stop()
        vars(sys.modules[type(clock).__module__])["time"] = time


def test_a_module_without_a_clock_of_its_own_is_refused() -> None:
    with pytest.raises(SystemExit, match="does not import time"):
        same_run.hold_time(json, 0)


def test_code_of_another_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="not from"):
        same_run.main(same_run.Task("demo", str(tmp_path), "", "", 0, 1, 1))


@pytest.mark.parametrize(
    ("told", "code", "printed"),
    [
        (TOLD, 0, "same: "),
        (changed(TOLD, "hubspot.contacts", 3), 1, "| hubspot: contacts | 2 | 3 |"),
    ],
)
def test_the_exit_code_tells_whether_the_checkouts_differ(
    told: dict[str, Any],
    code: int,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(Checkout, "run", lambda self, _: (TOLD if self.name == "before" else told, FOUND))
    words = ["--before", str(ROOT), "--after", str(ROOT), "--repeat", "0", "--json", str(tmp_path / "found.json")]
    assert same_work.main(words) == code
    assert printed in capsys.readouterr().out
    report = json.loads((tmp_path / "found.json").read_text())
    assert report["same"] is (code == 0)
    assert "ann 1" not in json.dumps(report)


def test_a_checkout_that_fails_itself_is_not_a_measure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Checkout, "run", lambda *_: (changed(TOLD, "failed", ["daily: no"]), FOUND))
    assert same_work.main(["--before", str(ROOT), "--after", str(ROOT), "--repeat", "0"]) == 2
    assert "daily: no" in capsys.readouterr().err


def test_a_folder_that_is_no_checkout_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        same_work.main(["--before", str(tmp_path)])
    assert ended.value.code == 2


def test_a_ratio_comes_with_how_far_a_checkout_differs_from_itself() -> None:
    table = same_work.cpu_table({"daily": Cpu([10.0, 10.0, 12.0], [10.2, 10.2, 10.2])})
    assert (
        "| daily | 10.00 | 10.20 | 1.020 | 20.0% | within 5%, but one checkout differs from itself by more |" in table
    )
    once = same_work.cpu_table({"realtime": Cpu([10.0], [10.0])})
    assert "| within 5%, measured once |" in once
