"""Before an audience starts: how many people it takes until something can be said, and about when that is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

from cio_activation.activation.life_cycle import Launch, Measure
from cio_activation.activation.models import Workspace
from cio_activation.outcome.expected import answers
from cio_activation_tests.drivers import builders

NOW = datetime(2026, 11, 1)


def test_it_says_how_many_and_when_until_somebody_has_entered(tmp_path: Path) -> None:
    measure = Measure(within=timedelta(days=10))
    vip = builders.audience("vip", segment=1, touch=True, holdout=0.1, measure=measure)
    slow = builders.audience(
        "slow", segment=1, touch=True, holdout=0.1, measure=measure, launch=Launch(max_entries_per_day=1)
    )
    list_only, not_held_out = builders.audience("list"), builders.audience("all", touch=True, measure=measure)
    model = builders.activation(audiences=[vip, slow, list_only, not_held_out])
    run = builders.runtime(tmp_path, model)
    [unknown, _] = answers(tmp_path / "none.duckdb", model, NOW)
    assert "how many come a day is not known yet" in unknown
    with run.warehouse.write() as con:
        for day, entered in ((1, 900), (20, 90), (21, 110)):
            con.execute(
                "INSERT INTO raw.segment_turnover VALUES ('daily', 1, ?, ?, 0, 500)", [datetime(2026, 10, day), entered]
            )
    fast, late = answers(run.warehouse.path, model, NOW)
    told = re.findall(r"([\d,]+) people with (\d+)% held out \(about ([\d-]+)\)", fast)
    assert [share for _, share, _ in told] == ["10", "20"]
    needed = [int(people.replace(",", "")) for people, _, _ in told]
    assert 6_000 > needed[0] > needed[1] > 500
    for people, (_, _, about) in zip(needed, told, strict=True):
        assert datetime.fromisoformat(about) == NOW + timedelta(days=-(-people // 100) + 10)
    assert fast.startswith("audience vip: ")
    assert "at the 100 a day that come to it at most; a difference of 5 points, if 5% buy without it" in fast
    assert "at the 1 a day" in late
    with run.warehouse.write() as con:
        con.execute("INSERT INTO outcome.entries BY NAME SELECT 'vip' AS audience, 0.1 AS holdout")
    assert [one.split(":")[0] for one in answers(run.warehouse.path, model, NOW)] == ["audience slow"]
    assert answers(run.warehouse.path, builders.activation(audiences=[not_held_out]), NOW) == []
    everywhere = builders.activation(audiences=[not_held_out], workspace=Workspace(holdout=0.05))
    assert "with 5% held out" in answers(run.warehouse.path, everywhere, NOW)[0]
