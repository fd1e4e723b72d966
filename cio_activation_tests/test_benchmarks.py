"""The benchmark command on two thousand people: a whole table, proven equal results, ratios of one run only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cases import MODULES, Row, Stage, stage
from benchmarks.measure import DifferentRuns, Measurement, ratio
from benchmarks.report import DifferentAnswers, agree

ROOT = Path(__file__).parent.parent


def measured(case: str, run: str = "one", cpu: float = 1.0, **answer: object) -> Measurement:
    return Measurement(run, case, cpu, wall=1.0, peak_mb=1.0, foreign=0.0, repeats=1, answer=answer)


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_command_prints_a_whole_table(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--people", "2000", "--repeats", "1"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path), "--json", str(found)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    lines = done.stdout.splitlines()
    data = json.loads(found.read_text())
    for number in MODULES:
        one = stage(number)
        assert set(data["stages"][str(number)]) == set(one.cases)
        for row in one.rows:
            [line] = [x for x in lines if x.startswith(f"| {number} {one.title} | {row.what} ")]
            cells = [c.strip() for c in line.strip("|").split("|")]
            assert len(cells) == 13
            assert all(float(c.replace(",", "")) >= 0 for c in cells[2:5])
            assert cells[5] == (row.peers[0] if row.peers else "-")
            assert cells[9] == row.floor
    assert {m["run"] for s in data["stages"].values() for m in s.values()} == {data["run"]}
    assert data["stages"]["5"]["ours"]["answer"]["changed"] > data["stages"]["5"]["updated"]["answer"]["changed"] > 0
    assert data["stages"]["11"]["nothing"]["answer"]["operations"] == 0
    assert data["stages"]["11"]["one_percent"]["answer"]["operations"] > 0
    assert data["stages"]["3"]["ours"]["answer"]["quarantine"]["rows"] == 2
    assert data["calls"]["hubspot, nothing changed (calls)"]["calls"] == 0
    assert all(cost["people"] > 0 for name, cost in data["calls"].items() if "nothing" not in name)
    assert list(tmp_path.iterdir()) == [found]


def test_a_ratio_of_two_runs_is_refused() -> None:
    assert ratio(measured("a", cpu=3.0), measured("b", cpu=2.0)) == 1.5
    with pytest.raises(DifferentRuns, match="measure them together"):
        ratio(measured("a"), measured("b", run="another"))


def test_different_results_show_no_times() -> None:
    one = Stage(1, "ingest", frozenset(), {}, (Row("what", "ours", ("peer",), None, ("ids",)),))
    agree(one, {"ours": measured("ours", ids=[1, 2]), "peer": measured("peer", ids=[1, 2])})
    for ids in ([1, 3], None):
        with pytest.raises(DifferentAnswers, match="ids"):
            agree(one, {"ours": measured("ours", ids=[1, 2]), "peer": measured("peer", ids=ids)})
