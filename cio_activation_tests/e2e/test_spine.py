"""The main job as a user runs it: the command line, an unseen order history, other people's SDKs as readers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import httpx
import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation.cli.readback import READS
from cio_activation.dagster_runtime.pruning import prune
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.server.core import Shared
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation_tests.drivers.stand_ins.customerio import small_world
from cio_activation_tests.drivers.toy import ToyDestination
from cio_activation_tests.e2e.searching import files_with

pytestmark = pytest.mark.slow
PREFIX = "cio_"


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a process of its own, with nothing of this one's settings."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("CUSTOMERIO", "HUBSPOT", "PIPEDRIVE", "ACTIVATION"))
    }
    program = [sys.executable, "-m", "cio_activation.cli.main", *arguments]
    return subprocess.run(program, capture_output=True, text=True, env=kept | environment, timeout=280, check=False)


def unseen_history(path: Path) -> list[datetime]:
    """Write a euro shop's history with every oddity of the README's form; return each customer's last order."""
    now = datetime.now(UTC)
    days = {
        "10001": 3,
        "10002": 45,
        "10003": 120,
        "10004": 400,
        "10005": 30,
        "10006": 31,
        "10007": 180,
        "10008": 181,
        "10009": 75,
    }
    last = [now - timedelta(days=ago, hours=1) for ago in days.values()]
    rows: list[tuple[str | None, str, datetime | None, float, str | None]] = []
    for customer, ago in days.items():
        for number in range(4):
            moment = now - timedelta(days=ago + 20 * number, hours=1)
            rows.append((customer, f"{customer}{number}", moment, 25.0 + number, None if number % 2 else "Käse & Wein"))
    rows += [
        (customer, f"{customer}9", now - timedelta(days=ago + 9, hours=1), 4_000.0, "Wein")
        for customer, ago in days.items()
        if ago == 75
    ]
    rows.append(("10001", "refund-1", now - timedelta(days=2), -25.0, "Käse & Wein"))
    rows.append(("20001", "single", now - timedelta(days=25), 999.5, None))
    rows.append(("30001", "anchor", now - timedelta(minutes=1), 10.0, "Brot"))
    rows += [(None, "nobody", now - timedelta(days=5), 10.0, "Brot"), ("10002", "never", None, 10.0, "Brot")]
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE o (customer_id VARCHAR, order_id VARCHAR, ordered_at TIMESTAMPTZ, value DOUBLE, category VARCHAR)"
    )
    con.executemany("INSERT INTO o VALUES (?, ?, ?, ?, ?)", rows)
    con.execute(f"COPY o TO '{path}' (FORMAT parquet)")
    return [*last, now - timedelta(days=25)]


