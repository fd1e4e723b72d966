"""Anything at all is sent to the receiver: forged, truncated, oversized, replayed, garbage. Nothing gets in unsigned."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cio_activation.customerio.inbox import DAY_S, REPLAY_WINDOW_S
from cio_activation_tests.drivers.receiver import LIMIT, ReceiverThread, clicked, encoded, receiving, signed
from cio_activation_tests.forms import form

pytestmark = pytest.mark.slow
FUZZ = settings(
    max_examples=form(40, 400),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
PATHS = st.sampled_from(["reporting", "journey"])
BODIES = st.one_of(
    st.integers(0, 10**6).map(clicked).map(encoded),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=10,
    ).map(encoded),
    st.binary(max_size=300),
)
_HEADER = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=100)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverThread]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with receiving(f"sqlite:///{folder / 'journal.sqlite'}") as rig:
        yield rig


@pytest.fixture
def rig(running: ReceiverThread) -> ReceiverThread:
    running.empty()
    return running


@FUZZ
@given(body=BODIES, path=PATHS, data=st.data())
def test_forged_requests_are_refused(rig: ReceiverThread, body: bytes, path: str, data: st.DataObject) -> None:
    headers = signed(body)
    stamp, signature = headers["X-CIO-Timestamp"], headers["X-CIO-Signature"]
    how = data.draw(st.sampled_from(["body", "timestamp", "signature", "key", "other", "text"]))
    if how == "body":
        place = data.draw(st.integers(0, len(body)))
        other = (
            body[:place] + data.draw(st.binary(min_size=1, max_size=3)) + body[place + data.draw(st.integers(0, 3)) :]
        )
        assume(other != body)
        body = other
    elif how == "timestamp":
        headers["X-CIO-Timestamp"] = data.draw(st.integers(0, 10**12 - 1).map(str) | _HEADER)
        assume(headers["X-CIO-Timestamp"] != stamp)
    elif how == "signature":
        place = data.draw(st.integers(0, 63))
        headers["X-CIO-Signature"] = (
            signature[:place] + data.draw(st.sampled_from("0123456789abcdef")) + signature[place + 1 :]
        )
        assume(headers["X-CIO-Signature"] != signature)
    elif how == "text":
        headers["X-CIO-Signature"] = data.draw(_HEADER)
        assume(headers["X-CIO-Signature"].lower() != signature)
    elif how == "key":
        headers = signed(body, data.draw(st.text(min_size=1, max_size=20).filter(lambda k: "sesame" not in k)))
    else:
        other = data.draw(BODIES)
        assume(other != body)
        headers = signed(other)
    answer = rig.post(body, headers, path)
    assert answer.status_code == 401
    assert rig.stored() == []


@FUZZ
@given(body=BODIES.filter(bool), path=PATHS, data=st.data())
def test_truncated_requests_are_refused(rig: ReceiverThread, body: bytes, path: str, data: st.DataObject) -> None:
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    assert rig.post(cut, signed(body), path).status_code == 401  # a proxy that lost the end of it
    lines = "".join(f"{k}: {v}\r\n" for k, v in signed(body).items())
    head = f"POST /webhooks/{path} HTTP/1.1\r\nhost: x\r\n{lines}content-length: {len(body)}\r\n\r\n".encode()
    whole = head + body
    with rig.open() as sock:
        sock.sendall(whole[: data.draw(st.integers(0, len(whole) - 1))])  # the connection ends in the middle
    assert rig.client.get("/healthz").status_code == 200
    assert rig.stored() == []


@FUZZ
@given(size=st.integers(LIMIT + 1, 3 * LIMIT), path=PATHS, chunks=st.lists(st.integers(1, LIMIT), max_size=6))
def test_oversized_requests_are_refused(rig: ReceiverThread, size: int, path: str, chunks: list[int]) -> None:
    body = b"x" * size
    if chunks:
        edges = [0, *(e for e in accumulate(chunks) if e < size), size]
        content: Any = iter([body[a:b] for a, b in pairwise(edges)])
    else:
        content = body
    try:
        assert rig.client.post(f"/webhooks/{path}", content=content, headers=signed(body)).status_code == 413
    except httpx.TransportError:
        assert rig.client.get("/healthz").status_code == 200  # hung up on before it had said everything
    assert rig.stored() == []


@FUZZ
@given(
    sent=st.lists(
        st.tuples(st.integers(0, 5), st.floats(-7 * DAY_S, 0), st.sampled_from(["same", "k1", "k2", "k3"])), max_size=8
    ),
    path=PATHS,
)
def test_replays_in_any_order_are_stored_once(
    rig: ReceiverThread, sent: list[tuple[int, float, str]], path: str
) -> None:
    rig.empty()
    started = time.time()
    for number, age, key in sent:
        body = encoded(clicked(number))
        # The captured request, or a retry with its own time; a replay may carry any key, as a key is not signed.
        headers = signed(body, at=started if key != "same" else started + age)
        extra = {"x-cio-idempotency-key": f"{number}" if key == "same" else f"{number}-{key}"}
        assert rig.post(body, headers | extra, path).status_code == 200
    found = rig.stored()
    assert len({(e.source, e.event_id) for e in found}) == len(found)
    if path == "reporting":
        assert len(found) == len({n for n, _, _ in sent})
    else:
        # Per event at most one from its honest key and one from the captured bytes, whatever keys those came under.
        for number in {n for n, _, _ in sent}:
            assert len([e for e in found if e.body == encoded(clicked(number))]) <= 2


@FUZZ
@given(body=BODIES, path=PATHS, beyond=st.floats(60, 10 * REPLAY_WINDOW_S))
def test_replays_from_before_the_memory_are_refused(rig: ReceiverThread, body: bytes, path: str, beyond: float) -> None:
    headers = signed(body, at=max(0, time.time() - REPLAY_WINDOW_S - beyond))
    assert rig.post(body, headers, path).status_code == 403
    assert rig.stored() == []


@FUZZ
@given(body=BODIES, path=PATHS, key=_HEADER)
def test_whatever_is_signed_is_stored_byte_for_byte(rig: ReceiverThread, body: bytes, path: str, key: str) -> None:
    rig.empty()
    answer = rig.post(body, signed(body) | {"x-cio-idempotency-key": key}, path)
    assert answer.status_code == 200
    (event,) = rig.stored()
    assert event.body == body


@FUZZ
@given(noise=st.lists(st.binary(max_size=200), min_size=1, max_size=5), start=st.booleans())
def test_noise_on_the_line_does_no_harm(rig: ReceiverThread, noise: list[bytes], start: bool) -> None:
    head = b"POST /webhooks/reporting HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" if start else b""
    with rig.open() as sock:
        try:
            sock.sendall(head)
            for piece in noise:
                sock.sendall(piece)
        except ConnectionError:
            pass  # it had heard enough
    assert rig.client.get("/healthz").status_code == 200
    assert rig.stored() == []
