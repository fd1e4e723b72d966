"""Held-out people are in the declared proportion among first entries, also where not all who would enter may."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from scipy.stats import binomtest

from cio_activation.activation.life_cycle import Baseline, Launch, Measure, PersonCap
from cio_activation.activation.models import Lane, Limits
from cio_activation_tests.audience.stage import DAY, NOW, Stage, audience

PEOPLE, SHARE = 600, 0.1


@pytest.mark.parametrize("draws", [4, pytest.param(100, marks=pytest.mark.long)])
def test_the_arms_of_first_entries_are_in_proportion(tmp_path: Path, draws: int) -> None:
    """Each audience draws for itself. Half of them let in few a day, so that the ranking decides who is drawn when."""
    audiences = [
        audience(
            f"draw_{number}", touch=True, lane=Lane.DAILY, gate=None, holdout=SHARE, cooldown=timedelta(0), measure=Measure(),
            launch=Launch(baseline=Baseline.INCLUDE, max_entries_per_day=200 if number % 2 else None),
        )
        for number in range(draws)
    ]  # fmt: skip
    stage = Stage(tmp_path, *audiences)
    limits = Limits(human_touches_per_person=PersonCap(max=10_000))
    stage.world = stage.world.using(stage.world.runtime.activation.model_copy(update={"limits": limits}))
    people = {f"p{number}": {"spent": 500.0} for number in range(PEOPLE)}
    stage.at(NOW, people, people, Lane.DAILY)
    stage.at(NOW + DAY, members=list(people)[: PEOPLE // 2], lane=Lane.DAILY)
    stage.at(NOW + 2 * DAY, members=people, lane=Lane.DAILY)
    found = stage.world.rows(
        "SELECT audience, count(*) FILTER (ghost), count(*), count(DISTINCT cio_id) FROM outcome.entries GROUP BY 1"
    )
    assert len(found) == draws
    assert all(entries == persons for _, _, entries, persons in found), "a person's first entry counts, and no other"
    assert {entries for _, _, entries, _ in found if entries == PEOPLE}, "those without a limit let in everybody"
    ringing = [name for name, ghosts, entries, _ in found if binomtest(ghosts, entries, SHARE).pvalue <= 0.001]
    assert len(ringing) <= draws // 100, ringing
