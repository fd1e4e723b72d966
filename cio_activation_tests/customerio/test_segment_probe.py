"""Looking whether a segment changed: one in and one out, building, many members, and how often it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from cio_activation.customerio import segment_probe
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.segment_probe import LONGEST_REST_S, REST_A_PAGE_S, REST_S, Fingerprint, fingerprint
from cio_activation_tests.drivers.customerio import CustomerioBench

NOW = 1_000_000.0
HAND = "11"


def see(
    site: CustomerioBench, before: Mapping[str, Fingerprint] | None = None, now: float = NOW
) -> dict[str, Fingerprint]:
    async def ask() -> dict[str, Fingerprint]:
        async with CustomerIO(site.runtime().settings) as client:
            return await fingerprint(client, [1, 11], before or {}, now)

    return asyncio.run(ask())


def people(site: CustomerioBench, number: int) -> list[str]:
    return sorted(site.picture().identifiers)[:number]


def test_one_in_and_one_out_is_news_although_the_count_stands_still(site: CustomerioBench) -> None:
    a, b, c = people(site, 3)
    site.pick(a, b)
    first = see(site)
    assert see(site, first) == first
    site.drop(b)
    site.pick(c)
    assert see(site, first)[HAND].members != first[HAND].members


def test_a_small_segment_costs_one_call_a_look(site: CustomerioBench) -> None:
    before = dict(site.calls())
    see(site)
    made = {name: n - before.get(name, 0) for name, n in site.calls().items() if n != before.get(name, 0)}
    assert made == {"GET /v1/segments": 1, "GET /v1/segments/{id}/membership": 2}


def test_a_segment_that_is_being_built_keeps_its_last_look(site: CustomerioBench) -> None:
    a, b = people(site, 2)
    site.pick(a)
    first = see(site)
    site.edit(action="set_segment_state", segment=11, state="build", progress=10)
    site.pick(b)
    assert see(site, first) == first
    site.edit(action="set_segment_state", segment=11, state="finished")
    assert see(site, first)[HAND].members != first[HAND].members


def test_a_big_segment_that_moved_rests_and_one_that_stands_still_is_looked_at_each_time(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.customerio.client.PAGE", 2)
    monkeypatch.setattr(segment_probe, "PAGE", 2)
    a, b, c, d = people(site, 4)
    site.pick(a, b, c)
    first = see(site)
    assert (first[HAND].members, first[HAND].big, first[HAND].due_at) == ("3", True, NOW + REST_S)
    site.pick(d)
    assert see(site, first, NOW + REST_S - 1) == first
    later, then = NOW + REST_S, 0.0
    moved = see(site, first, later)
    assert (moved[HAND].members, moved[HAND].due_at) == ("4", later + REST_S)
    calls = dict(site.calls())
    for _ in range(3):
        then += REST_S
        moved = see(site, moved, later + then)
        assert (moved[HAND].members, moved[HAND].due_at) == ("4", 0.0)
    counted = "GET /v1/segments/{id}/customer_count"
    assert site.calls()[counted] - calls[counted] == 3
    site.drop(a, b, c)
    assert not see(site, moved, later + then)[HAND].big


def test_the_more_pages_a_segment_has_the_longer_it_rests(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cio_activation.customerio.client.PAGE", 1)
    monkeypatch.setattr(segment_probe, "PAGE", 1)
    rests = []
    for members in (2, 20, 100):
        site.pick(*people(site, members))
        rests.append(see(site)[HAND].due_at - NOW)
    assert rests == [REST_S, 20 * REST_A_PAGE_S, LONGEST_REST_S]
