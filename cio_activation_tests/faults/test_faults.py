"""The rows of the fault table, against the real stand-ins over HTTP; and the committed table has them all."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from cio_activation_tests.faults.cases import Case
from cio_activation_tests.faults.report import COMMAND, PAGE, key_of
from cio_activation_tests.faults.rigs import RIGS
from cio_activation_tests.faults.table import CASES
from cio_activation_tests.faults.world import Rig, measure, problems, quick

TakeRig = Callable[[str], Rig]
FARE_ALIKE = (
    "423, ", "500, ", "503, ", "reset before the write, ", "truncated body, ",
    "activities: 429 once", "activities: half an answer", "activities: 503 once",
    "handing: 502", "handing: 500", "handing: 503", "handing: truncated body", "handing: empty results",
    "handing: 400", "deals: 400", "notes: made", "deals: made", "activities: made, answer lost, 500",
    "notes: half an answer", "notes: 503 once", "notes: 400", "deals: half an answer", "deals: 503 once",
    "heard: 503 once", "heard: HTML 403", "list to be deleted", "500 at what was not applied",
)  # fmt: skip
"""Rows that go the way of another one at the same calls: 429, 502 and reset after the write are in the short form."""


@pytest.fixture(scope="module")
def homes() -> Iterator[Path]:
    with quick() as folder:
        yield folder


@pytest.fixture(scope="module")
def rigs(homes: Path) -> Iterator[dict[str, Rig]]:
    """One rig a population for all its rows; a row that fails throws its rig away."""
    made: dict[str, Rig] = {}
    yield made
    for rig in made.values():
        rig.stop()


@pytest.fixture
def take(rigs: dict[str, Rig], homes: Path) -> TakeRig:
    def one(name: str) -> Rig:
        if name not in rigs:
            rigs[name] = RIGS[name](homes / f"{name}{time.monotonic_ns()}")
            rigs[name].settle()
        return rigs[name]

    return one


def rows() -> list[ParameterSet]:
    """Return every row; the short form leaves out those that fare as another does."""
    return [
        pytest.param(case, id=case.name, marks=[pytest.mark.long] if case.fault.startswith(FARE_ALIKE) else [])
        for case in CASES
    ]


@pytest.mark.slow
@pytest.mark.parametrize("case", rows())
def test_a_fault_loses_nothing_doubles_nothing_and_leaves_nothing_behind(
    case: Case, take: TakeRig, rigs: dict[str, Rig]
) -> None:
    rig = take(case.rig)
    found = ["the run broke off"]
    try:
        found = problems(measure(rig, case))
    finally:
        if found:
            rigs.pop(case.rig).stop()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_the_page_has_the_row(case: Case) -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert sum(line.startswith(key_of(case.vendor, case.fault)) for line in lines) == 1, f"run {COMMAND}"


def test_the_page_has_no_row_that_nobody_measures_and_names_its_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    vendors = tuple({key_of(case.vendor, "").removesuffix(" |") for case in CASES})
    assert sum(line.startswith(vendors) for line in text.splitlines()) == len(CASES)
    assert f"`{COMMAND}`" in text
