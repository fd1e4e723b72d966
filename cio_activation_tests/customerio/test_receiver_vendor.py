"""The stand-in's webhooks against the receiver: two independent readings of the vendor's document have to agree."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from cio_activation.customerio.inbox import Source
from cio_activation.customerio.webhook import Keys
from cio_activation.sandbox.customerio.webhooks import Webhooks, wait_until_quiet
from cio_activation.sandbox.server.core import Clock
from cio_activation_tests.drivers.receiver import ReceiverThread, receiving

WHO = {"id": "42", "email": "test@example.com", "cio_id": "d9c106000001"}

pytestmark = pytest.mark.slow


@pytest.fixture
def rig(journal_url: str) -> Iterator[ReceiverThread]:
    with receiving(journal_url, Keys((b"sandbox-signing-key",))) as running:
        yield running


def test_everything_arrives_once_through_duplicates_disorder_and_an_outage(rig: ReceiverThread) -> None:
    clock = Clock()
    webhooks = Webhooks(clock.now)
    webhooks.connect("reporting", f"{rig.url}/webhooks/reporting")
    webhooks.connect("journey", f"{rig.url}/webhooks/journey")
    webhooks.misbehave(duplicates=0.5, disorder=0.3)  # of twenty none, at a fifth each: once in a hundred times
    ids = [webhooks.report("email", "clicked", WHO, time.time() - n) for n in range(20)]
    keys = [webhooks.act({"event": "cart_updated", "n": n}) for n in range(20)]
    with rig.locked():
        while sum(a["answers"].get("503", 0) for a in webhooks.state()) < 3:
            clock.advance(30)
            time.sleep(0.05)
    until = time.monotonic() + 120
    while any(a["waiting"] for a in webhooks.state()):
        assert time.monotonic() < until
        clock.advance(30)  # so that waits end; still within the retries' seven days and our idea of the time
        time.sleep(0.2)
    state = webhooks.state()
    webhooks.disconnect()
    assert [a["given_up"] for a in state] == [0, 0]
    assert min(a["repeated"] for a in state) > 0
    found = rig.stored()
    assert sorted(e.event_id for e in found if e.source is Source.REPORTING) == sorted(ids)
    assert sorted(e.event_id for e in found if e.source is Source.JOURNEY) == sorted(keys)
    assert {e.kind for e in found} == {"email_clicked", "cart_updated"}


def test_a_retry_after_days_that_is_not_signed_anew_is_stored(rig: ReceiverThread) -> None:
    clock = Clock()
    clock.advance(-6.9 * 86_400)  # the first try was then
    webhooks = Webhooks(clock.now)
    webhooks.connect("reporting", "http://127.0.0.1:9/")
    webhooks.misbehave(resign=False)
    event_id = webhooks.report("email", "clicked", WHO, clock.now())
    while not webhooks.state()[0]["answers"]:
        time.sleep(0.01)
    webhooks._addresses[0].url = f"{rig.url}/webhooks/reporting"  # nobody listened there until now
    clock.advance(6.9 * 86_400)
    wait_until_quiet(webhooks)
    webhooks.disconnect()
    (event,) = rig.stored()
    assert event.event_id == event_id
    assert event.signed_at is not None
    assert event.received_at - event.signed_at > 6 * 86_400
    assert json.loads(event.body)["data"]["identifiers"] == WHO
