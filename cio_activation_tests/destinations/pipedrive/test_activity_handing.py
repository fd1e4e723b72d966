"""Open activities are given to somebody else as was decided: not what a human took, gave or finished meanwhile."""

from __future__ import annotations

from pathlib import Path

from cio_activation_tests.destinations.pipedrive.desk import asking, desk, spent
from cio_activation_tests.drivers.tables import noting


def test_what_was_decided_is_written_once_and_what_a_human_did_meanwhile_stays(tmp_path: Path) -> None:
    everybody = ("c1", "c2", "c3", "c4", "c5")
    with desk(tmp_path, 5, asking("call", owner=["record_owner"], follow_owner=True)) as its:
        bench = its.bench
        grace, carl, left = (int(bench.edit("add_user", name=n, email=f"{n}@example.com")["id"]) for n in "gcl")
        bench.edit("deactivate_user", user=left)
        its.enter("call", *everybody)
        its.run()
        with bench.runtime.warehouse.write() as con, noting(con, "audience.assignments"):
            con.execute(f"UPDATE audience.assignments SET owner_id = '{grace}', given_at = now()::TIMESTAMP")
            con.execute(f"UPDATE audience.assignments SET owner_id = '{left}' WHERE cio_id = 'c5'")
        its.enter("call", "c2", evidence=spent(40))
        its.edit_of("c3", owner_id=carl)
        its.edit_of("c4", "complete_activity")
        its.run()
        assert [its.one(c)["owner_id"] for c in everybody] == [grace, grace, carl, 2, 2]
        assert "Spent: 40" in its.one("c2")["note"]
        report = bench.reports["activity/call"]
        assert report.by_kind == {"assign_activity": 5, "change_activity": 1}
        assert (report.delivered, report.unneeded, report.rejected) == (4, 1, 1)
        assert bench.query("SELECT cio_id, act, detail FROM feedback.acts") == [("c3", "reassigned", str(carl))]
        assert its.run() == []
