"""The real-time lane's people: only who changed is fetched, nobody is lost, the vanished are noted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from cio_activation.activation.models import Lane
from cio_activation.automation.sensors import fingerprint_segments
from cio_activation.customerio import live
from cio_activation.customerio.answers import Fetched, Identifiers
from cio_activation.customerio.assets import build_assets
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.moments import pull_moments
from cio_activation.customerio.people import pull_people
from cio_activation.journal.attempts import Journal
from cio_activation.lanes.partitions import Lanes
from cio_activation.lanes.runs import FINGERPRINTS_TAG
from cio_activation.transport import time_slice
from cio_activation.transport.time_slice import TimeSlice
from cio_activation_tests.drivers.builders import FAST, START, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.receiver import encoded
from cio_activation_tests.drivers.tables import noted, query

RT = Lane.REALTIME
SEGMENTS_LIVE = dg.AssetKey(["customerio", "segments_live"])
BATCH, ONE = "POST /v1/customers/attributes", "GET /v1/customers/{id}/attributes"


def people(site: CustomerioBench, *, with_id: bool = True) -> list[str]:
    rows = site.picture().identifiers
    return sorted(c for c, row in rows.items() if bool(row[1]) is with_id)


def test_only_who_entered_or_left_is_fetched(site: CustomerioBench) -> None:
    run, (a, b, c, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a, b)
    pull_people(run, window(1), poll=FAST)
    first = pull_live(run, window(2, RT))
    assert (first.rows, first.entered, first.left, first.changed) == (2, 2, 0, 0)
    quiet = pull_live(run, window(2, RT))
    assert (quiet.rows, quiet.entered, quiet.left) == (0, 0, 0)
    site.edit(action="set_attribute", cio_id=b, name="cart_value", value="777")
    site.drop(b)
    site.pick(c)
    site.clear_log()
    third = pull_live(run, window(3, RT))
    assert (third.rows, third.entered, third.left, third.changed) == (2, 1, 1, 1)
    assert site.calls()[BATCH] == 1
    assert ONE not in site.calls()
    rows = query(run, f"SELECT cart_value, changed_at FROM raw.people_current WHERE cio_id = '{b}'")
    assert rows == [(777.0, window(3).as_of)]


def test_both_lanes_read_a_person_the_same(site: CustomerioBench) -> None:
    everyone = people(site) + people(site, with_id=False)
    site.pick(*everyone)
    run = site.runtime(rt=(11,))
    pull_live(run, window(1, RT))
    live = query(run, "SELECT cio_id, content_hash FROM raw.people_live ORDER BY 1")
    assert [c for c, _ in live] == sorted(everyone)
    pull_people(run, window(1), poll=FAST)
    assert query(run, "SELECT cio_id, content_hash FROM raw.people ORDER BY 1") == live
    assert query(run, "SELECT count(*) FROM raw.people_live") == [(0,)], "the snapshot is younger"


def test_people_without_an_external_id_are_not_lost(site: CustomerioBench) -> None:
    only_email = people(site, with_id=False)
    assert only_email
    site.pick(*only_email)
    run = site.runtime(rt=(11,))
    assert pull_live(run, window(1, RT)).rows == len(only_email)
    assert site.calls()[BATCH] == -(-len(only_email) // 100)
    assert ONE not in site.calls()
    assert query(run, "SELECT count(email) FROM raw.people_live") == [(len(only_email),)]


def test_many_people_go_100_a_call(site: CustomerioBench) -> None:
    chosen = people(site)
    site.pick(*chosen)
    pull_live(site.runtime(rt=(11,)), window(1, RT))
    assert site.calls()[BATCH] == -(-len(chosen) // 100)


def test_a_person_customerio_no_longer_knows_is_gone(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (a, b, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a, b)
    pull_live(run, window(1, RT))

    added = str(site.edit(action="add_person", id="short-lived", email="short@example.com")["cio_id"])
    site.pick(added)
    pull_live(run, window(2, RT))
    assert query(run, f"SELECT count(*) FROM raw.people_current WHERE cio_id = '{added}'") == [(1,)]
    site.edit(action="delete_person", cio_id=added)
    result = pull_live(run, window(3, RT))
    assert (result.left, result.gone, result.rows) == (1, 1, 0)
    assert query(run, f"SELECT count(*) FROM raw.people_current WHERE cio_id = '{added}'") == [(0,)]
    assert query(run, "SELECT cio_id FROM raw.people_gone") == [(added,)]
    assert pull_live(run, window(3, RT)).gone == 0


def test_a_member_who_is_gone_is_not_asked_for_by_each_run(site: CustomerioBench) -> None:
    """While Customer.io builds a segment its last snapshot stands, also of who was deleted since."""
    run = site.runtime(rt=(11,))
    added = str(site.edit(action="add_person", id="short-lived", email="short@example.com")["cio_id"])
    site.pick(added)
    pull_live(run, window(1, RT))
    site.edit(action="delete_person", cio_id=added)
    site.edit(action="set_segment_state", segment=11, state="build", progress=10)
    assert pull_live(run, window(2, RT), also=[added]).gone == 1
    site.clear_log()
    found = pull_live(run, window(2, RT))
    assert (found.members, found.gone, found.rows) == (1, 0, 0)
    assert not {BATCH, ONE} & set(site.calls())


def test_a_run_that_dies_before_landing_loses_nobody(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    run, (a, b, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a, b)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CustomerIO, "attributes_of", die)
        with pytest.raises(KeyboardInterrupt):
            pull_live(run, window(1, RT))
    assert query(run, "SELECT count(*) FROM raw.people_live") == [(0,)]
    result = pull_live(run, window(2, RT))
    assert (result.entered, result.rows) == (0, 2)


def test_more_than_a_run_may_fetch_waits_for_the_next(site: CustomerioBench) -> None:
    run, chosen = site.runtime(rt=(11,)), people(site)[:5]
    site.pick(*chosen)
    first = pull_live(run, window(1, RT), limit=3)
    second = pull_live(run, window(1, RT), limit=3)
    third = pull_live(run, window(1, RT), limit=3)
    assert [(p.rows, p.waiting) for p in (first, second, third)] == [(3, 2), (2, 0), (0, 0)]
    assert query(run, "SELECT count(*) FROM raw.people_live") == [(5,)]


def test_who_changed_last_is_fetched_first_and_without_patience_the_others_wait(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ATTRIBUTES_PER_CALL", 2)
    run, chosen = site.runtime(rt=(11,)), people(site)
    crowd, late = chosen[:40], chosen[-1]
    assert late not in crowd
    site.pick(*crowd)
    start = datetime(2026, 11, 2)
    hurried = TimeSlice(lambda: True, most_s=0.0)
    first = pull_live(run, window(1, RT), clock=lambda: start, time_slice=hurried)
    assert 0 < first.rows < len(crowd)
    assert (first.rows + first.waiting, first.defers) == (len(crowd), True)
    site.pick(late)
    pull_live(run, window(1, RT), clock=lambda: start + timedelta(minutes=1), time_slice=hurried)
    assert query(run, f"SELECT count(*) FROM raw.people_live WHERE cio_id = '{late}'") == [(1,)]
    rest = pull_live(run, window(1, RT), clock=lambda: start + timedelta(minutes=2))
    assert (rest.waiting, rest.stale, rest.defers) == (0, 0, False)
    assert query(run, "SELECT count(*) FROM raw.people_live") == [(len(crowd) + 1,)]


def test_beside_news_a_few_members_are_looked_at_again_and_all_of_them_when_there_is_none(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALE_BESIDE_NEWS", 2)
    run, chosen = site.runtime(rt=(11,)), people(site)[:7]
    start = datetime(2026, 11, 2)
    site.pick(*chosen[:6])
    pull_live(run, window(1, RT), clock=lambda: start)
    site.pick(chosen[6])
    hour, later = timedelta(hours=1), start + timedelta(hours=2)
    beside = pull_live(run, window(1, RT), clock=lambda: later, older_than=hour)
    assert (beside.entered, beside.rows, beside.stale, beside.waiting) == (1, 3, 4, 0)
    assert beside.defers, "the others are the next run's"
    alone = pull_live(run, window(1, RT), clock=lambda: later, older_than=hour)
    assert (alone.rows, alone.stale, alone.defers) == (4, 0, False)


def test_a_stream_of_news_looks_at_the_members_every_half_minute_only(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is told of all the time, so that the lane goes on when the stream ends."""
    monkeypatch.setattr(live, "STALE_BESIDE_NEWS", 2)
    run, chosen = site.runtime(rt=(11,)), people(site)[:10]
    start, hour = datetime(2026, 11, 2), timedelta(hours=1)
    site.pick(*chosen[:6])
    pull_live(run, window(1, RT), clock=lambda: start)

    def with_news(number: int, seconds: int) -> tuple[int, int, bool]:
        site.pick(chosen[6 + number])
        at = start + timedelta(hours=2, seconds=seconds)
        found = pull_live(run, window(1, RT), clock=lambda: at, older_than=hour)
        assert (found.entered, found.waiting) == (1, 0)
        return found.rows, found.stale, found.defers

    assert with_news(0, 0) == (3, 4, True)
    assert with_news(1, 10) == (1, 4, True)
    assert with_news(2, 29) == (1, 4, True)
    assert with_news(3, 31) == (3, 2, True)
    at = start + timedelta(hours=2, seconds=32)
    rest = pull_live(run, window(1, RT), clock=lambda: at, older_than=hour)
    assert (rest.rows, rest.stale, rest.defers) == (2, 0, False)
    observed = "SELECT min(observed_at) >= TIMESTAMP '2026-11-02 02:00:00' FROM raw.people_current JOIN "
    assert query(run, observed + "raw.memberships USING (cio_id) WHERE lane = 'realtime'") == [(True,)]


