"""A part of a page that a command writes, between two marks; the text around it stays."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, part: str, start: str, end: str, first: str = "") -> None:
    """Put ``part`` in the place of what stands between ``start`` and ``end``, or after all else if they are not there.

    ``first`` is the page's text, marks included, where there is no page yet.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else first
    if start not in text:
        text = "\n\n".join(piece for piece in (text.rstrip("\n"), f"{start}\n{end}\n") if piece)
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{before}{start}\n{part}\n{end}{after}", encoding="utf-8")
