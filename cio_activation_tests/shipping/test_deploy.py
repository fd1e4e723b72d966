"""``deploy/``: the processes that the compose file names, from the wheel, with a real PostgreSQL, do the whole job and stop."""

from __future__ import annotations

import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from ruamel.yaml import YAML

from cio_activation.cli.output import emitted
from cio_activation_tests.drivers.postgres import PostgresServer
from cio_activation_tests.drivers.receiver import clicked, encoded, signed
from cio_activation_tests.shipping import compose, wheel
from cio_activation_tests.shipping.compose import Deployment
from cio_activation_tests.shipping.wheel import ROOT, Installed

pytestmark = pytest.mark.slow
KILLS = 12
KEY = "signing-key-of-the-test"
ACTIVATION = """
workspace: {timezone: UTC, realtime_window: 15m}
match: {keys: [external_id, email]}
attributes:
  last_order_at: {type: timestamp}
  cart_value: {type: money}
properties:
  lapse_bucket: {days_since: last_order_at, edges: [30, 90], labels: ["0-30", "31-90", "91+"], lane: daily, owner: team:crm, deliver: [hubspot]}
  cart_tier: {tiers: cart_value, edges: [75], labels: [low, high], lane: realtime, owner: team:crm, deliver: [hubspot]}
destinations:
  hubspot: {}
"""
_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_RUNS = "query($f: RunsFilter!) { runsOrError(filter: $f) { ... on Runs { results { runId jobName status } } } }"


