"""Forgetting people: from the request to a home, and two CRMs, that hold nothing of ours about them."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.destinations import DESTINATIONS
from cio_activation.errors import ConfigError
from cio_activation.privacy import files, keeping_out
from cio_activation.privacy.erasing import Erased, erase
from cio_activation.privacy.people import found
from cio_activation.privacy.requests import ask
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, town
from cio_activation_tests.forms import form

DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
PEOPLE, HOW_MANY = form(30, 400), form(3, 60)


class Forgetting:
    """A town in which some people were forgotten, and what was known of them before."""

    def __init__(self, town: Town) -> None:
        self.town = town
        town.settle()
        rows = self.chosen()[:HOW_MANY]
        self.people = [str(row[0]) for row in rows]
        self.emails = [str(row[1]) for row in rows]
        self.neighbour = str(town.act("add_person", id="N1", email=self.emails[-1])["cio_id"])
        """Whoever has the same address as the last of them."""
        town.wait(DAY)
        town.settle()
        # An id such as 42 is the same word as a number of orders: where it names somebody it is beside their cio_id.
        self.names = [v for row in rows for v in (row[0], row[1], row[3]) if v and v != self.emails[-1]]
        self.records = dict(
            town.query(
                "SELECT destination || '/' || record_id, cio_id FROM delivery.links "
                f"WHERE cio_id IN {tuple(self.people)} AND record_id IS NOT NULL"
            )
        )
        self.hand_over()
        self.held_before = self.held()
        self.named_before = files_with(town.home, self.names)
        with town.runtime.warehouse.write() as con:
            given = [self.people[0], self.emails[1].upper(), *self.people[2:]]
            self.asked = ask(con, found(con, given, DESTINATIONS), at(town), "Ada", "ticket 7")
        self.batches: list[Counter[str]] = []
        """Of each round: file -> how often it was put in its own place."""
        with self.counted():
            self.first = self.erase()
        town.wait(QUARTER)
        town.settle()
        with pytest.raises(Killed), self.counted():
            erase(town.runtime, at(town), DESTINATIONS, beside=die)
        self.half_way = files_with(town.home, self.names)
        self.done = self.erase()

    def hand_over(self) -> None:
        """Have a plan in which a record was one of theirs before it is somebody else's."""
        plan = next(self.town.home.glob("plans/**/*.parquet"))
        before = f"""{{"id": "{self.people[0]}", "lapse_bucket": "91+"}}"""
        duckdb.execute(
            f"""COPY (SELECT * REPLACE ('{before}' AS before) FROM read_parquet('{plan}')
            WHERE cio_id NOT IN {tuple(self.people)}) TO '{plan.with_name("handed-over.parquet")}' (FORMAT parquet)"""
        )

    def chosen(self) -> list[tuple[Any, ...]]:
        """Return (cio_id, e-mail, id, phone) of people with a record in each of the CRMs, on lists where there are any.

        Nobody whose address or phone somebody else has, who is named by it still.
        """
        found: list[tuple[Any, ...]] = []
        for vendor, many in (("pipedrive", 1), ("hubspot", HOW_MANY - 1)):
            rows = self.town.query(
                f"""SELECT p.cio_id, p.email, p.external_id, p.phone FROM identity.persons AS p
                JOIN delivery.links AS l ON l.cio_id = p.cio_id AND l.destination = '{vendor}' AND l.record_id IS NOT NULL
                WHERE p.email IS NOT NULL AND NOT EXISTS (FROM identity.persons AS o
                    WHERE o.cio_id <> p.cio_id AND (o.email = p.email OR o.phone = p.phone))
                ORDER BY p.cio_id NOT IN (SELECT cio_id FROM delivery.members), p.cio_id"""
            )
            found += [row for row in rows if row[0] not in {one[0] for one in found}][:many]
        return found

    def held(self) -> dict[str, dict[str, Any]]:
        """Return what the stand-ins hold in our fields on the records of these people."""
        found: dict[str, dict[str, Any]] = {}
        for record in self.records:
            vendor, _, number = record.partition("/")
            there = self.town.there[vendor]["contacts" if vendor == "hubspot" else "persons"]
            found[record] = ours(there[number])
        return found

    @contextmanager
    def counted(self) -> Iterator[None]:
        self.batches.append(Counter())

        def settle(part: Path, path: Path) -> None:
            self.batches[-1][path.relative_to(self.town.home).as_posix()] += 1
            real(part, path)

        real = files.settle
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "settle", settle)
            yield

    def erase(self) -> Erased:
        keeping_out.clean(self.town.runtime)
        return erase(self.town.runtime, at(self.town), DESTINATIONS)


