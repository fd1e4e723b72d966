"""Memberships: what is published, since when, and when the last good snapshot is retained."""

from __future__ import annotations

import pytest

from cio_activation.activation.models import Lane
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.segments import pull_segments
from cio_activation.errors import ConfigError
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.tables import query

RT = Lane.REALTIME
MEMBERS = "SELECT cio_id, first_seen, window_key FROM raw.memberships WHERE segment_id = 11 ORDER BY 1"


def people(site: CustomerioBench, number: int) -> list[str]:
    return sorted(site.picture().identifiers)[:number]


def test_the_members_are_those_customerio_lists(site: CustomerioBench) -> None:
    run = site.runtime(daily=(3, 4, 5, 10))
    result = pull_segments(run, window())
    picture = site.picture()
    expected = {(s, c) for s in (3, 4, 5, 10) for c in picture.members(s)}
    assert set(query(run, "SELECT segment_id, cio_id FROM raw.memberships WHERE lane = 'daily'")) == expected
    assert (result.rows, result.entered, result.left, result.retained) == (len(expected), len(expected), 0, {})
    assert len(picture.members(10)) == len(picture)
    assert query(run, "SELECT DISTINCT lane FROM raw.memberships") == [("daily",)]


def test_many_pages_are_one_membership(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cio_activation.customerio.client.PAGE", 7)
    run = site.runtime(daily=(10,))
    result = pull_segments(run, window())
    assert result.rows == site.stand_in.state()["people"]
    assert site.calls()["GET /v1/segments/{id}/membership"] == -(-result.rows // 7)


def test_first_seen_survives_while_somebody_stays(site: CustomerioBench) -> None:
    run, (a, b, c) = site.runtime(), people(site, 3)
    site.pick(a, b)
    pull_segments(run, window(1, RT))
    site.drop(b)
    site.pick(c)
    result = pull_segments(run, window(2, RT))
    assert query(run, MEMBERS) == sorted([(a, window(1).as_of, window(1).key), (c, window(2).as_of, window(2).key)])
    eleven = next(p for p in result.segments if p.segment == 11)
    assert (eleven.members, eleven.entered, eleven.left) == (2, 1, 1)
    site.pick(b)
    pull_segments(run, window(3, RT))
    assert {i: s for i, s, _ in query(run, MEMBERS)}[b] == window(3).as_of, "coming back is a new stay"


def test_repeated_rows_and_rows_without_cio_id(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (a, b) = site.runtime(), people(site, 2)
    site.pick(a, b)
    real = CustomerIO.membership

    async def messy(self: CustomerIO, segment: int):  # type: ignore[no-untyped-def]
        async for page in real(self, segment):
            yield page
            yield [*page, {"cio_id": "", "id": "odd", "email": None}] if segment == 11 else []

    monkeypatch.setattr(CustomerIO, "membership", messy)
    result = pull_segments(run, window(1, RT))
    assert [r[0] for r in query(run, MEMBERS)] == [a, b]
    assert result.quarantined == {"missing cio_id": 1}
    assert pull_segments(run, window(1, RT)).quarantined == {"missing cio_id": 1}
    site.drop(a)  # the row that names nobody may be theirs
    assert pull_segments(run, window(2, RT)).left == 0
    monkeypatch.setattr(CustomerIO, "membership", real)
    assert pull_segments(run, window(3, RT)).left == 1


@pytest.mark.parametrize("state", ["events", "build", "events_queued", "build_queued"])
def test_a_segment_still_building_keeps_its_last_good_picture(site: CustomerioBench, state: str) -> None:
    run, (a, b) = site.runtime(), people(site, 2)
    site.pick(a, b)
    pull_segments(run, window(1, RT))
    site.edit(action="set_segment_state", segment=11, state=state, progress=0)
    result = pull_segments(run, window(2, RT))
    assert [r[0] for r in query(run, MEMBERS)] == [a, b]
    assert [k for k in result.retained if k.startswith("11 ")]
    assert f"state {state}" in next(iter(result.retained.values()))


@pytest.mark.parametrize(
    ("offsets", "published", "reads"), [([0], True, 1), ([5, 0], True, 2), ([5, 5], False, 2), ([1, 1], True, 2)]
)
def test_members_are_compared_with_the_count(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch, offsets: list[int], published: bool, reads: int
) -> None:
    run, chosen = site.runtime(rt=(11,)), people(site, 3)
    site.pick(*chosen)
    real, left = CustomerIO.customer_count, list(offsets)

    async def off(self: CustomerIO, segment: int) -> int:
        return await real(self, segment) + left.pop(0)

    monkeypatch.setattr(CustomerIO, "customer_count", off)
    result = pull_segments(run, window(1, RT))
    assert (result.rows, bool(result.retained)) == ((3, False) if published else (0, True))
    assert site.calls()["GET /v1/segments/{id}/membership"] == reads


def test_an_unknown_segment_names_the_audience_and_what_exists(site: CustomerioBench) -> None:
    with pytest.raises(ConfigError, match=r"audience daily_77: .* no segment 77; it has 1 \(.*11 \("):
        pull_segments(site.runtime(daily=(3, 77)), window())


def test_a_daily_window_publishes_its_kept_files_again(site: CustomerioBench) -> None:
    run = site.runtime(daily=(10,))
    first = pull_segments(run, window())
    someone = people(site, 1)[0]
    with run.warehouse.write() as con:
        con.execute("DELETE FROM raw.memberships WHERE cio_id = ?", [someone])
    site.clear_log()
    again = pull_segments(run, window())
    assert (site.calls(), again.reused, again.rows, again.entered) == ({}, True, first.rows, 1)
    assert pull_segments(run, window(), refresh=True).reused is False


def test_old_windows_change_nothing(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_segments(run, window(1))
    pull_segments(run, window(2))
    pull_segments(run, window(2, RT))
    before = query(run, "SELECT * FROM raw.memberships ORDER BY ALL")
    site.clear_log()
    assert pull_segments(run, window(1)).superseded
    assert pull_segments(run, window(1, RT)).superseded
    assert query(run, "SELECT * FROM raw.memberships ORDER BY ALL") == before
    assert site.calls() == {}


@pytest.mark.parametrize("refresh", [True, False])
def test_an_old_daily_window_without_files_publishes_nothing_and_succeeds(site: CustomerioBench, refresh: bool) -> None:
    run = site.runtime()
    pull_segments(run, window(2))
    site.clear_log()
    assert pull_segments(run, window(1), refresh=refresh).superseded
    assert site.calls() == {}


def test_a_segment_no_longer_used_is_forgotten(site: CustomerioBench) -> None:
    pull_segments(site.runtime(daily=(3, 10)), window(1))
    run = site.runtime(daily=(3,))
    pull_segments(run, window(2))
    assert query(run, "SELECT count(*) FROM raw.memberships WHERE segment_id = 10") == [(0,)]


def test_lanes_do_not_touch_each_other(site: CustomerioBench) -> None:
    run = site.runtime(rt=(10,), daily=(10,))
    daily = pull_segments(run, window(1))
    live = pull_segments(run, window(1, RT))
    assert daily.rows == live.rows > 0
    assert query(run, "SELECT count(*) FROM raw.memberships") == [(daily.rows * 2,)]
