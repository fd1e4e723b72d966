"""Moments: landed once each whatever the order, dated by themselves, machines and nonsense apart."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.activation.models import Lane
from cio_activation.activation.windows import Window
from cio_activation.customerio import moments
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.customerio.moments import land_moments, latest_sql
from cio_activation.customerio.webhook import Seal, event_of
from cio_activation.journal.attempts import Journal
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sql import timestamp
from cio_activation_tests.drivers.builders import START, activation, runtime, window
from cio_activation_tests.drivers.landing import landed
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.forms import form

RT = Lane.REALTIME
NOON = START.timestamp() + 43_200


class Bench:
    """A warehouse and an inbox."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.run: Runtime = runtime(home, activation(destinations={}))
        self.inbox = Inbox(Journal(self.run.settings.journal))

    def arrive(self, *events: Event) -> None:
        self.inbox.add(events)

    def land(self, when: Window | None = None) -> moments.MomentsPull:
        return land_moments(self.run, when or window(1, RT), self.inbox)

    def rows(self, columns: str, where: str = "true") -> list[Any]:
        return query(self.run, f"SELECT {columns} FROM raw.moments WHERE {where} ORDER BY ALL")

    def latest(self, as_of: datetime) -> list[Any]:
        return query(
            self.run,
            f"FROM ({latest_sql(timestamp(as_of.replace(tzinfo=None)), self.run.activation.workspace)}) ORDER BY ALL",
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def reporting(n: int, at: float = NOON, metric: str = "clicked", received: float | None = None, **data: Any) -> Event:
    who = {"id": f"ext-{n % 5}", "email": f"P{n % 5}@Example.com", "cio_id": f"c{n % 5}"}
    body = {"event_id": f"01E{n:023}", "object_type": "email", "metric": metric, "timestamp": int(at)}
    raw = json.dumps(body | {"data": {"identifiers": who, "delivery_id": f"d{n}", **data}}).encode()
    return event_of(Source.REPORTING, {}, raw, Seal(at, None, False), at + 2 if received is None else received)


def journey(key: str, body: Any, at: float = NOON) -> Event:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return event_of(
        Source.JOURNEY, {b"x-cio-idempotency-key": key.encode()}, raw, Seal(at, f"{key:0>64}", False), at + 2
    )


def utc(seconds: float) -> datetime:
    return datetime(1970, 1, 1) + timedelta(seconds=seconds)


def test_a_moment_is_dated_and_named_by_its_event(bench: Bench) -> None:
    bench.arrive(reporting(1, at=NOON - 6 * 86_400, received=NOON))
    assert bench.land().rows == 1
    (row,) = bench.rows(
        "source, event_id, kind, cio_id, external_id, email, occurred_at, received_at, machine, problem"
    )
    assert row == (
        "reporting", "01E00000000000000000000001", "email_clicked", "c1", "ext-1", "p1@example.com",
        utc(NOON - 6 * 86_400), utc(NOON), False, None,
    )  # fmt: skip
    assert bench.inbox.new() == []
    assert bench.land().rows == 0


def test_a_journeys_body_names_its_person_and_time_in_several_ways(bench: Bench) -> None:
    bench.arrive(
        journey("k1", {"event": "cart_updated", "cio_id": "c1", "timestamp": NOON}),
        journey(
            "k2", {"event": "cart_updated", "identifiers": {"cio_id": "c2"}, "occurred_at": "2026-11-01T12:00:00Z"}
        ),
        journey("k3", {"event": "cart_updated", "identifiers": {"id": "ext-3"}}),  # dated by its first try
        journey("k4", {"event": "cart_updated", "cio_id": "c4", "timestamp": "2026-11-01T07:00:00-05:00"}),
    )
    bench.land()
    assert bench.rows("event_id, cio_id, external_id, occurred_at, problem") == [
        ("k1", "c1", None, utc(NOON), None),
        ("k2", "c2", None, utc(NOON), None),
        ("k3", None, "ext-3", utc(NOON), None),
        ("k4", "c4", None, utc(NOON), None),
    ]


@pytest.mark.parametrize(
    ("body", "person"),
    [
        ({"data": {"identifiers": {"cio_id": "c"}}, "cio_id": "x"}, ("c", None, None)),
        ({"customer": {"cio_id": "c", "id": "i", "email": "E@x.io"}}, ("c", "i", "e@x.io")),
        ({"customer": {"id": 42}}, (None, "42", None)),
        ({"identifiers": {"cio_id": "", "id": "", "email": " E@x.io\n"}}, (None, None, "e@x.io")),
        ({"id": "i"}, (None, "i", None)),
        ({"id": "order-7", "email": "e@x.io"}, (None, None, "e@x.io")),  # the event's own id
        ({"id": "order-7", "customer": {"id": "Aa"}}, (None, "Aa", None)),
        ({"email": "no address", "id": "i"}, (None, "i", None)),
        ({"email": {"home": "e@x.io"}, "id": ["i"], "cio_id": "c"}, ("c", None, None)),
        ({"identifiers": {"id": "i" * 151, "email": "e@x.io"}}, (None, None, "e@x.io")),
    ],
)
def test_where_in_a_body_the_person_is_read(bench: Bench, body: Any, person: tuple[str | None, ...]) -> None:
    bench.arrive(journey("k", body))
    bench.land()
    assert bench.rows("cio_id, external_id, email, problem") == [(*person, None)]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"name": "O"Brien"}', "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"", "no JSON object"),
        ([1], "no JSON object"),
        ({"event": "x"}, "names nobody"),
        ({"cio_id": "  "}, "names nobody"),
        ({"email": "none", "identifiers": {"id": {}}}, "names nobody"),
        ({"cio_id": "c1", "timestamp": "yesterday"}, "unparsable timestamp"),
        ({"cio_id": "c1", "timestamp": NOON + 40 * 86_400}, "time in the future"),
    ],
)
def test_what_cannot_be_used_is_in_quarantine_with_its_text_and_never_counts(
    bench: Bench, body: Any, problem: str
) -> None:
    bench.arrive(journey("bad", body), journey("good", {"cio_id": "c1", "timestamp": NOON}))
    pulled = bench.land()
    assert pulled.quarantined == {problem: 1}
    assert pulled.rows == 2
    text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else json.dumps(body)
    found = query(bench.run, "SELECT layer, window_key, reason, row FROM quarantine.rows")
    assert found == [("moments", window(1, RT).key, problem, text)]
    assert [r[3] for r in bench.latest(START + timedelta(days=60))] == ["good"]


