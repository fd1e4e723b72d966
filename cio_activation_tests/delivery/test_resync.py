"""What somebody undid at a destination is written again: by itself if the schema step noticed, else by ``resync``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cio_activation.activation.models import Lane
from cio_activation.cli.main import app
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.town import Town, build_town_sandbox, town

pytestmark = pytest.mark.slow


def _settled(home: Path) -> Iterator[Town]:
    """Yield a town in which everything is delivered."""
    with town(home, people=25) as made:
        made.settle()
        yield made


def _point_at(made: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Point this process's commands at the town."""
    settings = {"ACTIVATION_HOME": str(made.home), "ACTIVATION_FILE": str(made.home / "activation.yaml")}
    for name, value in (made.sandbox.environment() | settings).items():
        monkeypatch.setenv(name, value)
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    yield from _settled(tmp_path_factory.mktemp("shared") / "home")


@pytest.fixture
def settled(shared: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Return a town in which everything is delivered, with this process's commands pointed at it.

    Others have it before and after: each undoes something and ends when it is as it was.
    """
    return _point_at(shared, monkeypatch)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """Return such a town that is the test's alone."""
    for made in _settled(tmp_path / "home"):
        yield _point_at(made, monkeypatch)


def resync(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["resync", *arguments, "--json"])
    return result.exit_code, json.loads(result.stdout)


def empty(town: Town, name: str) -> None:
    """Let somebody empty one of our properties in every contact."""
    for record in town.sandbox.vendors["hubspot"].account.records["contacts"].live.values():  # type: ignore[attr-defined]
        record.values.pop(name, None)


@pytest.mark.parametrize("name", ["cio_lapse_bucket", "cio_id"])
def test_a_property_that_is_made_anew_is_filled_in_the_same_run(settled: Town, name: str) -> None:
    settled.by_hand("hubspot", "archive_property", name=name)
    empty(settled, name)
    settled.run(Lane.DAILY)
    if name == "cio_id":
        settled.run(Lane.REALTIME)
    assert settled.differences() == []


def test_a_field_that_was_emptied_is_filled_after_a_resync_of_it(settled: Town) -> None:
    empty(settled, "cio_lapse_bucket")
    settled.run(Lane.DAILY)
    assert settled.differences() != []
    code, told = resync("--destination", "hubspot", "--field", "lapse_bucket")
    assert (code, told["forgotten"][0]["destination"]) == (0, "hubspot")
    mark = settled.mark()
    settled.run(Lane.DAILY)
    assert settled.differences() == []
    sent = {
        n for e in settled.writes(mark) if "/contacts/" in e.path for i in e.request["inputs"] for n in i["properties"]
    }
    assert sent == {"cio_lapse_bucket"}


def test_a_list_that_was_emptied_is_filled_after_a_resync_of_it_in_either_lane(settled: Town) -> None:
    for one in settled.there["hubspot"]["lists"]:
        settled.by_hand("hubspot", "set_members", list_id=one["id"], ids=[])
    settled.settle()
    assert settled.differences() != []
    assert resync("--list", "asked_where", "--list", "refunded", "--list", "hot_cart")[0] == 0
    settled.settle()
    assert settled.differences() == []


def test_a_resync_of_everything_is_settled_by_one_run_of_each_lane_and_then_quiet(settled: Town) -> None:
    assert resync()[0] == 0
    settled.settle()
    assert settled.differences() == []
    mark = settled.mark()
    for lane in Lane:
        settled.run(lane)
    assert [e.path for e in settled.writes(mark)] == []


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        (["--field", "lapse"], "lapse_bucket"),
        (["--list", "nobody"], "asked_where"),
        (["--destination", "sheet"], "hubspot"),
        (["--new-account"], "exactly one"),
    ],
)
def test_what_there_is_not_is_named_with_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], mend: str
) -> None:
    lanes.build_runtime(tmp_path, {}, lanes.small_activation(tmp_path))
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    monkeypatch.setenv("ACTIVATION_FILE", str(tmp_path / "activation.yaml"))
    code, told = resync(*arguments)
    assert code == 2
    assert mend in told["problems"][0]


@pytest.mark.parametrize("vendor", ["hubspot", "pipedrive"])
def test_after_the_old_account_is_left_the_new_one_gets_everything(own: Town, vendor: str) -> None:
    account = {"hubspot": {"portal_id": 777, "limited": False}, "pipedrive": {"company_id": 888, "limited": False}}
    other = build_town_sandbox(25, 7, **{vendor: account[vendor]})
    try:
        code, told = resync("--destination", vendor, "--new-account")
        assert (code, told["forgotten"]) == (0, [{"destination": vendor, "account": "forgotten"}])
        theirs = {n: v for n, v in other.environment().items() if n.startswith(vendor.upper())}
        own.runtime = lanes.build_runtime(own.home, own.sandbox.environment() | theirs, own.activation)
        own.sandbox.vendors[vendor] = other.vendors[vendor]
        own.settle()
        own.settle()
        assert own.differences() == []
    finally:
        other.stop()
