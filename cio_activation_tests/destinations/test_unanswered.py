"""A write that never gets an answer: looked up once it is so often, settled where it is found, listed where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cio_activation.delivery import rejected
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.hubspot import HubSpotBench, hubspot_bench, person
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench
from cio_activation_tests.drivers.pipedrive import make as make

UNANSWERED = 2
"""Instead of five: the rule is the same, and each run costs a second."""
TOLD = "SELECT reason FROM delivery.ledger WHERE \"end\" = 'delivered' AND reason LIKE 'no answer%'"
LISTED = "SELECT reason FROM delivery.rejected"


def never_answered(bench: HubSpotBench | PipedriveBench, run: Callable[[], int], applied: bool, **where: str) -> None:
    """Run until it was sent ``UNANSWERED`` times, each without an answer, and once more; then answers come again."""
    bench.runtime = bench.runtime_with(vendor_backoff_s=0.001)
    bench.fault(kind="reset", when="after" if applied else "before", times=1000, **where)
    assert [run() for _ in range(UNANSWERED)] == [1] * UNANSWERED
    assert run() == (0 if applied else 1)
    assert bench.query(TOLD) == ([("no answer, but found as wanted",)] if applied else [])
    assert bench.query(LISTED) == ([] if applied else [(f"no answer, {UNANSWERED} times in a row",)])
    bench.shared.faults.clear()
    run()
    assert bench.query(LISTED) == []


@pytest.fixture(autouse=True)
def sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejected, "UNANSWERED", UNANSWERED)


@pytest.mark.parametrize("applied", [True, False])
def test_pipedrives_person_is_read_once_it_is_so_often(make: Make, applied: bool) -> None:
    bench = make()
    bench.schema()
    bench.person("c1", "ann@example.com", name="Ann Lee", bucket="low", spent=12.5)
    bench.inside["vip"] = {"c1"}
    bench.decide()
    for step in ("person_mirror", "person_links_daily"):
        bench.step(step, window(1))

    def run() -> int:
        bench.day += 1
        return bench.step("fields_daily").planned

    never_answered(bench, run, applied, method="PATCH", path="/api/v2/persons/*")
    assert bench.fields("ann@example.com") == {
        "cio_id": "c1", "cio_audiences": [LABELS["vip"]], "cio_bucket": "low", "cio_spent": 12.5
    }  # fmt: skip
    assert run() == 0


@pytest.mark.parametrize(
    ("step", "path", "applied"),
    [
        ("properties_daily", "*/batch/update", True),
        ("list/winback", "*/add-and-remove", True),
    ],
)
def test_hubspots_contact_is_read_once_it_is_so_often(tmp_path: Path, step: str, path: str, applied: bool) -> None:
    world = hubspot_bench(tmp_path / "home", [{"email": "person1@example.com"}])
    try:
        world.schema()
        world.persons([person(1)])
        world.state({"p00001": {"ltv": 12.5, "second_order_due": True}})
        for before in ("contact_links_daily", "properties_daily")[: 1 if step == "properties_daily" else 2]:
            world.run(only=before)
        world.members("winback", ["p00001"])
        never_answered(world, lambda: world.run(only=step)[step].planned, applied, path=path)
        assert world.contacts()["p00001"]["cio_ltv"] == "12.5"
        assert world.run(only=step)[step].planned == 0
    finally:
        world.stop()
