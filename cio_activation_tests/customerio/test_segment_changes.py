"""What changed about a segment is found with its snapshot, by each lane for itself, before an audience is decided by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.models import Lane
from cio_activation.customerio.assets import build_assets
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.segments import pull_segments
from cio_activation.lanes.partitions import Lanes
from cio_activation_tests.drivers.builders import START, window
from cio_activation_tests.drivers.customerio import CustomerioBench, model
from cio_activation_tests.drivers.tables import query

DETAIL = "GET /v1/segments/{id}"
SECONDS = count(3_600)


@pytest.fixture(autouse=True)
def _as_it_was(site: CustomerioBench) -> Iterator[None]:
    """The workspace serves all tests of the folder."""
    yield
    save(site, name="Hand-picked", conditions=None)


def save(site: CustomerioBench, **values: Any) -> str:
    """Save the segment at an instant of its own; return that as a change tells it."""
    at = START + timedelta(seconds=next(SECONDS))
    site.edit("save_segment", segment=11, at=at.timestamp(), **values)
    return at.strftime("%Y-%m-%d %H:%M:%S")


def test_an_ordinary_window_asks_no_more_than_before_and_finds_nothing(site: CustomerioBench) -> None:
    run = site.runtime(daily=(3, 4))
    pull_segments(run, window(1))
    assert site.calls()[DETAIL] == 2, "what the segments are is known from here on"
    site.clear_log()
    assert pull_segments(run, window(2)).segment_changes == ()
    assert DETAIL not in site.calls()
    assert site.calls()["GET /v1/segments"] == 1


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        ({"name": "VIP"}, ['is called "VIP" now, "Hand-picked" before', '"VIP" was saved anew at {at} UTC']),
        ({}, ['"Hand-picked" was saved anew at {at} UTC']),
    ],
)
def test_a_segment_saved_anew_is_told_of_in_each_lane_once(
    site: CustomerioBench, saved: dict[str, str], told: list[str]
) -> None:
    run = site.runtime(rt=(11,), daily=(11,))
    pull_segments(run, window(1))
    pull_live(run, window(1, Lane.REALTIME))
    at = save(site, **saved)
    for found in (pull_segments(run, window(2)), pull_live(run, window(2, Lane.REALTIME))):
        assert [part.format(at=at) in change for part, change in zip(told, found.segment_changes, strict=True)] == [
            True
        ] * len(told)
    assert pull_segments(run, window(3)).segment_changes == ()
    assert pull_live(run, window(2, Lane.REALTIME)).segment_changes == ()
    assert query(run, "SELECT count(*) FROM raw.segment_changes") == [(2 * len(told),)]


def test_conditions_are_compared_where_they_are_told(site: CustomerioBench) -> None:
    run = site.runtime(daily=(11,))
    save(site, conditions={"and": [{"attribute": "a"}]})
    pull_segments(run, window(1))
    save(site)
    assert pull_segments(run, window(2)).segment_changes == (), "saved, and nothing is different"
    save(site, conditions={"and": [{"attribute": "b"}]})
    assert pull_segments(run, window(3)).segment_changes == (
        'Customer.io\'s segment 11 "Hand-picked" has other conditions',
    )


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 503},
        {"kind": "reset"},
        {"kind": "truncate", "when": "after"},
        {"kind": "html"},
    ],
    ids=lambda f: str(f.get("status", f["kind"])),
)
def test_conditions_that_cannot_be_read_stop_nothing(site: CustomerioBench, fault: dict[str, Any]) -> None:
    run = site.runtime(daily=(11,), vendor_backoff_s=0.01)
    pull_segments(run, window(1))
    site.fault(path="/v1/segments/11", times=9, **fault)
    save(site)
    try:
        assert "does not tell its conditions" in pull_segments(run, window(2)).segment_changes[0]
    finally:
        site.shared.faults.clear()


def test_another_size_is_told_beyond_the_limit_only(site: CustomerioBench) -> None:
    people = sorted(site.picture().identifiers)
    run = site.runtime(daily=(11,))
    site.pick(*people[:30])
    assert pull_segments(run, window(1)).segment_changes == (), "the first snapshot is no change"
    site.pick(*people[30:44])
    assert pull_segments(run, window(2)).segment_changes == ()
    site.drop(*people[:44])
    assert pull_segments(run, window(3)).segment_changes == (
        'Customer.io\'s segment 11 "Hand-picked" went from 44 to 0 members from one snapshot to the next',
    )
    [(entered, departed, members)] = query(
        run, "SELECT sum(entered), sum(departed), min(members) FROM raw.segment_turnover"
    )
    assert (entered, departed, members) == (14, 44, 0)


def test_the_check_says_it_before_anything_is_decided(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = site.runtime(daily=(11,))
    pull_segments(run, window(1))
    save(site, name="VIP")
    for name, value in {"ACTIVATION_HOME": str(site.home), **site.stand_in.settings}.items():
        monkeypatch.setenv(name.upper(), str(value))
    activation = model((), (11,))
    assets = [a for a in build_assets(activation, Lanes.of(activation)) if isinstance(a, dg.AssetsDefinition)]
    [segments] = [a for a in assets if a.key.path[-1] == "segments"]
    result = dg.materialize([segments], partition_key="2026-11-02")
    [check] = [c for c in result.get_asset_check_evaluations() if c.check_name == "unchanged"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    assert 'is called "VIP" now' in str(check.description)
