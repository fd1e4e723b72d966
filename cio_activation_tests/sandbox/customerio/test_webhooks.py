"""The stand-in's webhooks against a plain HTTP server: signed as documented, repeated, doubled and disordered."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cio_activation.sandbox.customerio.webhooks import SEVEN_DAYS, SIGNING_KEY, Webhooks, wait_until_quiet
from cio_activation.sandbox.server.core import Clock
from cio_activation_tests.drivers.stand_ins.customerio import NOON, running

WHO = {"id": "42", "email": "test@example.com", "cio_id": "d9c106000001"}


@dataclass
class Listener:
    """What arrived, and what is answered: ``answers`` one after the other, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes, int]] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body, _ in self.got]

    def ids(self, *, taken: bool = False) -> list[str]:
        return [json.loads(b)["event_id"] for _, b, status in self.got if status == 200 or not taken]

    def wait(self, requests: int) -> None:
        until = time.monotonic() + 60
        while len(self.got) < requests:
            assert time.monotonic() < until, self.got
            time.sleep(0.01)


@contextmanager
def listening(*answers: int) -> Iterator[Listener]:
    listener = Listener(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = listener.answers.pop(0) if listener.answers else 200
            listener.got.append(({k.lower(): v for k, v in self.headers.items()}, body, status))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    listener.url = f"http://127.0.0.1:{server.server_port}/hook"
    yield listener
    server.shutdown()
    server.server_close()


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.set(NOON)
    return clock


@contextmanager
def connected(clock: Clock, listener: Listener, source: str = "reporting", **faults: Any) -> Iterator[Webhooks]:
    webhooks = Webhooks(clock.now)
    webhooks.connect(source, listener.url)
    webhooks.misbehave(**faults)
    yield webhooks
    webhooks.disconnect()


def passes(clock: Clock, condition: Callable[[], bool], step: float) -> float:
    """Move the vendors' time on in steps until the condition holds; return how far."""
    until, moved = time.monotonic() + 60, 0.0
    while not condition():
        assert time.monotonic() < until
        clock.advance(step)
        moved += step
        time.sleep(0.1)
    return moved


def test_a_reporting_event_is_signed_over_its_time_and_its_raw_body(clock: Clock) -> None:
    with listening() as listener, connected(clock, listener) as webhooks:
        event_id = webhooks.report("email", "clicked", WHO, NOON - 60, href="https://example.com", machine=True)
        wait_until_quiet(webhooks)
    ((headers, body, _),) = listener.got
    stamp = headers["x-cio-timestamp"]
    expected = hmac.new(SIGNING_KEY.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-cio-signature"] == expected
    assert abs(int(stamp) - NOON) < 60
    event = json.loads(body)
    assert (event["object_type"], event["metric"], event["timestamp"]) == ("email", "clicked", NOON - 60)
    assert event["event_id"] == event_id
    assert len(event_id) == 26
    assert event["data"]["identifiers"] == WHO
    assert event["data"]["machine"] is True


def test_event_ids_sort_by_the_time_of_the_event(clock: Clock) -> None:
    webhooks = Webhooks(clock.now)
    ids = [webhooks.report("email", "opened", WHO, NOON + n) for n in range(20)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 20


def test_a_journey_action_keeps_its_key_over_retries_and_has_the_users_body(clock: Clock) -> None:
    with listening(503, 503) as listener, connected(clock, listener, "journey") as webhooks:
        key = webhooks.act({"event": "started_checkout", "cart": 240.5})
        passes(clock, lambda: len(listener.got) == 3, 5)
        wait_until_quiet(webhooks)
    assert {h["x-cio-idempotency-key"] for h, _, _ in listener.got} == {key}
    assert len({h["x-cio-delivery-id"] for h, _, _ in listener.got}) == 1
    assert listener.bodies() == [{"event": "started_checkout", "cart": 240.5}] * 3


def test_later_events_queue_behind_the_failing_one_and_are_all_sent_in_the_end(clock: Clock) -> None:
    with listening(503) as listener, connected(clock, listener) as webhooks:
        ids = [webhooks.report("email", "opened", WHO, NOON + n) for n in range(4)]
        listener.wait(1)
        time.sleep(0.3)
        assert listener.ids() == ids[:1]
        assert webhooks.state()[0]["waiting"] == 4
        assert passes(clock, lambda: len(listener.got) > 1, 20) >= 60
        wait_until_quiet(webhooks)
    assert listener.ids() == [ids[0], *ids]


@pytest.mark.parametrize(("status", "at_least"), [(401, 3_600), (500, 3_600), (503, 60), (408, 60)])
def test_some_answers_cost_an_hour(clock: Clock, status: int, at_least: float) -> None:
    with listening(status) as listener, connected(clock, listener) as webhooks:
        webhooks.report("email", "opened", WHO, NOON)
        listener.wait(1)
        moved = passes(clock, lambda: len(listener.got) > 1, at_least / 4)
        assert at_least <= moved + 30 < 3 * at_least


def test_each_retry_is_signed_anew_or_as_a_fault_is_not(clock: Clock) -> None:
    for resign in (True, False):
        with listening(503) as listener, connected(clock, listener, resign=resign) as webhooks:
            webhooks.report("email", "opened", WHO, NOON)
            passes(clock, lambda: len(listener.got) == 2, 30)
            wait_until_quiet(webhooks)
        first, second = (int(h["x-cio-timestamp"]) for h, _, _ in listener.got)
        assert (second >= first + 30) is resign


def test_after_seven_days_it_gives_up_and_goes_on_with_the_next(clock: Clock) -> None:
    with listening(*[503] * 30) as listener, connected(clock, listener) as webhooks:
        webhooks.report("email", "opened", WHO, NOON)
        moved = passes(clock, lambda: webhooks.state()[0]["given_up"] == 1, 43_200)
        assert moved > SEVEN_DAYS / 4
        listener.answers.clear()
        later = webhooks.report("email", "opened", WHO, NOON)
        wait_until_quiet(webhooks)
        assert listener.ids()[-1] == later


def test_doubled_and_disordered_everything_still_arrives(clock: Clock) -> None:
    with listening() as listener, connected(clock, listener, duplicates=0.4, disorder=0.5) as webhooks:
        ids = [webhooks.report("email", "opened", WHO, NOON + n) for n in range(60)]
        wait_until_quiet(webhooks)
    got = listener.ids()
    assert set(got) == set(ids)
    assert len(got) > 60
    assert list(dict.fromkeys(got)) != ids


def test_people_of_the_world_cause_webhooks(clock: Clock) -> None:
    with running() as rig, listening() as reporting, listening() as journeys:
        rig.edit("connect_webhook", source="reporting", url=reporting.url)
        rig.edit("connect_webhook", source="journey", url=journeys.url, key="another")
        email = next(row["email"] for row in rig.world.at(NOON).facts.to_pylist() if row["email"])
        person = rig.somebody(email=email)
        rig.edit("click", cio_id=person, kind="winback", machine=True)
        rig.edit("fill_cart", cio_id=person, value=240, stage="checkout")
        rig.edit("place_order", cio_id=person, value=99.5, category="tea")
        rig.edit("journey_webhook", body='{"broken": "O"Brien"}')
        wait_until_quiet(rig.vendor.webhooks)
        shown = rig.app.get("/_sandbox/state").json()["customerio"]["webhooks"]
    (click,) = reporting.bodies()
    assert (click["metric"], click["data"]["identifiers"]["cio_id"], click["data"]["machine"]) == (
        "clicked",
        person,
        True,
    )
    assert (click["data"]["identifiers"]["email"], click["data"]["recipient"]) == (email, email)
    cart, order = (json.loads(b) for _, b, _ in journeys.got[:2])
    assert (cart["event"], cart["value"], cart["stage"]) == ("cart_updated", 240, "checkout")
    assert (order["event"], order["category"], order["identifiers"]["cio_id"]) == ("order_placed", "tea", person)
    assert journeys.got[2][1] == b'{"broken": "O"Brien"}'
    assert [(a["source"], a["taken"], a["waiting"]) for a in shown] == [("reporting", 1, 0), ("journey", 3, 0)]


def test_a_source_that_does_not_exist_is_refused(clock: Clock) -> None:
    with pytest.raises(ValueError, match="source must be one of reporting, journey"):
        Webhooks(clock.now).connect("other", "http://127.0.0.1:1")
