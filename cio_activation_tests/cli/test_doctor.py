"""``doctor``: what a bug report needs, and what is wrong with its mend; never a secret, never a person, never a change."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Settings
from cio_activation.activation.windows import Window
from cio_activation.cli.main import app
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal.attempts import Journal
from cio_activation.journal.leases import Lease
from cio_activation.outcome.doctor.home import utc_now
from cio_activation.outcome.doctor.surroundings import access_models
from cio_activation.runtime import Runtime
from cio_activation.warehouse.published import publish
from cio_activation_tests import fixtures

SECRETS = sorted(
    name.upper()
    for model in access_models()
    for name, field in model.model_fields.items()
    if SecretStr in (getattr(field.annotation, "__args__", ()) or (field.annotation,))
)
CANARY = "canary-7f3a9c"
PERSON = "ada.lovelace@example.com"
Told = dict[str, Any]


def doctor() -> tuple[int, Told, str]:
    """Return exit code, the object and the text of the command."""
    result = CliRunner().invoke(app, ["doctor", "--json"])
    text = CliRunner().invoke(app, ["doctor"])
    assert text.exit_code == result.exit_code, text.output
    return result.exit_code, json.loads(result.stdout), text.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every secret set, and nothing wrong with it."""
    monkeypatch.chdir(tmp_path)
    for name in SECRETS:
        monkeypatch.setenv(name, f"{CANARY}-{name}")
    monkeypatch.setenv("SMTP_URL", f"smtp://robot:{CANARY}@mail.example.com:587")
    monkeypatch.setenv("ALERT_EMAIL_TO", f"{PERSON}, bob@example.com")
    for name in ("JOURNAL_URL", "ACTIVATION_FILE", "DAGSTER_HOME", "ACTIVATION_DUCKDB_MEMORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def runtime(home: Path) -> Runtime:
    return Runtime.build(Settings(), load_activation(DEFAULT_ACTIVATION, DESTINATIONS))


def decided(runtime: Runtime, lane: Lane, age: timedelta) -> None:
    end = datetime.now(UTC) - age
    with runtime.warehouse.write() as con:
        publish(con, "raw.people", Window(lane, f"{end:%Y-%m-%d}", end - timedelta(days=1), end), 1)


def test_a_home_in_order_is_told_as_such_and_nothing_is_changed(home: Path, runtime: Runtime) -> None:
    decided(runtime, Lane.DAILY, timedelta(hours=20))
    Journal(runtime.settings.journal).close()
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    code, told, text = doctor()
    assert (code, told["findings"]) == (0, []), told["problems"]
    assert told["warehouse"]["windows"]["daily"]["age"].startswith("20 h")
    assert told["warehouse"]["migrations_pending"] == []
    assert told["journal"]["version"] == told["journal"]["version_of_this_release"]
    assert (told["home"]["bytes"] > 0, told["home"]["disk_free"] > 0) == (True, True)
    assert told["versions"].keys() >= {"python", "dagster", "duckdb", "cio-activation"}
    assert told["machine"]["workspace_time_zone"] == runtime.activation.workspace.timezone
    assert "nothing is wrong" in text
    after = {path: path.stat().st_mtime_ns for path in home.rglob("*") if path.is_file()}
    assert {p: t for p, t in after.items() if not p.name.endswith((".queue", "-wal", "-shm"))} == {
        p: t for p, t in before.items() if not p.name.endswith((".queue", "-wal", "-shm"))
    }


def test_nothing_is_made_where_there_is_no_home(home: Path) -> None:
    code, told, _ = doctor()
    assert (code, told["home"], told["journal"]["there"], told["dagster"]["history"]) == (
        0,
        {"there": False},
        False,
        None,
    )
    assert not home.exists()


def test_every_secret_is_set_and_said_nowhere(home: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_URL", f"postgresql+psycopg2://journal:{CANARY}-pg@127.0.0.1:1/journal")
    monkeypatch.setenv("HUBSPOT_URL", f"https://eve:{CANARY}-url@proxy.example.com/{CANARY}?key={CANARY}")
    code, told, text = doctor()
    assert code == 1
    assert len(SECRETS) >= 10
    assert {told["settings"][name] for name in SECRETS} == {"set"}
    assert told["settings"]["HUBSPOT_URL"] == "https://proxy.example.com"
    assert told["settings"]["JOURNAL_URL"] == "PostgreSQL 127.0.0.1:1, database journal"
    assert [f["about"] for f in told["findings"]] == ["journal"], told["problems"]
    for said in (json.dumps(told), text):
        assert CANARY not in said
        assert "@example.com" not in said


def failing_run(home: Path, job_name: str, words: str) -> None:
    """Have a run of Dagster's fail with ``words`` in the home's own instance."""
    folder = home / "dagster"
    folder.mkdir(parents=True)
    packaged = resources.files("cio_activation.dagster_runtime").joinpath("dagster.yaml")
    (folder / "dagster.yaml").write_text(packaged.read_text().replace("{env: DAGSTER_HOME}", str(folder)))

    @dg.op
    def people() -> None:
        raise dg.Failure(description=words, allow_retries=False)

    @dg.job(name=job_name, executor_def=dg.in_process_executor)
    def job() -> None:
        people()

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        tags = {"dagster/partition": "2026-11-29"}
        job.execute_in_process(instance=instance, raise_on_error=False, tags=tags, run_config=quiet)


def test_what_the_last_failed_run_said_is_told_without_its_people_and_secrets(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f"{CANARY}-HUBSPOT_ACCESS_TOKEN"
    failing_run(home, "daily", f"HubSpot refused {PERSON} (+1 202 555 0101) with {token}")
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    code, told, text = doctor()
    assert code == 1
    [finding] = told["findings"]
    assert finding["about"] == "dagster"
    assert "people: HubSpot refused (e-mail) ((phone)) with ***" in finding["problem"]
    assert told["dagster"]["last_run"] == {"daily": "2026-11-29 failure"}
    assert told["dagster"]["failed"][0]["said"] == ["people: HubSpot refused (e-mail) ((phone)) with ***"]
    assert PERSON not in text


def held(runtime: Runtime) -> None:
    with runtime.warehouse.write() as con:
        con.execute(
            """INSERT INTO delivery.plans (plan_id, destination, step, window_key, status, note, made_at)
            VALUES ('p-17', 'hubspot', 'list', '2026-11-29', 'held', 'it would remove 80 %', TIMESTAMP '2026-11-29 08:00')"""
        )


def from_a_newer_release(runtime: Runtime) -> None:
    with runtime.warehouse.write() as con:
        con.execute("INSERT INTO meta.migrations VALUES ('9999_later.sql', now()::TIMESTAMP)")


def silent_daemon(runtime: Runtime) -> None:
    """Dagster's own words for a daemon: what it says of itself, an hour ago."""
    from dagster._daemon.types import DaemonHeartbeat

    folder = runtime.settings.activation_home / "dagster"
    (folder / "history").mkdir(parents=True)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        hour_ago = (utc_now() - timedelta(hours=1) - datetime(1970, 1, 1)).total_seconds()
        instance.add_daemon_heartbeat(DaemonHeartbeat(hour_ago, "SENSOR", "one", []))


WRONG: dict[str, tuple[Callable[[Runtime], None], str, str]] = {
    "late": (lambda r: decided(r, Lane.DAILY, timedelta(days=3)), "ended 3 d 0 h ago", "daemon runs"),
    "late carts": (lambda r: decided(r, Lane.REALTIME, timedelta(hours=5)), "realtime lane's newest", "sensor is on"),
    "held": (held, "p-17 of hubspot/list (2026-11-29) is held: it would remove 80 %", "release p-17"),
    "newer": (from_a_newer_release, "made 9999_later.sql", "install that release"),
    "daemon": (silent_daemon, "daemon was last heard of", "dagster dev"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_a_finding_with_its_mend(runtime: Runtime, case: str) -> None:
    make, problem, mend = WRONG[case]
    make(runtime)
    code, told, text = doctor()
    assert code == 1
    [finding] = told["findings"]
    assert problem in finding["problem"]
    assert mend in finding["mend"]
    assert f"{finding['problem']}\n   mend: {finding['mend']}" in text


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("name", "value", "about", "problem"),
    [
        ("HUBSPOT_ACCESS_TOKEN", None, "settings", "HUBSPOT_ACCESS_TOKEN is not set"),
        ("PIPEDRIVE_API_TOKEN", "token-token \n", "settings", "PIPEDRIVE_API_TOKEN begins or ends with white space"),
        ("ACTIVATION_DUCKDB_MEMORY", "90TB", "warehouse", "DuckDB may use"),
        ("ACTIVATION_FILE", "nowhere.yaml", "activation", "nowhere.yaml"),
        ("DAGSTER_HOME", ".", "dagster", "has no dagster.yaml"),
        ("JOURNAL_URL", "mysql://x", "journal", "JOURNAL_URL has to be"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, about: str, problem: str
) -> None:
    monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    code, told, _ = doctor()
    assert code == 1
    assert [(f["about"], problem in f["problem"]) for f in told["findings"]] == [(about, True)], told["problems"]


def test_a_disk_that_is_nearly_full_is_told(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 5, 5))
    assert [f["about"] for f in doctor()[1]["findings"]] == ["home"]


def test_who_holds_the_warehouse_and_who_works_on_a_step_are_told(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.outcome.doctor.home.WAIT_S", 0.05)
    journal = Journal(runtime.settings.journal)
    assert Lease(journal, "hubspot/list", 60.0).take()
    with runtime.warehouse.write():
        code, told, _ = doctor()
    journal.close()
    assert code == 1
    assert "stayed locked" in told["problems"][0]
    assert told["locks"]["warehouse"].endswith("(write)")
    assert [lease.split(":")[0] for lease in told["journal"]["leases"]] == ["hubspot/list"]


def test_a_home_of_an_older_release_is_looked_at_and_not_migrated(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(fixtures.unpack(tmp_path / "old")))
    code, told, _ = doctor()
    assert code == 1
    assert len(told["warehouse"]["migrations_pending"]) > 20
    assert {f["about"] for f in told["findings"]} == {"warehouse"}
    assert told["journal"]["version"] < told["journal"]["version_of_this_release"]
    assert doctor()[1]["warehouse"]["migrations_pending"] == told["warehouse"]["migrations_pending"]


@pytest.mark.parametrize("url", ["sqlite", "postgresql"])
def test_the_journal_is_told_on_both_of_its_databases(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, url: str
) -> None:
    if url == "postgresql":
        monkeypatch.setenv("JOURNAL_URL", request.getfixturevalue("postgres").new_database())
    Journal(Settings().journal).close()
    code, told, _ = doctor()
    assert (code, told["findings"]) == (0, [])
    assert told["journal"]["server"].lower().startswith(url)
    assert told["journal"]["inbox_waiting"] == 0