@pytest.fixture(scope="module")
def with_postgres(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    if not find_spec("dagster_postgres"):
        pytest.skip("dagster-postgres is not installed: scripts/setup dev (the extra postgres) brings it")
    return wheel.install(built, tmp_path_factory.mktemp("deployed"), "postgres", "statistics")


@pytest.fixture(scope="module")
def stand_ins(with_postgres: Installed) -> Iterator[dict[str, str]]:
    """The settings that point at running stand-ins."""
    command = [with_postgres.command, "sandbox", "--people", "30", "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=with_postgres.folder,
        env=with_postgres.environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield dict(emitted(process.stdout)["environment"])
        process.terminate()


@pytest.fixture(scope="module")
def place(
    with_postgres: Installed,
    stand_ins: dict[str, str],
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("deployment")
    (folder / "activation.yaml").write_text(ACTIVATION)
    given = {
        **stand_ins, "POSTGRES_PASSWORD": "secret", "CUSTOMERIO_WEBHOOK_SIGNING_KEY": KEY,
        "ACTIVATION": str(folder / "activation.yaml"), "VENDOR_SETTLE_S": "0",
    }  # fmt: skip
    initialize(postgres)
    with compose.deployed(folder / "run", with_postgres, postgres, given) as found:
        yield found


def initialize(server: PostgresServer) -> None:
    """Run what the container runs when its volume is new."""
    statements = [s.strip() for s in (ROOT / "deploy" / "postgres-init.sql").read_text().split(";") if "CREATE" in s]
    assert len(statements) == 2
    engine = sa.create_engine(server.url("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as con:
        for statement in statements:
            con.execute(sa.text(statement))
    engine.dispose()


def graphql(place: Deployment, query: str, **variables: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{place.ports['3000']}/graphql"
    return dict(httpx.post(url, json={"query": query, "variables": variables}, timeout=60).json()["data"])


def runs(place: Deployment, **only: Any) -> list[dict[str, Any]]:
    return list(graphql(place, _RUNS, f=only)["runsOrError"]["results"])


def wait(found: Callable[[], Any], place: Deployment, seconds: float = 180) -> Any:
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until, "\n".join(place.log(name) for name in place.processes)
        time.sleep(0.3)
    return value


def test_a_daily_window_and_a_webhook_go_through_and_all_stop_when_told(place: Deployment) -> None:
    for name in ("daemon", "webserver", "receiver"):
        place.start(name)
    for name in ("receiver", "webserver", "daemon"):
        place.wait_healthy(name)

    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    run_id = launch_daily(place)
    ended = wait(lambda: [r for r in runs(place, runIds=[run_id]) if r["status"] in ("SUCCESS", "FAILURE")], place)
    assert ended[0]["status"] == "SUCCESS", place.log("daemon")

    body = encoded(clicked(7))
    url = f"http://127.0.0.1:{place.ports['8780']}/webhooks/reporting"
    assert httpx.post(url, content=body, headers=signed(body, KEY), timeout=30).status_code == 200
    assert httpx.post(url, content=body, headers=signed(body, "another"), timeout=30).status_code == 401

    wait(
        lambda: [r for r in runs(place, statuses=["SUCCESS"]) if r["jobName"] == "realtime"] and moments(place) == 1,
        place,
    )

    told = json.loads(place.run("daemon", "cio-activation", "doctor", "--json").stdout)
    assert told["findings"] == [], told["problems"]
    assert told["warehouse"]["windows"]["daily"]["newest"] == day
    assert told["journal"]["server"].startswith("PostgreSQL")
    assert told["dagster"]["storage"] == "PostgresRunStorage"
    assert (told["journal"]["inbox_waiting"], told["dagster"]["last_run"]["daily"]) == (0, f"{day} success")

    wait(lambda: not runs(place, statuses=["QUEUED", "STARTING", "STARTED"]), place)
    assert {name: place.stop(name) for name in ("receiver", "daemon", "webserver")} == {
        name: (0, []) for name in ("receiver", "daemon", "webserver")
    }


def test_the_wheel_drafts_a_first_activation(
    with_postgres: Installed, stand_ins: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [with_postgres.command, "init", "--json"], cwd=tmp_path, env=with_postgres.environment(**stand_ins),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audiences:" in (tmp_path / "activation.yaml").read_text()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_random_under_load_they_lose_nothing_and_double_nothing(place: Deployment) -> None:
    names, chance, before = ("daemon", "receiver", "webserver"), random.Random(7), moments_when_none_runs(place)
    for name in names:
        place.start(name)
        place.wait_healthy(name)
    taken: list[int] = []
    over = threading.Event()
    load = threading.Thread(target=keep_sending, args=(place, taken, over))
    load.start()
    killed: Counter[str] = Counter()
    try:
        for _ in range(KILLS):
            with suppress(httpx.HTTPError, KeyError, TypeError):  # the webserver may be the one that is down
                launch_daily(place)
            time.sleep(chance.uniform(1, 15))
            victim = chance.choice(names)
            place.kill(victim)
            killed[victim] += 1
            place.start(victim)  # restart: unless-stopped
            place.wait_healthy(victim)
    finally:
        over.set()
        load.join()
    assert sum(killed.values()) == KILLS
    wait(lambda: not runs(place, statuses=["QUEUED", "STARTING", "STARTED", "CANCELING"]), place, 900)
    run_id = launch_daily(place)
    wait(lambda: [r for r in runs(place, runIds=[run_id]) if r["status"] == "SUCCESS"], place, 300)
    assert len(taken) > KILLS
    wait(lambda: moments(place) == before + len(taken), place, 300)
    contacts, people = in_hubspot(place), asked(place, "SELECT cio_id FROM identity.persons WHERE deliverable")
    assert sorted(contacts) == sorted(people)
    audited = json.loads(place.run("daemon", "cio-activation", "audit", "--all", "--json").stdout)
    assert [(one["deviating"], one["compared"] >= len(people)) for one in audited["audits"]] == [(0, True)], audited
    for name in names:
        place.stop(name)


def launch_daily(place: Deployment) -> str:
    selector = {"repositoryLocationName": "cio_activation", "repositoryName": "__repository__", "jobName": "daily"}
    tags = [{"key": "dagster/partition", "value": f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"}]
    told = graphql(place, _LAUNCH, p={"selector": selector, "runConfigData": {}, "executionMetadata": {"tags": tags}})
    return str(told["launchRun"]["run"]["runId"])


def keep_sending(place: Deployment, taken: list[int], over: threading.Event) -> None:
    """Send one event after the other, each until it is answered 200, as Customer.io does."""
    url = f"http://127.0.0.1:{place.ports['8780']}/webhooks/reporting"
    number = 1_000
    while not over.is_set():
        number += 1
        body = encoded(clicked(number))
        while True:
            with suppress(httpx.HTTPError):
                if httpx.post(url, content=body, headers=signed(body, KEY), timeout=5).status_code == 200:
                    taken.append(number)
                    break
            time.sleep(0.2)
        time.sleep(0.2)


def in_hubspot(place: Deployment) -> list[str]:
    """Return the ``cio_id`` of every contact that has one, as often as there are such contacts."""
    settings = place.settings
    answer = httpx.get(
        f"{settings['HUBSPOT_URL']}/crm/v3/objects/contacts", params={"limit": 100, "properties": "cio_id"},
        headers={"Authorization": f"Bearer {settings['HUBSPOT_ACCESS_TOKEN']}"}, timeout=30,
    ).json()  # fmt: skip
    assert "paging" not in answer, "more contacts than one page"
    return [c["properties"]["cio_id"] for c in answer["results"] if c["properties"].get("cio_id")]


def asked(place: Deployment, select: str) -> list[str]:
    told = place.run("daemon", "cio-activation", "sql", select, "--json")
    return [str(row[0]) for row in json.loads(told.stdout)["rows"]]


def moments_when_none_runs(place: Deployment) -> int:
    assert not place.processes
    return moments(place)


def moments(place: Deployment) -> int:
    told = place.run("daemon", "cio-activation", "sql", "SELECT count(*) FROM raw.moments", "--json")
    return int(json.loads(told.stdout)["rows"][0][0]) if told.returncode == 0 else 0


def test_the_instance_file_is_the_packaged_one_but_for_what_containers_need() -> None:
    load = YAML(typ="safe").load
    packaged = load((ROOT / "cio_activation" / "dagster_runtime" / "dagster.yaml").read_text())
    deployed = load((ROOT / "deploy" / "dagster.yaml").read_text())
    differs = {key for key in packaged | deployed if packaged.get(key) != deployed.get(key)}
    assert differs == {"storage", "local_artifact_storage"}
    assert load((ROOT / "deploy" / "workspace.yaml").read_text()) == load((ROOT / "workspace.yaml").read_text())


GIVEN = {"POSTGRES_PASSWORD": "p", "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "k", "ACTIVATION": "/a.yaml"}


@pytest.mark.parametrize("missing", GIVEN)
def test_what_is_not_set_is_said_before_anything_starts(missing: str) -> None:
    with pytest.raises(AssertionError, match=missing):
        compose.services({name: value for name, value in GIVEN.items() if name != missing})


def test_only_the_lanes_have_the_vendors_credentials_and_nobody_outside_reaches_a_port() -> None:
    found = compose.services(GIVEN)
    assert {name for name, service in found.items() if service.get("env_file")} == {"daemon", "webserver"}
    assert not [k for k in found["receiver"]["environment"] if k.startswith(("HUBSPOT", "PIPEDRIVE", "CUSTOMERIO_APP"))]
    ports = [port for service in found.values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert all("healthcheck" in service and service["restart"] == "unless-stopped" for service in found.values())


def test_the_image_copies_files_that_are_there_and_installs_the_wheel() -> None:
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert [name for name in copied if not name.startswith("dist/") and not (ROOT / name).is_file()] == []
    assert "dist/*.whl" in copied
    assert any("[${EXTRAS}]" in line for line in lines)
