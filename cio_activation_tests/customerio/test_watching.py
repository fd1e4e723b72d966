"""Looking whether a segment changed: one in and one out, building, many members, and how often it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from cio_activation.customerio import watching
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.watching import FIRST_WAIT_S, LONGEST_WAIT_S, Look, look
from cio_activation_tests.customerio.conftest import Site

NOW = 1_000_000.0
HAND = "11"


def see(site: Site, before: Mapping[str, Look] | None = None, now: float = NOW) -> dict[str, Look]:
    async def ask() -> dict[str, Look]:
        async with CustomerIO(site.runtime().settings) as client:
            return await look(client, [1, 11], before or {}, now)

    return asyncio.run(ask())


def people(site: Site, number: int) -> list[str]:
    return sorted(site.picture().identifiers)[:number]


def test_one_in_and_one_out_is_news_although_the_count_stands_still(site: Site) -> None:
    a, b, c = people(site, 3)
    site.pick(a, b)
    first = see(site)
    assert see(site, first) == first
    site.drop(b)
    site.pick(c)
    assert see(site, first)[HAND].members != first[HAND].members


def test_a_small_segment_costs_one_call_a_look(site: Site) -> None:
    before = dict(site.calls())
    see(site)
    made = {name: n - before.get(name, 0) for name, n in site.calls().items() if n != before.get(name, 0)}
    assert made == {"GET /v1/segments": 1, "GET /v1/segments/{id}/membership": 2}


def test_a_segment_that_is_being_built_keeps_its_last_look(site: Site) -> None:
    a, b = people(site, 2)
    site.pick(a)
    first = see(site)
    site.edit(action="set_segment_state", segment=11, state="build", progress=10)
    site.pick(b)
    assert see(site, first) == first
    site.edit(action="set_segment_state", segment=11, state="finished")
    assert see(site, first)[HAND].members != first[HAND].members


def test_a_big_segment_is_asked_for_its_count_less_and_less_often(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cio_activation.customerio.client.PAGE", 2)
    monkeypatch.setattr(watching, "PAGE", 2)
    a, b, c, d = people(site, 4)
    site.pick(a, b, c)
    found, now, waits = see(site), NOW, []
    assert (found[HAND].members, found[HAND].big) == ("3", True)
    while len(waits) < 6:
        waits.append(found[HAND].due_at - now)
        assert see(site, found, found[HAND].due_at - 1)[HAND] == found[HAND]
        now = found[HAND].due_at
        found = see(site, found, now)
    assert (waits[0], waits[1], waits[-1]) == (FIRST_WAIT_S, 2 * FIRST_WAIT_S, LONGEST_WAIT_S)
    site.pick(d)
    later = see(site, found, found[HAND].due_at)[HAND]
    assert (later.members, later.wait_s) == ("4", FIRST_WAIT_S)
    site.drop(a, b, c)
    assert not see(site, {HAND: later}, later.due_at)[HAND].big