class Killed(Exception):
    """Stands for the end of the process."""


def die(_names: Sequence[str]) -> int:
    raise Killed


def at(town: Town) -> datetime:
    return town.now.replace(tzinfo=None)


def files_with(home: Path, names: list[str]) -> dict[str, list[str]]:
    """Return each file of ``home`` -> which of ``names`` its bytes hold; those of Parquet as DuckDB reads them."""
    there: dict[str, list[str]] = {}
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content += str(duckdb.sql(f"FROM read_parquet('{path}')").fetchall()).encode()
        if hits := [name for name in names if re.search(re.escape(name.encode()), content, re.IGNORECASE)]:
            there[path.relative_to(home).as_posix()] = hits
    return there


def ours(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record of a stand-in holds in our fields: HubSpot's properties, Pipedrive's custom fields."""
    fields = record.get("custom_fields") or record.get("properties", record)
    return {k: v for k, v in fields.items() if k.startswith("cio_") and v not in (None, "")}


@pytest.fixture(scope="module")
def forgetting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forgetting]:
    with town(tmp_path_factory.mktemp("forgetting") / "home", people=PEOPLE, warm=False) as made:
        yield Forgetting(made)


def test_they_wait_until_the_crms_are_done(forgetting: Forgetting) -> None:
    assert forgetting.asked == HOW_MANY
    assert forgetting.first.erased < HOW_MANY
    assert any("fields" in what for places in forgetting.first.waiting.values() for what in places.values())
    assert (forgetting.first.erased + forgetting.done.erased, forgetting.done.waiting) == (HOW_MANY, {})


def test_who_died_half_way_is_followed_by_one_that_begins_anew(forgetting: Forgetting) -> None:
    assert set(forgetting.half_way) == {"warehouse.duckdb", "journal.sqlite"}, "the files were done"
    assert forgetting.done.erased > 0


def test_each_file_that_names_one_of_them_is_written_anew_once(forgetting: Forgetting) -> None:
    assert {times for batch in forgetting.batches for times in batch.values()} == {1}
    named = {path for path in forgetting.named_before if path.split("/")[0] in ("raw", "plans")}
    there = {path for path in named if (forgetting.town.home / path).is_file()}
    assert there <= {path for batch in forgetting.batches for path in batch}


def test_no_file_names_them(forgetting: Forgetting) -> None:
    named = {name for hits in forgetting.named_before.values() for name in hits}
    assert set(forgetting.people) <= named
    assert {path.split("/")[0] for path in forgetting.named_before} >= {
        "warehouse.duckdb",
        "journal.sqlite",
        "raw",
        "plans",
    }
    assert files_with(forgetting.town.home, forgetting.names) == {}
    (others,) = forgetting.town.home.glob("plans/**/handed-over.parquet")
    rows = duckdb.execute(f"SELECT before, payload FROM read_parquet('{others}')").fetchall()
    assert rows, "the others' rows stay"
    assert {before for before, _ in rows} == {None}
    assert all(payload for _, payload in rows)


def test_the_crms_hold_nothing_of_ours_about_them(forgetting: Forgetting) -> None:
    assert {record.partition("/")[0] for record in forgetting.records} == {"hubspot", "pipedrive"}
    assert all(forgetting.held_before.values()), "every record had something of ours"
    held = forgetting.held()
    theirs = {record: there for record, there in held.items() if there.get("cio_id") == forgetting.neighbour}
    assert len(theirs) <= 1, "a record is found by its address: now it is of the one who has that, too"
    assert held | theirs == {record: {} for record in forgetting.records} | theirs


def test_the_others_are_as_they_were_decided(forgetting: Forgetting) -> None:
    assert forgetting.town.differences() == []


def test_whoever_has_the_same_address_stays(forgetting: Forgetting) -> None:
    town, who = forgetting.town, forgetting.neighbour
    (path,) = town.query(
        "SELECT path FROM raw.files WHERE lane = 'daily' AND kind = 'people' ORDER BY window_key DESC LIMIT 1"
    )
    assert who in (town.home / path[0]).read_text()
    lanes.run_lane(town.runtime, Lane.DAILY, town.window(Lane.DAILY), refresh=False)
    assert town.query(f"SELECT cio_id FROM identity.persons WHERE cio_id = '{who}'") == [(who,)]


def test_ten_windows_do_not_bring_them_back(forgetting: Forgetting) -> None:
    town = forgetting.town
    for _ in range(5):
        town.wait(DAY)
        town.run(Lane.DAILY)
        town.run(Lane.REALTIME)
        forgetting.erase()
    assert set(forgetting.people) <= set(town.people()), "Customer.io has them still"
    assert files_with(town.home, forgetting.names) == {}
    assert town.differences() == []


def test_there_is_a_receipt_for_each_who_held_something(forgetting: Forgetting) -> None:
    rows = forgetting.town.query(
        "SELECT person_hash, list(recipient ORDER BY recipient) FROM privacy.receipts GROUP BY 1"
    )
    assert len(rows) == HOW_MANY
    assert ["customerio", "home", "hubspot", "pipedrive"] in [recipients for _, recipients in rows]
    assert forgetting.town.query("FROM privacy.requests") == []


def test_whoever_is_forgotten_is_nobody_here(forgetting: Forgetting) -> None:
    with (
        forgetting.town.runtime.warehouse.read() as con,
        pytest.raises(ConfigError, match="nobody is known by that") as refused,
    ):
        found(con, forgetting.emails[:1], DESTINATIONS)
    assert forgetting.emails[0] not in str(refused.value)


def test_both_databases_are_whole(forgetting: Forgetting) -> None:
    with closing(sqlite3.connect(forgetting.town.home / "journal.sqlite")) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    views = forgetting.town.query("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL")
    assert ("people_current",) in views
    assert forgetting.town.query("SELECT count(*) FROM privacy.leftovers") == [(0,)]


def test_the_command_takes_a_file_of_people_and_says_who_waits(
    forgetting: Forgetting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    town = forgetting.town
    for name, value in town.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    file = tmp_path / "activation.yaml"
    file.write_text(lanes.ACTIVATION)
    monkeypatch.setenv("ACTIVATION_HOME", str(town.home))
    monkeypatch.setenv("ACTIVATION_FILE", str(file))
    others = [str(row[0]) for row in town.query("SELECT cio_id FROM identity.persons ORDER BY cio_id LIMIT 2")]
    batch = tmp_path / "batch.txt"
    batch.write_text("\n".join(others) + "\n\n")
    told = json.loads(CliRunner().invoke(app, ["forget", "--batch", str(batch), "--why", "so", "--json"]).stdout)
    assert (told["asked"], set(told["waiting"]) <= set(others)) == (2, True)
    again = CliRunner().invoke(app, ["forget"])
    assert again.exit_code == 0
    assert len(told["waiting"]) == sum(" waits for the lanes' next runs" in line for line in again.output.splitlines())
    both = CliRunner().invoke(app, ["forget", others[0], "--batch", str(batch), "--json"])
    assert (both.exit_code, json.loads(both.stdout)["problems"]) == (2, ["give one person, or --batch, not both"])
    batch.write_text(f"{others[0]}\n\nnobody@example.com\n")
    unknown = CliRunner().invoke(app, ["forget", "--batch", str(batch), "--json"])
    assert unknown.exit_code == 2
    (problem,) = json.loads(unknown.stdout)["problems"]
    assert problem.startswith("person 2 of the file: nobody is known by that")