def test_named_people_and_stale_members_are_fetched_on_request(site: CustomerioBench) -> None:
    run, (a, b, c, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a, b)
    start = datetime(2026, 11, 2)
    pull_people(run, window(1), poll=FAST, clock=lambda: start)
    pull_live(run, window(2, RT), clock=lambda: start + timedelta(minutes=1))
    named = pull_live(run, window(2, RT), also=[c], clock=lambda: start + timedelta(minutes=2))
    assert named.rows == 1
    later = start + timedelta(minutes=40)
    assert pull_live(run, window(2, RT), older_than=timedelta(hours=1), clock=lambda: later).rows == 0
    assert pull_live(run, window(2, RT), older_than=timedelta(minutes=30), clock=lambda: later).rows == 2
    latest = later + timedelta(seconds=1)
    assert pull_live(run, window(2, RT), older_than=timedelta(0), clock=lambda: latest).rows == 2


def test_a_younger_snapshot_is_not_overwritten(site: CustomerioBench) -> None:
    run, (a, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a)
    seen = datetime(2026, 11, 2)
    pull_people(run, window(1), poll=FAST, clock=lambda: seen)
    assert pull_live(run, window(2, RT), clock=lambda: seen - timedelta(minutes=1)).rows == 0
    assert query(run, "SELECT count(*) FROM raw.people_live") == [(0,)]