def test_a_machines_click_is_landed_and_is_nobodys(bench: Bench) -> None:
    bench.arrive(reporting(1, machine=True), reporting(2, metric="opened", prefetched=True), reporting(3))
    pulled = bench.land()
    assert (pulled.rows, pulled.machine, pulled.people) == (3, 2, 1)
    assert [r[0] for r in bench.latest(START + timedelta(days=2))] == ["c3"]


def test_who_did_something_is_noted_to_be_fetched_and_who_was_only_sent_something_is_not(bench: Bench) -> None:
    bench.arrive(reporting(1), reporting(2, metric="sent"), reporting(6), journey("k", {"cio_id": "c3"}))
    assert bench.land().people == 2
    noted = query(bench.run, "SELECT cio_id, external_id, change FROM raw.membership_changes ORDER BY 1")
    assert noted == [("c1", "ext-1", "moment"), ("c3", None, "moment")]


def test_a_run_killed_before_the_inbox_was_told_lands_nothing_twice(bench: Bench) -> None:
    bench.arrive(*(reporting(n) for n in range(5)), journey("bad", b"{"))
    told = bench.inbox.landed
    bench.inbox.landed = lambda numbers: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        bench.land()
    bench.inbox.landed = told  # type: ignore[method-assign]
    again = bench.land(window(2, RT))
    assert (again.rows, again.repeated, again.people) == (0, 6, 0)
    assert bench.rows("count(*), count(DISTINCT event_id)") == [(6, 6)]
    assert query(bench.run, "SELECT count(*) FROM quarantine.rows") == [(1,)]
    assert bench.inbox.new() == []


