"""Export files that are not what they should be, for the switch ``spoil_exports``; ``archive`` is a sound one."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping


def _mixed_line_ends(content: bytes) -> bytes:
    """End the header like an old Mac, the first line like Windows and the others like Unix."""
    head, first, *rest = content.split(b"\n")
    return head + b"\r" + first + b"\r\n" + b"\n".join(rest)


def _damaged_archive(content: bytes) -> bytes:
    packed = bytearray(gzip.compress(content))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


def _cut_archive(content: bytes) -> bytes:
    packed = gzip.compress(content)
    return packed[: len(packed) * 2 // 3]


def _wrong_header(content: bytes) -> bytes:
    head, _, rest = content.partition(b"\n")
    return head.replace(b"cio_id", b"person") + b"\n" + rest


def _cut(content: bytes) -> bytes:
    """Leave out the last third, and end in the middle of a line."""
    return content[: len(content) * 2 // 3].rstrip(b"\n")


def _without_its_end(content: bytes) -> bytes:
    """Leave out whole lines at the end, so that each of the others is sound."""
    return content[: content.rindex(b"\n", 0, len(content) * 2 // 3) + 1]


def _open_quote(content: bytes) -> bytes:
    head, _, rest = content.partition(b"\n")
    return head + b'\n"' + rest


def _page(_content: bytes) -> bytes:
    return b"<html><body>Service unavailable</body></html>\n"


SPOILT: Mapping[str, Callable[[bytes], bytes]] = {
    "archive": gzip.compress,
    "mixed_line_ends": _mixed_line_ends,
    "cut_archive": _cut_archive,
    "damaged_archive": _damaged_archive,
    "wrong_header": _wrong_header,
    "cut": _cut,
    "without_its_end": _without_its_end,
    "open_quote": _open_quote,
    "page": _page,
    "empty": lambda _content: b"",
}
"""How a file comes -> what becomes of its bytes."""
