"""An answer with half a character in it is read; what is no JSON stays no answer."""

from __future__ import annotations

import httpx
import pytest

from cio_activation.transport import json_text
from cio_activation.transport.errors import OutcomeUnknown
from cio_activation_tests.transport.test_retry import Line


@pytest.mark.parametrize(
    "content",
    [rb'{"a": ["\ud83d", "x\udc00y"], "\ud83d": 1}', b'{"a": ["\xed\xa0\xbd", "x\xed\xb0\x80y"], "\xed\xa0\xbd": 1}'],
)
def test_a_lone_surrogate_is_replaced_and_the_rest_is_read(content: bytes) -> None:
    found = json_text.loads(content)
    assert found == {"a": ["�", "x�y"], "�": 1}
    assert Line(httpx.Response(200, content=content)).ask() == found


def test_whole_characters_are_left_alone() -> None:
    assert json_text.loads(rb'["\ud83d\ude00", "\u00e9", "\ud800"]') == ["😀", "é", "�"]


@pytest.mark.parametrize("content", [b'{"a": "\\ud83d"', b'["\\ud83d", NaN]', b"\xff\xfe", b"<html>"])
def test_what_is_no_json_is_no_answer(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (its words are json's)
        json_text.loads(content)
    with pytest.raises(OutcomeUnknown, match="not JSON"):
        Line(httpx.Response(200, content=content)).ask()