def test_an_old_window_asks_nothing(site: CustomerioBench) -> None:
    run = site.runtime(rt=(11,))
    pull_live(run, window(2, RT))
    site.clear_log()
    assert pull_live(run, window(1, RT)).superseded
    assert site.calls() == {}


def test_region_and_encoding(site: CustomerioBench) -> None:
    import asyncio

    async def ask() -> object:
        async with CustomerIO(site.runtime().settings) as client:
            return await client.region()

    assert "us" in str(asyncio.run(ask()))


def test_whom_a_webhook_was_about_is_fetched_though_no_segment_changed(site: CustomerioBench) -> None:
    run, (a, b, *_) = site.runtime(rt=(11,)), people(site)
    site.pick(a)
    pull_people(run, window(1), poll=FAST)
    pull_live(run, window(2, RT))
    site.edit(action="set_attribute", cio_id=b, name="cart_value", value="240")
    inbox = Inbox(Journal(run.settings.journal))
    inbox.add([Event(Source.JOURNEY, "k1", "cart_updated", encoded({"cio_id": b}), START.timestamp())])
    assert pull_moments(run, window(2, RT)).people == 1
    fetched = pull_live(run, window(2, RT))
    assert (fetched.rows, fetched.changed, fetched.entered) == (1, 1, 0)
    assert query(run, f"SELECT cart_value FROM raw.people_current WHERE cio_id = '{b}'") == [(240.0,)]
    assert pull_live(run, window(2, RT)).rows == 0


def test_whom_a_webhook_was_about_goes_before_a_crowd_and_the_crowd_is_given_a_moment_only(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "ATTRIBUTES_PER_CALL", 2)
    monkeypatch.setattr(live, "AT_ONCE", 1)
    monkeypatch.setattr(time_slice, "BRIEF_S", 0.0)
    run, chosen = site.runtime(rt=(11,)), people(site)
    crowd, told = chosen[:40], chosen[-1]
    assert told not in crowd
    pull_live(run, window(1, RT), clock=lambda: datetime(2026, 11, 1))
    inbox = Inbox(Journal(run.settings.journal))
    inbox.add([Event(Source.JOURNEY, "k1", "cart_updated", encoded({"cio_id": told}), START.timestamp())])
    pull_moments(run, window(1, RT))
    site.pick(*crowd)  # noted after the moment
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)
    pulled = pull_live(run, window(1, RT), clock=lambda: later, time_slice=TimeSlice(lambda: False))
    assert (pulled.rows, pulled.waiting, pulled.defers) == (4, len(crowd) - 3, True)
    assert query(run, f"SELECT count(*) FROM raw.people_live WHERE cio_id = '{told}'") == [(1,)]
    rest = pull_live(run, window(1, RT), clock=lambda: later, time_slice=TimeSlice(lambda: False))
    assert (rest.rows, rest.waiting) == (len(crowd) - 3, 0)


