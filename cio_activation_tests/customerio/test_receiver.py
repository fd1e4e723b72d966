"""The receiver: what is signed is stored, once, before it is answered; everything else is refused."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cio_activation.customerio import receiver as receiver_module
from cio_activation.customerio.inbox import DAY_S, REPLAY_WINDOW_S, SKEW_S, Inbox, Source
from cio_activation.customerio.receiver_metrics import Metrics
from cio_activation_tests.drivers.receiver import (
    KEY,
    LIMIT,
    PREVIOUS,
    TOKEN,
    ReceiverThread,
    clicked,
    encoded,
    receiving,
    signed,
)


@pytest.fixture
def rig(journal_url: str) -> Iterator[ReceiverThread]:
    with receiving(journal_url) as running:
        yield running


def test_a_signed_event_is_stored_as_it_was_signed(rig: ReceiverThread) -> None:
    body = encoded(clicked(1)).replace(b": ", b" :  ")  # not the bytes a parser would write again
    assert rig.post(body).status_code == 200
    (event,) = rig.stored()
    assert (event.source, event.event_id, event.kind) == (
        Source.REPORTING,
        "01E4C4CT6YDC7Y000000000001",
        "email_clicked",
    )
    assert (event.body, event.delivery_id) == (body, "RPIL000000000000000000000001")
    assert event.signed_at is not None
    assert event.signed_at <= event.received_at


def test_a_repetition_is_answered_200_and_stored_once(rig: ReceiverThread) -> None:
    body = encoded(clicked(1))
    first = signed(body)
    assert rig.post(body, first).status_code == 200
    assert rig.post(body, first).status_code == 200
    assert rig.post(body, signed(body, at=time.time() + 60)).status_code == 200  # signed anew
    assert len(rig.stored()) == 1
    assert rig.metrics()["cio_receiver_known_total"] == 2


def test_a_repetition_after_the_event_was_landed_is_not_stored_again(rig: ReceiverThread) -> None:
    body = encoded(clicked(1))
    rig.post(body)
    inbox = Inbox(rig.journal)
    inbox.landed([w.number for w in inbox.new()])
    assert rig.post(body).status_code == 200
    assert rig.stored() == []


@pytest.mark.parametrize("age_days", [0.0, 1.0, 7.0, 14.0])
def test_an_honest_retry_is_stored_even_if_it_is_not_signed_anew(rig: ReceiverThread, age_days: float) -> None:
    body = encoded(clicked(1))
    assert rig.post(body, signed(body, at=time.time() - age_days * DAY_S)).status_code == 200
    assert len(rig.stored()) == 1


def test_a_clock_of_ours_that_is_behind_costs_nothing(rig: ReceiverThread) -> None:
    body = encoded(clicked(1))
    assert rig.post(body, signed(body, at=time.time() + SKEW_S - 60)).status_code == 200


@pytest.mark.parametrize(("shift", "reason"), [(-REPLAY_WINDOW_S - 60, "too_old"), (SKEW_S + 60, "from_the_future")])
def test_a_signature_whose_repetitions_could_not_be_known_is_refused(
    rig: ReceiverThread, shift: float, reason: str
) -> None:
    body = encoded(clicked(1))
    answer = rig.post(body, signed(body, at=time.time() + shift))
    assert (answer.status_code, answer.json()["reason"]) == (403, reason)
    assert rig.stored() == []


def test_the_previous_key_is_good_and_counted_and_any_other_is_not(rig: ReceiverThread) -> None:
    old, wrong = encoded(clicked(1)), encoded(clicked(2))
    assert rig.post(old, signed(old, PREVIOUS)).status_code == 200
    assert rig.post(wrong, signed(wrong, "another")).status_code == 401
    assert [e.event_id for e in rig.stored()] == ["01E4C4CT6YDC7Y000000000001"]
    assert rig.metrics()["cio_receiver_previous_key_total"] == 1


@pytest.mark.parametrize("missing", ["X-CIO-Timestamp", "X-CIO-Signature"])
def test_without_a_signature_nothing_is_stored(rig: ReceiverThread, missing: str) -> None:
    body = encoded(clicked(1))
    headers = signed(body)
    del headers[missing]
    assert rig.post(body, headers).status_code == 401
    assert rig.stored() == []


def test_a_header_that_is_there_twice_is_refused(rig: ReceiverThread) -> None:
    body = encoded(clicked(1))
    twice = [*signed(body).items(), ("X-CIO-Timestamp", "1")]
    assert rig.client.post("/webhooks/reporting", content=body, headers=twice).status_code == 400
    assert rig.stored() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (encoded({"event_id": "01E", "object_type": "hologram", "metric": "waved"}), "hologram_waved"),
        (encoded({"event_id": "01E"}), "unknown"),
        (encoded({"hello": "world"}), "unknown"),
        (encoded([1, 2]), "unreadable"),
        (b'{"event_id": "01E", "name": "O"Brien"}', "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"", "unreadable"),
        (encoded({"event_id": "nul \x00 in it", "object_type": "a\x00", "metric": "b"}), "unknown"),
        (encoded({"event_id": "x" * 2_000, "object_type": "email", "metric": "sent"}), "email_sent"),
        (encoded({"event_id": 7, "object_type": None, "metric": ["x"], "data": 3}), "unknown"),
    ],
)
def test_what_is_signed_is_stored_whatever_it_is(rig: ReceiverThread, body: bytes, kind: str) -> None:
    assert rig.post(body).status_code == 200
    assert rig.post(body, signed(body, at=time.time() - 60)).status_code == 200
    (event,) = rig.stored()
    assert (event.body, event.kind) == (body, kind)


def test_a_journey_action_is_known_by_its_idempotency_key(rig: ReceiverThread) -> None:
    body = encoded({"event": "started_checkout", "cio_id": "a1"})
    assert rig.journey(body, "k1").status_code == 200
    assert rig.journey(body, "k1", at=time.time() + 30).status_code == 200  # a retry, signed anew
    assert rig.journey(body, "k2", at=time.time() + 60).status_code == 200  # the same words, another time
    found = rig.stored()
    assert [(e.source, e.event_id, e.kind) for e in found] == [
        (Source.JOURNEY, "k1", "started_checkout"),
        (Source.JOURNEY, "k2", "started_checkout"),
    ]
    assert {e.delivery_id for e in found} == {"d1"}


def test_a_captured_journey_request_cannot_be_sent_again_under_another_key(rig: ReceiverThread) -> None:
    body = encoded({"cio_id": "a1"})
    headers = signed(body)
    for key in ("k1", "made-up", "another"):
        assert rig.post(body, headers | {"x-cio-idempotency-key": key}, "journey").status_code == 200
    assert [e.event_id for e in rig.stored()] == ["k1"]


def test_a_journey_action_without_a_key_is_stored(rig: ReceiverThread) -> None:
    assert rig.journey(b"{}", None).status_code == 200
    (event,) = rig.stored()
    assert event.event_id.startswith("signature:")


def test_a_journey_action_may_carry_the_token_instead_of_a_signature(rig: ReceiverThread) -> None:
    body = encoded({"event": "started_checkout"})
    good = {"authorization": f"Bearer {TOKEN}", "x-cio-idempotency-key": "k1"}
    assert rig.post(body, good, "journey").status_code == 200
    assert rig.post(body, good, "journey").status_code == 200
    assert rig.post(body, good | {"authorization": "Bearer wrong"}, "journey").status_code == 401
    assert rig.post(body, good | {"authorization": TOKEN}, "journey").status_code == 401
    assert rig.post(body, good, "reporting").status_code == 401
    # Customer.io's own signature, with a key that nobody here has, does not stand in the token's way.
    assert rig.post(body, good | signed(body, "theirs") | {"x-cio-idempotency-key": "k2"}, "journey").status_code == 200
    assert [e.event_id for e in rig.stored()] == ["k1", "k2"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_journey_action_may_use_any_method_with_a_body(rig: ReceiverThread, method: str) -> None:
    body = encoded({"event": "x"})
    assert rig.client.request(method, "/webhooks/journey", content=body, headers=signed(body)).status_code == 200


def test_other_methods_and_paths_are_not_there(rig: ReceiverThread) -> None:
    assert rig.client.get("/webhooks/reporting").status_code == 405
    assert rig.client.post("/webhooks/other", content=b"x").status_code == 404


def test_a_body_larger_than_the_limit_is_refused_however_it_is_sent(rig: ReceiverThread) -> None:
    body = encoded(clicked(1, padding="x" * LIMIT))
    assert rig.post(body).status_code == 413
    chunked = rig.client.post("/webhooks/reporting", content=iter([body[:3000], body[3000:]]), headers=signed(body))
    assert chunked.status_code == 413
    assert rig.post(encoded(clicked(2, padding="x" * (LIMIT - 500)))).status_code == 200
    assert len(rig.stored()) == 1


def test_a_large_body_is_refused_before_it_is_read(rig: ReceiverThread) -> None:
    head = b"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\ncontent-length: 999999999999\r\n\r\n"
    assert rig.raw(head).startswith(b"HTTP/1.1 413")
    endless = b"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert rig.raw(endless, *([b"800\r\n" + b"x" * 2048 + b"\r\n"] * 4)).startswith(b"HTTP/1.1 413")
    assert rig.post(encoded(clicked(1))).status_code == 200


def test_a_body_longer_than_it_was_said_to_be_is_not_taken_whole(rig: ReceiverThread) -> None:
    body = encoded(clicked(1))
    headers = "".join(f"{k}: {v}\r\n" for k, v in signed(body).items())
    head = (
        f"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {len(body) - 5}"
    )
    assert rig.raw(head.encode() + b"\r\n\r\n" + body).startswith(b"HTTP/1.1 401")
    assert rig.stored() == []


def test_a_body_that_does_not_come_is_not_waited_for(rig: ReceiverThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "READ_S", 0.2)
    body = encoded(clicked(1))
    headers = "".join(f"{k}: {v}\r\n" for k, v in signed(body).items())
    head = f"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\n{headers}content-length: {len(body)}\r\n\r\n"
    assert rig.raw(head.encode() + body[:-1]).startswith(b"HTTP/1.1 408")
    assert rig.stored() == []
    assert rig.metrics()['cio_receiver_answers_total{outcome="too_slow",source="reporting",status="408"}'] == 1


def test_bodies_in_memory_are_limited_all_together(rig: ReceiverThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "MOST_BYTES_AT_ONCE", 5_000)
    head = b"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\ncontent-length: 3000\r\n\r\n"
    with rig.open() as slow:
        slow.sendall(head)
        until = time.monotonic() + 30
        while rig.post(encoded(clicked(1, padding="x" * 2_000))).status_code != 503:
            assert time.monotonic() < until  # the first request's length is not known to the receiver yet
    until = time.monotonic() + 30
    while rig.post(encoded(clicked(2))).status_code != 200:  # given back when it went away
        assert time.monotonic() < until


def test_while_the_journal_is_locked_requests_are_refused_early_and_then_stored_again(rig: ReceiverThread) -> None:
    assert rig.client.get("/healthz").status_code == 200
    with rig.locked():
        first = rig.post(encoded(clicked(1)))
        assert first.status_code == 503
        assert int(first.headers["retry-after"]) > 0
        assert first.json()["reason"] == "inbox_unavailable"
        answer = rig.client.get("/healthz")
        for _ in range(200):  # the last good answer may be two seconds old
            if answer.status_code == 503:
                break
            time.sleep(0.05)
            answer = rig.client.get("/healthz")
        assert answer.json() == {"ok": False, "problem": "inbox_unavailable"}
    assert rig.post(encoded(clicked(1))).status_code == 200
    assert len(rig.stored()) == 1


def test_behind_a_request_that_waits_for_the_journal_others_do_not_get_in_line(rig: ReceiverThread) -> None:
    with rig.locked(), ThreadPoolExecutor(8) as pool:
        assert rig.post(encoded(clicked(0))).status_code == 503  # now it is known that nothing can be written
        answers = list(pool.map(lambda n: rig.post(encoded(clicked(n))), range(1, 40)))
        assert {a.status_code for a in answers} == {503}
        reasons = [a.json()["reason"] for a in answers]
    metrics = rig.metrics()
    # One in line at a time finds out; the others were refused without waiting and without having been read.
    tried = sum(n for name, n in metrics.items() if 'outcome="inbox_unavailable"' in name)
    assert tried == 40
    assert reasons.count("deadline") == 0
    assert metrics["cio_receiver_in_line"] == 0


def test_metrics_count_answers_and_what_waits_in_the_inbox(rig: ReceiverThread) -> None:
    rig.post(encoded(clicked(1)))
    rig.post(encoded(clicked(1)))
    rig.post(encoded(clicked(2)), {"X-CIO-Timestamp": "1", "X-CIO-Signature": "0" * 64})
    text = rig.client.get("/metrics").text
    assert "example.com" not in text
    metrics = rig.metrics()
    assert metrics['cio_receiver_answers_total{outcome="stored",source="reporting",status="200"}'] == 2
    assert metrics['cio_receiver_answers_total{outcome="forged",source="reporting",status="401"}'] == 1
    assert metrics["cio_receiver_answer_seconds_count"] == metrics['cio_receiver_answer_seconds_bucket{le="+Inf"}'] == 3
    assert (metrics["cio_receiver_new_total"], metrics["cio_receiver_known_total"]) == (1, 1)
    assert metrics["cio_inbox_events"] == 1
    assert metrics["cio_inbox_oldest_seconds"] >= 0
    assert "_created" not in text
    kinds = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert kinds == {
        "cio_receiver_answers_total": "counter",
        "cio_receiver_answer_seconds": "histogram",
        "cio_receiver_previous_key_total": "counter",
        "cio_receiver_in_line": "gauge",
        "cio_receiver_commits_total": "counter",
        "cio_receiver_new_total": "counter",
        "cio_receiver_known_total": "counter",
        "cio_inbox_events": "gauge",
        "cio_inbox_oldest_seconds": "gauge",
    }
    edges = [
        name.partition('"')[2].rstrip('"}') for name in metrics if name.startswith("cio_receiver_answer_seconds_bucket")
    ]
    assert edges == ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.0", "4.0", "+Inf"]


def test_metrics_of_two_receivers_in_one_process_do_not_mix() -> None:
    one, other = Metrics(), Metrics()
    one.answered("journey", "stored", 200, 0.3)
    assert b"cio_receiver_answer_seconds_count 1.0" in one.text([])
    assert b"cio_receiver_answer_seconds_count 0.0" in other.text([])


def test_no_log_line_has_anything_of_a_body_a_key_or_a_signature(
    rig: ReceiverThread, caplog: pytest.LogCaptureFixture
) -> None:
    monkey = encoded(clicked(1))
    headers = signed(monkey)
    with caplog.at_level(logging.DEBUG):
        rig.post(monkey, headers)
        rig.post(monkey, signed(monkey, "wrong"))
        rig.post(monkey, {"authorization": f"Bearer {TOKEN}x"}, "journey")
        rig.post(b'{"email": "person1@example.com"')
        with rig.locked():
            rig.post(encoded(clicked(3)))
        rig.receiver.metrics.say()
        rig.raw(b"GET person1@example.com sesame\r\n\r\n")
    ours = [r for r in caplog.records if not r.name.startswith(("httpx", "httpcore", "asyncio"))]
    said = "\n".join(r.getMessage() + str(r.exc_info or "") for r in ours)
    assert "1 x reporting forged" in said
    for secret in ("person1", "example.com", KEY, TOKEN, headers["X-CIO-Signature"], "01E4C4CT6YDC7Y"):
        assert secret not in said