def test_more_than_one_run_takes_is_left_for_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "EVENTS_PER_STEP", 3)
    monkeypatch.setattr(moments, "EVENTS_PER_RUN", 7)
    bench.arrive(*(reporting(n) for n in range(12)))
    first = bench.land()
    assert (first.rows, first.waiting) == (7, 5)
    second = bench.land()
    assert (second.rows, second.waiting) == (5, 0)


def test_the_newest_moment_is_by_its_own_time_and_at_an_as_of(bench: Bench) -> None:
    bench.arrive(reporting(1, at=NOON), reporting(6, at=NOON - 60), reporting(11, at=NOON + 86_400))
    bench.land()
    day = bench.latest(datetime(2026, 11, 2))
    assert [(r[0], r[3], r[6]) for r in day] == [("c1", reporting(1).event_id, 2)]
    late = reporting(16, at=NOON + 60, received=NOON + 7 * 86_400)  # a retry a week later
    bench.arrive(late)
    bench.land(window(8, RT))
    assert [(r[3], r[6]) for r in bench.latest(datetime(2026, 11, 2))] == [(late.event_id, 3)]
    assert [(r[3], r[6]) for r in bench.latest(datetime(2026, 11, 9))] == [(reporting(11).event_id, 4)]


PEOPLE = [{"cio_id": f"c{n}", "id": f"ext-{n}", "email": f"p{n}@Example.com"} for n in range(5)]
PEOPLE += [{"cio_id": "t1", "id": "EXT-1", "email": "Two@example.com"}, {"cio_id": "t2", "email": "two@example.com"}]
NAMES: list[dict[str, Any]] = [
    *({"id": f"ext-{n}"} for n in range(5)),
    *({"email": f" P{n}@example.COM"} for n in range(5)),
    {"id": "EXT-1"},
    {"id": "Ext-1"},  # nobody: ids compare as they are written
    {"id": "stranger", "email": "p1@example.com"},
    {"email": "two@example.com"},
    {"email": "stranger@example.com"},
]


def test_a_name_leads_to_the_one_person_who_bears_it(bench: Bench) -> None:
    odd = [{"cio_id": "b1", "email": " Blank@Example.com\t"}, {"cio_id": "b2", "email": " "}, {"cio_id": "b3"}]
    landed(bench.run, window(1), [*PEOPLE, *odd])
    named = {
        "1": ({"id": "ext-1"}, ("c1", "id", None)),
        "2": ({"id": "EXT-1"}, ("t1", "id", None)),
        "3": ({"id": "Ext-1"}, (None, None, None)),
        "4": ({"id": "stranger", "email": "p1@example.com"}, (None, None, None)),
        "5": ({"email": "P1@EXAMPLE.com"}, ("c1", "email", None)),
        "6": ({"email": "TWO@example.com"}, (None, None, "several people with this e-mail")),
        "7": ({"email": "blank@example.com"}, ("b1", "email", None)),
        "8": ({"cio_id": "unheard-of", "email": "p1@example.com"}, ("unheard-of", "cio_id", None)),
    }
    bench.arrive(*(journey(key, {"identifiers": who}) for key, (who, _) in named.items()))
    pulled = bench.land()
    assert bench.rows("event_id, cio_id, named_by, problem") == [(key, *found) for key, (_, found) in named.items()]
    assert (pulled.named, pulled.unnamed, pulled.people) == ({"id": 2, "email": 2}, 2, 4)
    assert [r[0] for r in bench.latest(START + timedelta(days=2))] == ["b1", "c1", "t1", "unheard-of"]


