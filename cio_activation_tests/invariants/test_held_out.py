"""A held-out person reaches no CRM by the audience: no list, no flag; their entry ends like any other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cio_activation.activation.models import Lane
from cio_activation_tests.drivers import lanes
from cio_activation_tests.invariants.conftest import MakeTown

pytestmark = pytest.mark.slow
DAYS_2 = timedelta(days=2)
TOUCH = "touch: true, holdout: 50%, launch: {baseline: include}, owner: cx@example.com"
HELD_OUT = lanes.ACTIVATION.replace("owner: cx@example.com", TOUCH)


def test_nothing_of_a_held_out_person_is_delivered_and_their_entry_ends_like_any_other(make_town: MakeTown) -> None:
    town = make_town(people=60)
    town.activation = lanes.small_activation(
        town.home, f"{HELD_OUT}limits: {{human_touches_per_person: {{max: 99}}}}\n"
    )
    town.runtime = lanes.build_runtime(town.home, town.sandbox.environment(), town.activation)
    for who in town.people()[:30]:
        town.act("fill_cart", cio_id=who, value=150.0)
    town.wait(timedelta(hours=3))
    town.settle()
    ghosts = dict(town.query("SELECT audience, count(*) FROM audience.memberships WHERE ghost GROUP BY 1"))
    inside = dict(town.query("SELECT audience, count(*) FROM audience.memberships WHERE NOT ghost GROUP BY 1"))
    assert min(ghosts["hot_cart"], inside["hot_cart"]) > 3
    assert ghosts.keys() - {"hot_cart"}, "of the daily lane too"
    assert town.differences() == []
    town.wait(timedelta(hours=49))  # past expires_after
    town.run(Lane.REALTIME)
    ended = "SELECT ghost, count(*) FROM audience.memberships WHERE audience = 'hot_cart' AND exited_at IS NOT NULL GROUP BY 1"
    assert dict(town.query(ended)).keys() == {False, True}
    old = f"audience = 'hot_cart' AND exited_at IS NULL AND entered_at <= TIMESTAMP '{(town.now - DAYS_2):%Y-%m-%d %H:%M}'"
    assert town.query(f"SELECT count(*) FROM audience.memberships WHERE {old}") == [(0,)]
    assert town.differences() == []
