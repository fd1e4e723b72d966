"""Days of the simulation in which the clocks change, in Berlin and in New York. ``report.py`` lives 120."""

from __future__ import annotations

import pytest

from cio_activation_tests.forms import form
from cio_activation_tests.life.oracle import CHECKS
from cio_activation_tests.life.play import Life, live
from cio_activation_tests.life.world import AUTUMN

DAYS, PEOPLE = 15, 100
FIRST = AUTUMN
"""A third of the people of the report: there is news in fewer windows."""


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    home = tmp_path_factory.mktemp("life") / "home"
    return live(home, DAYS, people=PEOPLE, first=FIRST, dagster_days=form(0, 2))


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_wrong(life: Life, check: str) -> None:
    assert life.oracle.violations[check] == []
    assert life.oracle.judged[check] > 0 or not life.oracle.judges(check)


def test_there_was_a_life(life: Life) -> None:
    actions = list(life.oracle.history.ours())
    assert {record.key[0] for record in actions} == {"hubspot", "pipedrive"}
    assert any(record.ended_by_human for record in actions)
    assert len(life.deeds) >= 4
