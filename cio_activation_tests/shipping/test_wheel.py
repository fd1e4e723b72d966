"""``pip install cio-activation``, without a checkout: the version is the tag's, and the commands work in an empty folder."""

from __future__ import annotations

import json
import re
import subprocess
import time
import zipfile
from pathlib import Path

import httpx
import pytest

from cio_activation_tests.drivers.processes import free_port
from cio_activation_tests.shipping import wheel
from cio_activation_tests.shipping.wheel import ROOT, VERSION, Installed

pytestmark = pytest.mark.slow


def test_the_changelog_is_cut_into_releases_newest_first() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    numbers = [tuple(map(int, heading.split("."))) for heading in headings[1:]]
    assert numbers == sorted(set(numbers), reverse=True)
    assert (0, 1, 0) in numbers


def test_a_release_is_cut_once_and_only_from_what_is_committed(released: Path) -> None:
    changelog = (released / "CHANGELOG.md").read_text()
    assert re.search(rf"^## Unreleased\n\n## {VERSION}\n\n### Added\n- What a test adds", changelog, re.MULTILINE)
    assert wheel.said(["git", "describe", "--exact-match"], released).strip() == f"v{VERSION}"
    (released / "LICENSE").write_text("another")
    for version, why in ((VERSION, "commit what is changed"), ("soon", "say which version")):
        refused = subprocess.run(
            ["scripts/release", version], cwd=released, capture_output=True, text=True, check=False
        )
        assert (refused.returncode, why in refused.stderr) == (2, True)
    wheel.said(["git", "checkout", "LICENSE"], released)
    for version, why in ((VERSION, "released already"), ("99.0.0", "nothing stands under Unreleased")):
        refused = subprocess.run(
            ["scripts/release", version], cwd=released, capture_output=True, text=True, check=False
        )
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr


def test_the_wheel_has_the_version_of_the_tag_and_every_file_of_the_package(built: Path) -> None:
    assert built.name == f"cio_activation-{VERSION}-py3-none-any.whl"
    packed = {name for name in zipfile.ZipFile(built).namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "cio_activation").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there


def test_what_is_imported_is_the_wheel_s(installed: Installed) -> None:
    code = "import cio_activation, importlib.metadata as m; print(cio_activation.__file__, m.version('cio-activation'))"
    told = installed.run(installed.python, "-c", code)
    assert told.stdout.split() == [
        str(
            installed.python.parents[1] / "lib" / installed_lib(installed) / "site-packages/cio_activation/__init__.py"
        ),
        VERSION,
    ], told.stderr


def installed_lib(installed: Installed) -> str:
    [folder] = (installed.python.parents[1] / "lib").glob("python*")
    return folder.name


def test_check_explains_and_doctor_examines_in_an_empty_folder(installed: Installed) -> None:
    checked = installed.run(installed.command, "check", "--offline", "--json")
    assert (checked.returncode, json.loads(checked.stdout)["ok"]) == (0, True), checked.stderr
    told = json.loads(installed.run(installed.command, "doctor", "--json").stdout)
    assert told["versions"]["cio-activation"] == VERSION
    assert {finding["about"] for finding in told["findings"]} == {"settings"}, told["problems"]


SMALL = """
workspace: {timezone: Europe/Berlin, realtime_window: 15m}
match: {keys: [external_id, email]}
attributes:
  last_order_at: {type: timestamp}
  cart_value: {type: money}
properties:
  lapse_bucket: {days_since: last_order_at, edges: [30, 90], labels: ["0-30", "31-90", "91+"], lane: daily, owner: team:crm, deliver: [hubspot]}
audiences:
  lapsed: {label: Lapsed, version: 1, owner: team:crm, segment: 9, lane: daily, gate: "cart_value >= 0", deliver: {hubspot: {list: true}}}
destinations:
  hubspot: {}
"""
"""An activation of one's own: the default one, which the demo of the end-to-end tests runs, takes a minute."""


def test_the_demo_runs_and_says_whose_world_it_is(installed: Installed) -> None:
    (installed.folder / "mine.yaml").write_text(SMALL)
    ended = installed.run(
        installed.command, "demo", "--days", "1", "--people", "12", "--activation", "mine.yaml", "--json"
    )
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["ok"], told["hubspot"]["contacts"] > 5) == (0, True, True), ended.stderr
    assert "made-up people; pip install 'cio-activation[demo]'" in ended.stderr
    assert told["report"] is None
    assert "cio-activation[report]" in ended.stderr


def test_dagster_dev_serves_the_code_location_from_the_package_alone(installed: Installed) -> None:
    port = free_port()
    command = [
        installed.python,
        "-m",
        "dagster",
        "dev",
        "-m",
        "cio_activation.definitions",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with (installed.folder / "dev.log").open("w") as log, subprocess.Popen(
        command, cwd=installed.folder, env=installed.environment(), stdout=log, stderr=log
    ) as process:  # fmt: skip
        try:
            assert _jobs(port, process) >= {"daily", "realtime"}, (installed.folder / "dev.log").read_text()[-2000:]
        finally:
            process.terminate()
            process.wait(60)


def _jobs(port: int, process: subprocess.Popen[bytes]) -> set[str]:
    """Return the jobs that the webserver knows, once it answers; empty if it does not within two minutes."""
    query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=30)
            nodes = answer.json()["data"]["repositoriesOrError"].get("nodes")
            if nodes:
                return {job["name"] for node in nodes for job in node["jobs"]}
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    return set()
