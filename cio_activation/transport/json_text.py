"""JSON as vendors send it: fast where it is sound, and readable where a text has half a character in it.

A lone surrogate (``"\\ud83d"``: an emoji that was cut in two) is allowed by JSON and is no Unicode. orjson refuses the
whole answer for it, and no file or database takes it: it becomes U+FFFD, and the rest is read as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

_LONE = re.compile("[\ud800-\udfff]")


def loads(content: bytes) -> Any:
    """Return the value of ``content``; ValueError if it is no JSON."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return _mended(json.loads(content.decode("utf-8", "surrogatepass"), parse_constant=_no_constant))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
