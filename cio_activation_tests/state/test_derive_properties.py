"""I8 and the incremental rule: whatever happened on the way, the table is what a full recompute gives."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.state import derive as module
from cio_activation.state.derive import derive
from cio_activation_tests.drivers.state import StateBench, window
from cio_activation_tests.forms import form
from cio_activation_tests.state.populations import NOW, person, spans

EVERYTHING = "SELECT * EXCLUDE (as_of) FROM state.daily_properties ORDER BY cio_id"
GAPS = "SELECT * FROM state.median_gaps ORDER BY ALL"

changes = st.dictionaries(
    st.integers(0, 11).map(lambda i: f"p{i:02}"), st.one_of(st.none(), person, person), max_size=6
)
histories = st.lists(st.tuples(spans, changes), min_size=1, max_size=5)


@settings(max_examples=form(6, 200), deadline=None)
@given(start=st.lists(person, max_size=12), history=histories, share=st.sampled_from([0.3, 2.0, 2.0]))
def test_incremental_equals_full(
    start: list[dict[str, Any]], history: list[tuple[timedelta, dict[str, Any]]], share: float
) -> None:
    population = {f"p{i:02}": row for i, row in enumerate(start)}
    as_of = NOW
    with tempfile.TemporaryDirectory() as home, patch.object(module, "REDERIVE_SHARE", share):
        world = StateBench.create(Path(home) / "incremental")
        world.people(population)
        derive(world.runtime, window(as_of))
        for span, changed in history:
            as_of += span
            population = {k: v for k, v in (population | changed).items() if v is not None}
            world.people(population)
            result = derive(world.runtime, window(as_of))
            assert (result.rows, result.superseded, result.rebuilt) == (len(population), False, False)

        fresh = StateBench.create(Path(home) / "full")
        fresh.people(population)
        derive(fresh.runtime, window(as_of))
        assert world.rows(EVERYTHING) == fresh.rows(EVERYTHING)
        assert world.rows(GAPS) == fresh.rows(GAPS)

        before = world.rows(EVERYTHING)
        again = derive(world.runtime, window(as_of))
        assert (again.changed, again.removed, again.candidates) == (0, 0, 0)
        checked = derive(world.runtime, window(as_of), full=True)
        assert (checked.missed, checked.changed) == (0, 0)
        assert world.rows(EVERYTHING) == before