def test_the_asset_says_by_the_runs_tag_what_it_took_and_keeps_long_sessions_waiting_while_it_calls(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**site.stand_in.running.environment(), "ACTIVATION_HOME": str(site.home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("cio_activation.warehouse.lock.QUIET_S", 0.2)
    run = site.runtime(rt=(11,))
    site.pick(*people(site)[:3])
    activation, stamp = run.activation, Path(f"{run.warehouse.path}.urgent")
    ages: list[float] = []
    attributes_of = CustomerIO.attributes_of

    async def slow(client: CustomerIO, asked: Sequence[Identifiers]) -> Fetched:
        await asyncio.sleep(1.0)
        ages.append(time.time() - stamp.stat().st_mtime)
        return await attributes_of(client, asked)

    monkeypatch.setattr(CustomerIO, "attributes_of", slow)
    built = build_assets(activation, Lanes.of(activation))
    live_asset = [a for a in built if isinstance(a, dg.AssetsDefinition) and SEGMENTS_LIVE in a.keys]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(live_asset, instance=instance, partition_key="2026-11-01T00:00")
        finished = instance.get_run_by_id(result.run_id)
    assert finished is not None
    looks = {s: told.members for s, told in fingerprint_segments(run, [11], {}, 0.0).items()}
    assert json.loads(finished.tags[FINGERPRINTS_TAG]) == looks
    assert ages
    assert max(ages) < 0.8, "stamped while the call went on"


def test_who_moved_is_noted_for_the_audiences(site: CustomerioBench) -> None:
    run, (a, b, c, *_) = site.runtime(rt=(11,)), people(site)

    def moved(about: str) -> set[str | None]:
        with run.warehouse.write() as con:
            return noted(con, about)

    site.pick(a, b)
    pull_people(run, window(1), poll=FAST)
    assert moved("raw.people_current") == {None}
    pull_live(run, window(2, RT))
    assert moved("raw.memberships/realtime") == {a, b}
    site.drop(b)
    site.edit(action="set_attribute", cio_id=c, name="cart_value", value="778")
    pull_live(run, window(2, RT), also=[c])
    assert moved("raw.people_current") == {c}, "who was fetched and is as before moves nobody"
    assert pull_live(run, window(2, RT), also=["nobody"]).gone == 1
    assert moved("raw.people_current") == {"nobody"}


def test_half_a_character_in_an_answer_does_not_stop_the_lane(site: CustomerioBench) -> None:
    run = site.runtime(rt=(11,))
    who = str(site.picture().facts.column("cio_id")[0].as_py())
    site.pick(who)
    answer = {"cio_id": who, "last_category": "Tea \ud83d", "cart_value": "12.5"}
    body = {"customers": [{"customer": {"identifiers": {"cio_id": who}, "attributes": answer}}]}
    site.fault(kind="status", path="/v1/customers/attributes", status=200, body=body)
    assert pull_live(run, window(1, Lane.REALTIME)).rows == 1
    found = query(
        run, "SELECT last_category, cart_value FROM raw.people_current WHERE cio_id = ?".replace("?", f"'{who}'")
    )
    assert found == [("Tea \N{REPLACEMENT CHARACTER}", 12.5)]


def test_typed_json_is_read_as_the_text_of_the_export(site: CustomerioBench) -> None:
    run = site.runtime(rt=(11,))
    who = str(site.picture().facts.column("cio_id")[0].as_py())
    sent = {
        "created_at": "1577836800", "last_order_at": "1577836800.5", "orders_count": "12", "cart_value": "99.50",
        "last_category": "10", "unsubscribed": "true",
    }  # fmt: skip
    for name, value in sent.items():
        site.edit("set_attribute", cio_id=who, name=name, value=value)
    site.pick(who)
    pull_people(run, window(1), poll=FAST)
    assert pull_live(run, window(1, Lane.REALTIME), older_than=timedelta(0)).rows == 1
    rows = "SELECT * EXCLUDE (changed_at, observed_at, received_hash) FROM raw.{} WHERE cio_id = '" + who + "'"
    assert query(run, rows.format("people_live")) == query(run, rows.format("people"))
    assert query(run, f"SELECT last_category, unsubscribed FROM raw.people WHERE cio_id = '{who}'") == [("10", True)]
