"""A further attempt for the same entry: another activity under a claim of its own, once, however a run dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.outcomes import Outcomes
from cio_activation.destinations.pipedrive.activity_sending import Sending
from cio_activation_tests.destinations.pipedrive.desk import asking, desk, spent
from cio_activation_tests.destinations.pipedrive.test_activities_once import AFTER, POST, Killed
from cio_activation_tests.drivers.tables import noting


def test_it_is_made_once_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with desk(tmp_path, 2, asking("call").model_copy(update={"outcomes": Outcomes()})) as its:
        people = ("c1", "c2")
        its.enter("call", *people)
        its.run()
        for one in people:
            its.edit_of(one, "complete_activity")
        with its.bench.runtime.warehouse.write() as con, noting(con, "audience.assignments", "delivery.actions"):
            con.execute("UPDATE delivery.actions SET status = 'done', ended_at = now()")
            con.execute(
                """INSERT INTO audience.assignments BY NAME
                SELECT * REPLACE (2 AS attempt, '3' AS owner_id) FROM audience.assignments"""
            )
        really = Sending.send

        async def killed(self: Sending, operation: Any) -> Any:
            await really(self, operation)
            raise Killed

        monkeypatch.setattr(Sending, "send", killed)
        its.bench.fault(**AFTER, **POST)
        with pytest.raises(Killed):
            its.bench.lane()
        monkeypatch.undo()
        its.bench.stand_in.mend()
        its.run()
        assert its.run() == []
        for one in people:
            first, second = sorted(its.of(one), key=lambda activity: int(activity["id"]))
            assert [f":{n}]" in a["note"] for n, a in ((1, first), (2, second))] == [True, True]
            assert ((first["done"], first["owner_id"]), (second["done"], second["owner_id"])) == ((True, 2), (False, 3))
            assert its.known(one, "attempt") == [1, 2]
        its.enter("call", "c1", evidence=spent(40))
        its.run()
        assert ":2]" in max(its.of("c1"), key=lambda activity: int(activity["id"]))["note"]
