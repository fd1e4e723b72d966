"""I15: what is known of an account is used in that account only, and a fresh home rewrites nothing that is not ours.

Another account is another stand-in behind the same home: the same people, other ids. Nothing may reach it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation.customerio.workspace import require_workspace
from cio_activation.delivery.destination import IdentifiesAccount
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations import DESTINATIONS
from cio_activation.errors import ConfigError, ContractError
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import UNLIMITED, WITHOUT_LAGS, Town, build_town_sandbox
from cio_activation_tests.drivers.town import town as open_town
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
OTHER = {
    "customerio": {"customerio": {**UNLIMITED, "environment_id": 200}},
    "hubspot": {"hubspot": {**WITHOUT_LAGS, "portal_id": 777}},
    "pipedrive": {"pipedrive": {**UNLIMITED, "company_id": 888}},
}
"""Vendor -> options of a sandbox in which that vendor's account, and no other, is another one."""
IDS = {"customerio": ("100", "200"), "hubspot": ("48000123", "777"), "pipedrive": ("7700001", "888")}


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A town whose home has met its accounts and has nothing left to do; the tests that share it change nothing."""
    with open_town(tmp_path_factory.mktemp("settled") / "home", warm=False) as found:
        found.settle()
        yield found


@contextmanager
def moved(town: Town, vendor: str) -> Iterator[RunningSandbox]:
    """Point the town's home at stand-ins in which ``vendor``'s account is another one."""
    other = build_town_sandbox(40, 7, **OTHER[vendor])
    try:
        environment = {**town.sandbox.environment()}
        theirs = other.environment()
        environment |= {name: value for name, value in theirs.items() if name.startswith(vendor.upper())}
        town.runtime = lanes.build_runtime(town.home, environment, town.activation)
        yield other
    finally:
        other.stop()
        town.runtime = lanes.build_runtime(town.home, environment | town.sandbox.environment(), town.activation)


def writes(sandbox: RunningSandbox) -> list[str]:
    """Return the requests that could have changed something."""
    return [f"{e.method} {e.path}" for e in sandbox.shared.log.entries if e.method != "GET"]


@pytest.mark.parametrize("vendor", ["hubspot", "pipedrive"])
@pytest.mark.parametrize("lane", list(Lane))
def test_another_account_behind_the_same_home_gets_nothing(settled: Town, vendor: str, lane: Lane) -> None:
    town = settled
    destination = next(d for d in DESTINATIONS if d.name == vendor)
    with moved(town, vendor) as other:
        with pytest.raises(ConfigError) as refused:
            run_schema(town.runtime, destination)
        for step in destination.steps(town.activation):
            if step.lane is lane:
                with pytest.raises(ConfigError):
                    run_step(town.runtime, destination, step, town.window(lane), "run")
        assert writes(other) == []
    for said in (*IDS[vendor], "resync", str(town.home.absolute())):
        assert said in str(refused.value)


def test_a_lane_that_takes_a_stored_schema_still_notices_another_account(settled: Town) -> None:
    """The real-time lane asks for no schema within the hour; another credential is another question."""
    from cio_activation.delivery.assets import SCHEMA_MAX_AGE

    town = settled
    hubspot = DESTINATIONS[0]
    step = next(s for s in hubspot.steps(town.activation) if s.lane is Lane.REALTIME)
    with moved(town, "hubspot") as other:
        run_schema(town.runtime, hubspot, SCHEMA_MAX_AGE)
        with pytest.raises(ConfigError, match="777"):
            run_step(town.runtime, hubspot, step, town.window(Lane.REALTIME), "run")
        assert writes(other) == []


def test_another_workspace_behind_the_same_home_is_not_read(settled: Town) -> None:
    town = settled
    people = town.query("SELECT * FROM raw.people ORDER BY cio_id")
    for lane in Lane:
        with moved(town, "customerio"), pytest.raises(ConfigError) as refused:
            town.run(lane)
        for said in (*IDS["customerio"], "resync"):
            assert said in str(refused.value)
    assert town.query("SELECT * FROM raw.people ORDER BY cio_id") == people


def test_the_same_account_is_asked_who_it_is_once_for_a_run(settled: Town) -> None:
    town = settled
    mark = town.mark()
    for lane in Lane:
        town.run(lane)
    asked = [e.path for e in town.calls(mark) if e.path.endswith(("account-info/2026-09/details", "users/me"))]
    # HubSpot's schema step reads the time zone there too.
    assert len(asked) <= 2 * 3


def test_without_a_track_key_strangers_are_another_workspace(make_town: MakeTown) -> None:
    """No two workspaces share a ``cio_id``: here it is the home whose people were of another one."""
    town = make_town()
    town.run(Lane.DAILY)
    without = {n: v for n, v in town.sandbox.environment().items() if not n.startswith("CUSTOMERIO_TRACK")}
    town.runtime = lanes.build_runtime(town.home, without, town.activation)
    with town.runtime.warehouse.write() as con:
        con.execute("UPDATE raw.people SET cio_id = reverse(cio_id)")
    before = town.query("SELECT * FROM raw.people ORDER BY cio_id")
    with pytest.raises(ContractError, match="this is another Customer") as refused:
        town.run(Lane.DAILY)
    assert "resync" in str(refused.value)
    assert town.query("SELECT * FROM raw.people ORDER BY cio_id") == before


def test_every_destination_says_which_account_it_is() -> None:
    assert [d.name for d in DESTINATIONS if not isinstance(d, IdentifiesAccount)] == []


def test_a_track_service_that_is_down_keeps_nobody_from_reading(make_town: MakeTown) -> None:
    town = make_town()
    town.fault(kind="status", path="/api/v1/accounts/region", status=503, times=50)
    require_workspace(town.runtime)
    assert town.query("SELECT * FROM delivery.accounts WHERE destination = 'customerio'") == []


def test_check_names_another_account_and_says_where_the_home_is(settled: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town = settled
    monkeypatch.chdir(town.home)
    for vendor, (before, now) in IDS.items():
        other = build_town_sandbox(5, 7, **OTHER[vendor])
        theirs = {n: v for n, v in other.environment().items() if n.startswith(vendor.upper())}
        for name, value in (town.sandbox.environment() | theirs | {"ACTIVATION_HOME": "."}).items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, ["check", "--activation", str(town.home / "activation.yaml"), "--json"])
        other.stop()
        told = json.loads(result.stdout)
        assert (result.exit_code, told["home"]) == (1, str(town.home))
        assert before in told["problems"][vendor][0]
        assert now in told["problems"][vendor][0]


def test_a_new_home_over_an_account_full_of_ours_says_so_first(settled: Town, caplog: pytest.LogCaptureFixture) -> None:
    town = settled
    assert "new to the account" not in caplog.text
    fresh = town.home.with_name("fresh")
    runtime = lanes.build_runtime(fresh, town.sandbox.environment(), town.activation)
    for destination in (d for d in DESTINATIONS if d.name in town.activation.destinations):
        mark = town.mark()
        run_schema(runtime, destination)
        assert [e.path for e in town.writes(mark) if not e.path.endswith("/search")] == []
        assert f"{destination.name}: the home {fresh} is new to the account" in caplog.text


def test_a_lost_home_adopts_what_is_there_and_keeps_a_colleagues_corrections(make_town: MakeTown) -> None:
    """Also where the colleague corrected the very e-mail that a record was found by."""
    town = make_town(warm=False)
    town.settle()
    contacts, persons = town.there["hubspot"]["contacts"], town.there["pipedrive"]["persons"]
    for number, record in enumerate(sorted(contacts)):
        own = {"firstname": f"By hand {number}", "phone": f"+1 {number}", "email": f"by.hand.{number}@example.org"}
        town.by_hand("hubspot", "set", id=record, properties=own)
    for number, person in enumerate(sorted(persons)):
        town.by_hand("pipedrive", "set_person", person=person, name=f"By hand {number}")
    before = foreign(town)
    town.home = town.home.with_name("lost")
    town.activation = lanes.small_activation(town.home)
    town.runtime = lanes.build_runtime(town.home, town.sandbox.environment(), town.activation)
    town.settle()
    assert foreign(town) == before
    assert town.differences() == []


def test_a_contact_that_somebody_makes_meanwhile_is_linked_and_not_rewritten(make_town: MakeTown) -> None:
    """Between our look-up and our creation, under our key: the creation is refused and leads to it."""
    town = make_town()
    hubspot = DESTINATIONS[0]
    run = lanes.decide_lane(town.runtime, Lane.DAILY, town.window(Lane.DAILY))
    assert run
    run_schema(town.runtime, hubspot)
    steps = [s for s in hubspot.steps(town.activation) if s.lane is Lane.DAILY]
    run_step(town.runtime, hubspot, steps[0], town.window(Lane.DAILY), "run")
    lost = town.query("SELECT min(cio_id) FROM delivery.links WHERE destination = 'hubspot' AND record_id IS NULL")[0][
        0
    ]
    made = town.by_hand("hubspot", "create", properties={"cio_id": lost, "firstname": "By hand", "phone": "+1 5"})
    for _ in range(2):
        for step in steps:
            run_step(town.runtime, hubspot, step, town.window(Lane.DAILY), "run")
    carrying = {i: c for i, c in town.there["hubspot"]["contacts"].items() if c.get("cio_id") == lost}
    assert list(carrying) == [made["id"]]
    held = town.sandbox.vendors["hubspot"].account.records["contacts"].get(made["id"]).values  # type: ignore[attr-defined]
    assert (held["firstname"], held["phone"]) == ("By hand", "+1 5")
    town.settle()
    assert town.differences() == []


def foreign(town: Town) -> dict[str, dict[str, str]]:
    """Return name, e-mail and phone of every record."""
    contacts = town.sandbox.vendors["hubspot"].account.records["contacts"].live.values()  # type: ignore[attr-defined]
    own = ("firstname", "lastname", "phone", "email")
    found = {f"contact {r.id}": {name: r.values.get(name) for name in own} for r in contacts}
    return found | {
        f"person {number}": {name: str(person[name]) for name in ("name", "emails", "phones")}
        for number, person in town.there["pipedrive"]["persons"].items()
    }
