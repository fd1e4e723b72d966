"""What is sent again, and when: the vendor's words first, then backoff; never a creation whose outcome is not known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from cio_activation.transport.errors import OutcomeUnknown, RateLimited, Rejected, Retryable, Stop, VendorError
from cio_activation.transport.http import VendorClient
from cio_activation.transport.retry import LONGEST_WAIT_S, asks_too_long, retry_after

Answer = httpx.Response | Exception


class Line:
    """A vendor that gives planned answers, the last one for ever, and notes when it was asked."""

    def __init__(self, *answers: Answer | Callable[[], Answer]) -> None:
        self.answers, self.at = list(answers), []

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        self.at.append(time.monotonic())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, *, repeatable: bool = True, backoff_s: float = 0.01, **options: object) -> object:
        async def one() -> object:
            transport = httpx.MockTransport(self)
            async with VendorClient("v", "http://v", {}, transport=transport, backoff_s=backoff_s, **options) as client:  # type: ignore[arg-type]
                return (await client.request("POST", "/x", operation="x", json={}, repeatable=repeatable)).json()

        return asyncio.run(one())

    @property
    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.at, self.at[1:], strict=False)]


OK = httpx.Response(200, json={"ok": True})


def status(code: int, after: str | None = None, **body: object) -> httpx.Response:
    return httpx.Response(code, json=body, headers={"retry-after": after} if after else {})


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("", None), ("soon", None), (" 7 ", 7.0)]
)
def test_retry_after_as_a_number(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}) == seconds


def test_retry_after_as_a_date_and_without_one() -> None:
    found = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)})
    assert found is not None
    assert 85 < found <= 90
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after({}) is None


@pytest.mark.parametrize("code", [423, 429, 477, 500, 502, 503, 504])
def test_the_vendors_words_are_honoured_whatever_the_status(code: int) -> None:
    line = Line(status(code, "0.3"), OK)
    assert line.ask() == {"ok": True}
    assert line.gaps[0] >= 0.3


@pytest.mark.parametrize(
    ("code", "kind"), [(477, Retryable), (423, Retryable), (429, RateLimited), (503, OutcomeUnknown)]
)
def test_a_longer_pause_than_a_run_waits_is_not_waited_for(code: int, kind: type[VendorError]) -> None:
    line = Line(status(code, str(LONGEST_WAIT_S + 1)))
    with pytest.raises(kind) as caught:
        line.ask()
    assert len(line.at) == 1
    assert asks_too_long(caught.value)


def test_pauses_grow_and_a_locked_record_is_given_four_times_as_long() -> None:
    line = Line(status(500), status(500), status(500), OK)
    line.ask(backoff_s=0.05)
    assert line.gaps[0] >= 0.05
    assert line.gaps[1] >= 0.1
    assert line.gaps[2] >= 0.2
    locked = Line(status(423), OK)
    locked.ask(backoff_s=0.05)
    assert locked.gaps[0] >= 0.2


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(503, "0"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.Response(200, text="<p>"),
    ],
)
def test_an_unknown_outcome_is_repeated_only_if_repeating_is_safe(answer: Answer) -> None:
    once = Line(answer, OK)
    with pytest.raises(OutcomeUnknown):
        once.ask(repeatable=False)
    assert len(once.at) == 1
    again = Line(answer, OK)
    assert again.ask(repeatable=True) == {"ok": True}
    assert len(again.at) == 2


@pytest.mark.parametrize("answer", [status(429), status(423), status(477, "0"), httpx.ConnectError("refused")])
def test_what_was_surely_not_applied_is_repeated_even_for_a_creation(answer: Answer) -> None:
    line = Line(answer, OK)
    assert line.ask(repeatable=False) == {"ok": True}


def test_the_last_error_comes_out_after_the_last_attempt() -> None:
    line = Line(status(429), status(429), status(429), status(503, "0"))
    with pytest.raises(OutcomeUnknown) as caught:
        line.ask()
    assert (len(line.at), caught.value.status) == (4, 503)


@pytest.mark.parametrize(("code", "kind"), [(400, Rejected), (404, Rejected), (401, Stop), (403, Stop)])
def test_refusals_are_not_repeated(code: int, kind: type[VendorError]) -> None:
    line = Line(status(code, "1"), OK)
    with pytest.raises(kind):
        line.ask()
    assert len(line.at) == 1


def test_a_429_that_says_the_day_is_spent_stops_at_once() -> None:
    line = Line(status(429, policyName="DAILY"))
    with pytest.raises(Stop, match="spent"):
        line.ask(spent=lambda _after, body: "all spent" if body["policyName"] == "DAILY" else None)
    assert len(line.at) == 1


def test_a_body_that_cannot_be_decoded_is_no_answer() -> None:
    garbled = lambda: httpx.Response(200, content=b"not gzip", headers={"content-encoding": "gzip"})  # noqa: E731
    line = Line(garbled, OK)
    assert line.ask() == {"ok": True}
    assert len(line.at) == 2
