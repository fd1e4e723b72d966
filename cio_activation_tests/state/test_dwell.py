"""``min_dwell``: a bucket changes only once it would have changed for a while, whatever happened on the way."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Flag, Property, PropertyType, Tiers
from cio_activation.state import derive as module
from cio_activation.state.derive import derive
from cio_activation_tests.drivers.state import StateBench, activation, prop, window
from cio_activation_tests.forms import form

NOW = datetime(2026, 11, 22, 5)
HOUR = timedelta(hours=1)
LABELS = ("low", "mid", "high")
DWELL = 3 * HOUR
WAITING = 'SELECT "waiting:tier", "waiting_since:tier", next_transition_at FROM state.daily_properties'


def tier(dwell: timedelta = DWELL, labels: tuple[str, ...] = LABELS) -> Property:
    rule = Tiers(attribute="spent", edges=(75, 200)[: len(labels) - 1], labels=labels)
    return prop("tier", rule, PropertyType.ENUM, labels=labels, min_dwell=dwell)


def keen(dwell: timedelta = DWELL) -> Property:
    return prop("keen", Flag(when="spent >= 200"), PropertyType.FLAG, min_dwell=dwell)


class Watched:
    """One person's values, window by window."""

    def __init__(self, home: Path, *properties: Property) -> None:
        self.world = StateBench.create(home, activation(properties))

    def defined(self, *properties: Property) -> None:
        """Go on with other definitions."""
        self.world.runtime = replace(self.world.runtime, activation=activation(properties))

    def at(self, hours: float, spent: float | None, **others: Any) -> dict[str, Any]:
        self.world.people({"a": {"spent": spent} | others})
        derive(self.world.runtime, window(NOW + hours * HOUR))
        return dict(self.world.state()["a"])

    def values(self, *spent: float | None) -> list[str | None]:
        """Return the tier after each of ``spent``, an hour apart."""
        return [self.at(n, one)["tier"] for n, one in enumerate(spent)]


def test_who_sways_around_an_edge_stays_where_they_are(tmp_path: Path) -> None:
    swaying = Watched(tmp_path, tier()).values(199, 201, 199, 201, 199, 201, 199)
    assert swaying == ["mid"] * 7


def test_what_lasts_is_taken_when_it_has_lasted_that_long(tmp_path: Path) -> None:
    watched = Watched(tmp_path, tier(), keen())
    assert watched.values(10, 300, 300, 300) == ["low"] * 4
    assert watched.world.rows(WAITING) == [("high", NOW + HOUR, NOW + 4 * HOUR)]
    # Nothing changed but the clock, and that is enough.
    assert derive(watched.world.runtime, window(NOW + 4 * HOUR)).candidates == 1
    row = watched.world.state()["a"]
    assert (row["tier"], row["keen"]) == ("high", True)
    assert watched.world.rows(WAITING) == [(None, None, None)]


def test_another_value_starts_to_wait_anew_and_the_old_one_ends_the_waiting(tmp_path: Path) -> None:
    assert Watched(tmp_path, tier()).values(10, 100, 300, 300, 300, 300) == ["low"] * 5 + ["high"]
    assert Watched(tmp_path / "2", tier()).values(10, 300, 300, 10, 300, 300, 300) == ["low"] * 7


def test_a_first_value_is_taken_at_once_and_a_lost_one_waits(tmp_path: Path) -> None:
    assert Watched(tmp_path, tier()).values(None, 300, None, None, 300, None, None, None, None) == (
        [None] + ["high"] * 7 + [None]
    )


def test_a_window_run_again_gives_the_same(tmp_path: Path) -> None:
    watched = Watched(tmp_path, tier())
    watched.values(10, 300)
    for hours, spent in ((1, 300), (4, 300), (4, 300)):
        before = watched.at(hours, spent)
        assert derive(watched.world.runtime, window(NOW + hours * HOUR), full=True).missed == 0
        assert watched.at(hours, spent) == before
    assert before["tier"] == "high"


def test_what_waits_outlives_another_definition_as_long_as_its_label_does(tmp_path: Path) -> None:
    watched = Watched(tmp_path, tier())
    watched.values(10, 300)
    assert watched.world.rows(WAITING)[0][0] == "high"
    watched.defined(tier(), keen())
    assert watched.at(2, 300)["tier"] == "low"
    assert watched.at(4, 300)["tier"] == "high"


def test_without_its_label_the_new_value_is_taken_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path, tier())
    watched.values(300, 300)
    watched.defined(tier(labels=("low", "rich")))
    assert watched.at(2, 300)["tier"] == "rich"


def expected(history: list[tuple[int, float | None]], first: float | None) -> list[str | None]:
    """Return the tiers after each step by a plain walk: the oracle."""

    def bucket(spent: float | None) -> str | None:
        return None if spent is None else "low" if spent < 75 else "mid" if spent < 200 else "high"

    shown, waits, since, now = bucket(first), None, None, 0
    found: list[str | None] = []
    for step, spent in history:
        now += step
        found_now = bucket(spent)
        if shown is None or found_now == shown:
            shown, since = found_now, None
        else:
            since = since if since is not None and waits == found_now else now
            waits = found_now
            if now - since >= 3:
                shown, since = found_now, None
        found.append(shown)
    return found


@settings(max_examples=form(8, 200), deadline=None)
@given(
    first=st.sampled_from([None, 10.0, 100.0, 300.0]),
    history=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([None, 10.0, 74.99, 75.0, 199.0, 200.0, 300.0])), max_size=9
    ),
    share=st.sampled_from([0.3, 2.0]),
)
def test_every_history_gives_what_a_plain_walk_gives(
    first: float | None, history: list[tuple[int, float | None]], share: float
) -> None:
    with tempfile.TemporaryDirectory() as home, patch.object(module, "REDERIVE_SHARE", share):
        watched = Watched(Path(home), tier(), keen())
        watched.at(0, first)
        now, found = 0, []
        for step, spent in history:
            now += step
            found.append(watched.at(now, spent)["tier"])
            assert derive(watched.world.runtime, window(NOW + now * HOUR), full=True).missed == 0
        assert found == expected(history, first)
