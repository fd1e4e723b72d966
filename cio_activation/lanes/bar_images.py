"""Small pictures for Dagster's pages: bars as SVG in a Markdown image, with their numbers as its text.

Drawn by hand, not by the report's library: a real-time run draws one every few seconds, and an image in Dagster's pages
knows neither a page's colours nor its fonts. So it is a kilobyte, costs nothing, and its colours are read on light and
on dark ground alike.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from xml.sax.saxutils import escape

_LABEL, _BAR, _ROW, _HEAD = 170, 230, 20, 26
"""Widths of labels and of the longest bar, heights of a bar and of a heading; pixels."""
_INK, _DIM, _FILL = "#757d88", "#858c96", "#4f7cc9"
_LONGEST = 26
"""Characters of a label that fit."""
_TOLD = 60
"""Bars whose numbers are in the image's text."""


def image(counts: Mapping[str, Mapping[str, int]], unit: str = "") -> str:
    """Return groups of horizontal bars (group -> bar -> number) as a Markdown image; ``unit`` follows each number."""
    encoded = base64.b64encode(svg(counts, unit).encode()).decode()
    return f"![{_words(counts, unit)}](data:image/svg+xml;base64,{encoded})"


def svg(counts: Mapping[str, Mapping[str, int]], unit: str = "") -> str:
    """Return the picture itself."""
    parts: list[str] = []
    y = 0
    for group, bars in counts.items():
        y += _HEAD
        parts.append(f'<text x="0" y="{y - 8}" font-weight="600" fill="{_INK}">{_shown(group, 60)}</text>')
        most = 100 if unit.strip() == "%" else max((abs(number) for number in bars.values()), default=0) or 1
        for name, number in bars.items():
            width = max(round(_BAR * abs(number) / most), 1 if number else 0)
            parts.append(
                f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end" fill="{_DIM}">{_shown(name, _LONGEST)}</text>'
                f'<rect x="{_LABEL}" y="{y + 3}" width="{width}" height="{_ROW - 6}" fill="{_FILL}"/>'
                f'<text x="{_LABEL + width + 6}" y="{y + 14}" fill="{_INK}">{number:,}{escape(unit)}</text>'
            )
            y += _ROW
    size = f'width="{_LABEL + _BAR + 100}" height="{y + 4}"'
    font = 'font-family="system-ui, sans-serif" font-size="12"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>{"".join(parts)}</svg>'


def _shown(text: str, longest: int) -> str:
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _words(counts: Mapping[str, Mapping[str, int]], unit: str) -> str:
    """Return the numbers as text, for whoever does not see the picture; nothing in it is Markdown."""
    told = [f"{group}: {name} {number:,}{unit}" for group, bars in counts.items() for name, number in bars.items()]
    more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    text = "; ".join([*told[:_TOLD], *more]) or "nothing to show"
    for mark in "\\[]`*_<>!":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())