def a_day(draw: random.Random, size: int) -> list[Event]:
    """Return a day of events in the order they happened, several in the same second, some without a ``cio_id``."""
    found: list[Event] = []
    at = START.timestamp()
    for n in range(size):
        at += draw.choice([0, 0, 1, 400])
        metric = draw.choice(["clicked", "opened", "sent", "unsubscribed"])
        found.append(reporting(n, at=at, metric=metric, machine=draw.random() < 0.2))
        if n % 3 == 0:
            found.append(journey(f"j{n:04}", {"identifiers": draw.choice(NAMES), "timestamp": at}, at))
    return found


@settings(max_examples=form(6, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), batches=st.integers(1, 6), people_at=st.integers(0, 6))
def test_a_day_in_any_order_with_duplicates_gives_the_same_final_state(
    tmp_path_factory: pytest.TempPathFactory, seed: int, batches: int, people_at: int
) -> None:
    draw = random.Random(seed)
    day = a_day(draw, 80)
    in_order = Bench(tmp_path_factory.mktemp("in-order"))
    landed(in_order.run, window(1), PEOPLE)
    in_order.arrive(*day)
    in_order.land()

    shuffled = Bench(tmp_path_factory.mktemp("shuffled"))
    late = [Event(**(e.__dict__ | {"received_at": e.received_at + draw.random() * 7 * 86_400})) for e in day]
    mixed = [*late, *draw.sample(day, 30)]
    draw.shuffle(mixed)
    for number in range(batches):
        if number == people_at:  # else only after the last batch: who did something may be known before or after
            landed(shuffled.run, window(1), PEOPLE)
        shuffled.arrive(*mixed[number::batches])
        shuffled.land(window(1 + number, RT))  # some land in windows long after they happened
    if people_at >= batches:
        landed(shuffled.run, window(1), PEOPLE)
    shuffled.arrive(*draw.sample(day, 40))  # and once more after everything was landed
    shuffled.land(window(9, RT))

    facts = "source, event_id, kind, cio_id, named_by, external_id, email, occurred_at, machine, problem, body"
    assert shuffled.rows(facts) == in_order.rows(facts)
    for hours in (0, 1, 3, 12, 24):
        as_of = START + timedelta(hours=hours)
        assert shuffled.latest(as_of) == in_order.latest(as_of)
    noted = "SELECT cio_id, max(external_id) FROM raw.membership_changes GROUP BY cio_id ORDER BY ALL"
    assert query(shuffled.run, noted) == query(in_order.run, noted)
    reasons = "SELECT cio_id, \"column\", reason, detail, row FROM quarantine.rows WHERE layer = 'moments' ORDER BY ALL"
    assert query(shuffled.run, reasons) == query(in_order.run, reasons)


@pytest.mark.parametrize(
    "body",
    [
        {"identifiers": {"cio_id": "cio_a1b2"}},
        {"identifiers": {"id": "cio_a1b2"}},
        {"customer": {"id": "cio_a1b2"}},
        {"data": {"identifiers": {"cio_id": "cio_a1b2", "id": "C7", "email": "a@example.com"}}},
        {"id": "cio_a1b2"},
    ],
)
def test_an_id_with_customerio_s_prefix_is_the_person_it_names(bench: Bench, body: dict[str, Any]) -> None:
    bench.arrive(journey("k", {"event": "cart_updated", **body}))
    bench.land()
    assert bench.rows("cio_id, named_by, problem") == [("a1b2", "cio_id", None)]


def test_other_ids_that_begin_alike_stay_as_they_are(bench: Bench) -> None:
    for number, given_id in enumerate(("cio_", "cio_a b", "cios1", "CIO_x1")):
        bench.arrive(journey(f"k{number}", {"identifiers": {"id": given_id}}))
    bench.land()
    assert [c for (c,) in bench.rows("external_id", "cio_id IS NULL")] == ["CIO_x1", "cio_", "cio_a b", "cios1"]