def bucket(moment: datetime, as_of: datetime) -> str:
    """Return the default activation's lapse bucket, in plain Python."""
    days = max(0, (as_of - moment) // timedelta(days=1))
    return "0-30" if days <= 30 else "31-90" if days <= 90 else "91-180" if days <= 180 else "181+"


@dataclass(frozen=True)
class Demonstrated:
    """What a demo left: its home, and all it said."""

    home: Path
    last_orders: list[datetime]
    said: str
    result: dict[str, Any]


CANARIES = {
    "CUSTOMERIO_JOURNEY_TOKEN": "canary-journey-token",
    "CUSTOMERIO_WEBHOOK_SIGNING_KEY_PREVIOUS": "canary-previous-key",
    "ALERT_URL": "http://127.0.0.1:9/canary-alert-path",
    "SMTP_URL": "smtp://robot:canary-mail-password@127.0.0.1:9",
}
"""Secrets of settings that the stand-ins do not give, each recognized by what stands in it."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demonstrated:
    folder = tmp_path_factory.mktemp("demo")
    last_orders = unseen_history(folder / "orders.parquet")
    asked = ("demo", "--home", str(folder / "home"), "--days", "2", "--orders", str(folder / "orders.parquet"))
    done = cli(*asked, "--json", **CANARIES)
    assert done.returncode == 0, done.stdout[:2000] + done.stderr[-3000:]
    return Demonstrated(folder / "home", last_orders, done.stdout + done.stderr, json.loads(done.stdout))


def test_the_demo_runs_an_unseen_history_to_the_end(demo: Demonstrated) -> None:
    last_orders, result = demo.last_orders, demo.result
    assert len(result["windows"]["daily"]) == 2
    assert result["windows"]["realtime"]
    for counts in result["operations"].values():
        ended = sum(counts[end] for end in ("delivered", "rejected", "unneeded", "held"))
        assert counts["planned"] == ended
    assert result["second_run"]["write_calls"] == 0
    report = Path(result["report"]).read_text(encoding="utf-8")
    assert report.startswith("<!doctype html>")
    assert not re.search(r"[\w.+-]+@[\w-]+", report), "somebody's address"
    assert [result[vendor]["throttled"] for vendor in ("customerio", "hubspot", "pipedrive")] == [0, 0, 0]
    end = datetime.fromisoformat(result["windows"]["daily"][-1]).replace(tzinfo=ZoneInfo("America/New_York"))
    as_of = (end + timedelta(days=1)).astimezone(UTC)
    # The shop's newest customer bought after the last daily window ended, and so has no bucket yet.
    assert result["hubspot"]["properties"]["cio_lapse_bucket"] == Counter(bucket(o, as_of) for o in last_orders)
    assert set(result["hubspot"]["properties"]["cio_return_risk"]) == {"true", "false"}
    assert set(result["pipedrive"]["fields"]) >= {"cio_lapse_bucket", "cio_ltv_tier"}


def people_of(home: Path) -> set[str]:
    """Return everybody's e-mail address, phone and full name, as the warehouse has them."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as con:
        rows = con.execute("SELECT email, phone, first_name || ' ' || last_name FROM identity.persons").fetchall()
    return {str(value) for row in rows for value in row if value}


def test_no_file_of_a_demo_holds_a_secret_and_none_but_the_stores_a_person(
    demo: Demonstrated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With people asked to act: logs, run history, metadata, report, plans, and what the commands say of it later."""
    assert sum(map(len, demo.result["work"].values())) > 0, "somebody is asked to act"
    nowhere = dict.fromkeys(("customerio", "hubspot", "pipedrive"), "http://127.0.0.1:9")
    given = RunningSandbox(Shared(), {}, nowhere).environment() | CANARIES
    secrets = {v for k, v in given.items() if v and (not k.endswith("_URL") or k in CANARIES)}
    secrets |= {"canary-journey", "canary-previous", "canary-alert", "canary-mail"}
    people = people_of(demo.home)
    assert len(people) > 20
    there = files_with(demo.home, secrets | people)
    assert [path for path, words in there.items() if secrets & set(words)] == []
    # A database is its log too: one stays where a process of the demo ended without closing its connection.
    stores = {re.sub(r"(?<=\.duckdb)\.wal$|(?<=\.sqlite)-(wal|shm)$", "", path.split("/")[0]) for path in there}
    assert {"raw", "warehouse.duckdb"} <= stores
    # What the stand-ins hold is a vendor's.
    assert stores <= {"raw", "plans", "warehouse.duckdb", "journal.sqlite", "stand-ins.jsonl"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACTIVATION_HOME", str(demo.home))
    monkeypatch.setenv("VENDOR_BACKOFF_S", "0.001")  # nobody answers any more
    somebody = next(one for one in people if "@" in one)
    said = demo.said
    for asked in (
        ["why", somebody], ["why", somebody, "--json"], ["why", "nobody@example.com"], ["plan", "--people", "--json"],
        ["why", somebody, "--why-not", "vip_churn_risk"], ["rejected", "--people"], ["rejected", "--people", "--json"],
        ["audit", "--findings"], ["metrics"], ["actions"], ["actions", "--json"], ["sample"], ["check", "--json"],
    ):  # fmt: skip
        shown = CliRunner().invoke(app, asked)
        said += shown.output + repr(shown.exception)
    assert "vip_churn_risk" in said
    assert sorted(word for word in people | secrets if word.lower() in said.lower()) == []
    with caplog.at_level("WARNING"):
        unmasked = CliRunner().invoke(app, ["why", somebody, "--personal"])
    assert somebody in unmasked.stdout
    assert "cio-activation why shows personal data, as " in caplog.text
    assert somebody not in caplog.text


def test_a_home_that_holds_another_world_is_refused(tmp_path: Path) -> None:
    (tmp_path / "warehouse.duckdb").touch()
    done = cli("demo", "--home", str(tmp_path), "--json")
    assert done.returncode == 2
    assert "another --home" in json.loads(done.stdout)["problems"][0]


class Spine:
    """A live sandbox after one daily window ran through Dagster, in this process."""

    def __init__(self, home: Path, sandbox: RunningSandbox, toy: ToyDestination, instance: Any, job: Any) -> None:
        self.home, self.sandbox, self.toy = home, sandbox, toy
        self.instance, self._job = instance, job

    def run(self, window: str, *only: Any) -> Any:
        """Run a daily window through the Dagster job, or some of its assets."""
        return self._job.execute_in_process(
            partition_key=window, instance=self.instance, asset_selection=list(only) or None
        )

    def writes(self) -> int:
        """Return how many requests have come to the CRMs that can change something."""
        return sum(
            entry.vendor in ("hubspot", "pipedrive") and entry.method != "GET" and not entry.path.endswith(READS)
            for entry in self.sandbox.shared.log.entries
        )

    def state(self, vendor: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.sandbox.urls[vendor]}/_sandbox/state", params={"vendor": vendor}, timeout=30)
        found: dict[str, Any] = answer.json()[vendor]
        return found


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """Run one daily window of a small frozen world through the Dagster job."""
    import dagster as dg

    home = tmp_path_factory.mktemp("spine")
    sandbox = build_sandbox(small_world(60, dirty_share=0.15), hubspot={"limited": False}, pipedrive={"limited": False})
    settings = sandbox.environment() | {"ACTIVATION_HOME": str(home)}
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        for name, value in settings.items():
            patch.setenv(name, value)
        from cio_activation.activation.loader import load_activation
        from cio_activation.activation.settings import DEFAULT_ACTIVATION
        from cio_activation.definitions import build_definitions
        from cio_activation.destinations import DESTINATIONS

        toy = ToyDestination()
        destinations = (*DESTINATIONS, toy)  # a third destination: its module, and this one line
        (home / "three.yaml").write_text(DEFAULT_ACTIVATION.read_text().rstrip() + "\n  toy: {}\n")
        definitions = build_definitions(load_activation(home / "three.yaml", destinations), destinations)
        made = Spine(home, sandbox, toy, instance, definitions.resolve_job_def("daily"))
        assert made.run("2026-11-21").success
        yield made
    sandbox.stop()


def test_hubspots_own_sdk_reads_what_was_delivered(spine: Spine) -> None:
    from hubspot import HubSpot
    from hubspot.crm.contacts import BatchReadInputSimplePublicObjectId

    client = HubSpot(access_token="sandbox-hubspot-token", host=spine.sandbox.urls["hubspot"])
    listed = client.crm.contacts.get_all(properties=["cio_id", "cio_lapse_bucket", "email"])
    stamped = {c.properties["cio_id"]: c.properties for c in listed if c.properties.get("cio_id")}
    with duckdb.connect(str(spine.home / "warehouse.duckdb"), read_only=True) as con:
        ours = dict(
            con.execute(
                """SELECT s.cio_id, s.lapse_bucket FROM state.daily_properties AS s
                JOIN delivery.links AS l ON l.cio_id = s.cio_id AND l.destination = 'hubspot'
                WHERE l.record_id IS NOT NULL"""
            ).fetchall()
        )
    assert len(ours) > 40
    assert {k: v["cio_lapse_bucket"] or None for k, v in stamped.items()} == ours
    one = listed[0].id
    read = client.crm.contacts.batch_api.read(
        BatchReadInputSimplePublicObjectId(
            inputs=[{"id": one}], properties=["email"], properties_with_history=[], id_property=None
        )
    )
    assert [r.id for r in read.results] == [one]


def test_a_third_destination_is_one_module_and_one_line(spine: Spine) -> None:
    with duckdb.connect(str(spine.home / "warehouse.duckdb"), read_only=True) as con:
        expected = dict(con.execute("SELECT cio_id, ltv_tier FROM state.daily_properties").fetchall())
    assert len(expected) > 40
    assert {person: values.get("ltv_tier") for person, values in spine.toy.vendor.people.items()} == expected


def test_lists_hold_exactly_the_members_of_their_audience(spine: Spine) -> None:
    with duckdb.connect(str(spine.home / "warehouse.duckdb"), read_only=True) as con:
        expected = dict(
            con.execute(
                """SELECT m.audience, count(*) FROM audience.memberships AS m
                JOIN delivery.links AS l ON l.cio_id = m.cio_id AND l.destination = 'hubspot'
                WHERE m.exited_at IS NULL AND l.record_id IS NOT NULL GROUP BY 1"""
            ).fetchall()
        )
    there = {one["name"]: len(one["members"]) for one in spine.state("hubspot")["lists"]}
    assert len(there) == 9
    assert sum(there.values()) == sum(expected.values())
    assert sum(expected.values()) > 0


def test_pipedrives_documented_http_reads_what_was_delivered(spine: Spine) -> None:
    base = spine.sandbox.urls["pipedrive"]
    headers = {"x-api-token": "sandbox-pipedrive-token"}
    fields = httpx.get(f"{base}/api/v2/personFields", headers=headers, params={"limit": 500}).json()["data"]
    codes = {f["field_name"]: f["field_code"] for f in fields}
    ours = [name for name in codes if name.startswith(PREFIX)]
    assert {"cio_audiences", "cio_lapse_bucket"} <= set(ours)
    persons = httpx.get(
        f"{base}/api/v2/persons", headers=headers, params={"limit": 500, "include_option_labels": "true"}
    ).json()["data"]
    buckets = [p["custom_fields"][codes["cio_lapse_bucket"]] for p in persons]
    assert {b["label"] for b in buckets if b} <= {"0-30", "31-90", "91-180", "181+"}
    assert any(buckets)


def test_no_secret_and_no_address_is_in_the_files_a_run_leaves_for_people(spine: Spine) -> None:
    """Plans and raw files hold people by design; logs and Dagster's own records must not hold credentials."""
    secrets = [v.encode() for k, v in spine.sandbox.environment().items() if not k.endswith("_URL")]
    for path in spine.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(s in content for s in secrets), path


def test_a_window_whose_run_was_pruned_sends_nothing_when_it_is_run_again(spine: Spine) -> None:
    import dagster as dg

    (first,) = [run.run_id for run in spine.instance.get_runs()]
    assert spine.run("2026-11-21", dg.AssetKey(["customerio", "people"])).success  # the newest run stays: this one
    assert prune(spine.instance, datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)) == 1
    assert spine.instance.get_run_by_id(first) is None
    assert not spine.instance.all_logs(first)
    before, toy = spine.writes(), dict(spine.toy.vendor.people)
    assert spine.run("2026-11-21").success
    assert (spine.writes(), spine.toy.vendor.people) == (before, toy)
