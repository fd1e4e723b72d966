"""A report as text: sections of tables and charts become one HTML file without a script and without a request.

Whatever is shown goes through :func:`shown`, which lets no e-mail address pass.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

Cell = str | int | float | None

_UNBROKEN = 18
"""Characters; so short a text stands on one line, also on a phone."""
_EMAIL = re.compile(r"([^\s@<>()\"',;:=]+)@[^\s@<>()\"',;:]+\.[^\s@<>()\"',;:]+")


@dataclass(frozen=True)
class Table:
    """Rows under their columns; numbers stand to the right."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    empty: str = "Nothing."


@dataclass(frozen=True)
class Chart:
    """A picture, what it shows in words, and its numbers for whoever wants them."""

    title: str
    svg: str
    numbers: Table


@dataclass(frozen=True)
class Note:
    """A sentence; ``kind`` colours it: good, bad, or nothing."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Tile:
    """One number that is looked at first."""

    value: str
    label: str


@dataclass(frozen=True)
class Markup:
    """HTML as it stands; whoever made it has escaped what is in it."""

    html: str


Block = Table | Chart | Note | Markup


@dataclass(frozen=True)
class Section:
    """A heading, a sentence on how to read it, and what stands below."""

    title: str
    about: str
    blocks: Sequence[Block]
    side_by_side: bool = False
    """Whether its tables are small, and stand beside each other where there is room."""


def shown(value: Cell) -> str:
    """Return a value as text of the page: numbers with separators, no markup, an address cut at the @."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return html.escape(masked(value))


def masked(text: str) -> str:
    """Return ``text`` with e-mail addresses cut at the @."""
    return _EMAIL.sub(r"\1", text)


def page(title: str, subtitle: str, tiles: Sequence[Tile], sections: Sequence[Section], *, style: str = "") -> str:
    """Return the whole file; ``style`` is added to the rules that all pages have."""
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8") + style
    links = "".join(f'<a href="#{_anchor(s.title)}">{shown(s.title)}</a>' for s in sections)
    heads = "".join(f"<div><b>{shown(t.value)}</b><span>{shown(t.label)}</span></div>" for t in tiles)
    body = "\n".join(_section(section) for section in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{shown(title)}</title>
<style>
{style.strip()}
</style>
</head>
<body>
<header><h1>{shown(title)}</h1><p>{shown(subtitle)}</p><nav>{links}</nav></header>
<div class="tiles">{heads}</div>
{body}
</body>
</html>
"""


def _section(section: Section) -> str:
    parts: list[str] = []
    charts: list[str] = []
    for block in [*section.blocks, None]:
        if isinstance(block, Chart):
            charts.append(_chart(block))
            continue
        if charts:
            parts.append(f'<div class="charts">{"".join(charts)}</div>')
            charts = []
        if isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Markup):
            parts.append(block.html)
        elif isinstance(block, Note):
            parts.append(f'<p class="note {block.kind}">{shown(block.text)}</p>')
    inside = "".join(parts)
    if section.side_by_side:
        inside = f'<div class="charts">{"".join(f"<div>{part}</div>" for part in parts)}</div>'
    about = f'<p class="about">{shown(section.about)}</p>' if section.about else ""
    return f'<section id="{_anchor(section.title)}"><h2>{shown(section.title)}</h2>{about}{inside}</section>'


def _chart(chart: Chart) -> str:
    return (
        f"<figure><figcaption>{shown(chart.title)}</figcaption>{chart.svg}"
        f"<details><summary>Numbers</summary>{_table(chart.numbers)}</details></figure>"
    )


def _table(table: Table) -> str:
    title = f"<h3>{shown(table.title)}</h3>" if table.title else ""
    if not table.rows:
        return f'{title}<p class="empty">{shown(table.empty)}</p>'
    numeric = [all(_is_number(row[at]) for row in table.rows) for at in range(len(table.columns))]
    head = "".join(
        f"<th{' class=n' if right else ''}>{shown(name)}</th>"
        for name, right in zip(table.columns, numeric, strict=True)
    )
    rows = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in table.rows)
    return f'{title}<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(value: Cell) -> str:
    if value not in (None, "") and _is_number(value):
        return f"<td class=n>{shown(value)}</td>"
    short = isinstance(value, str) and len(value) <= _UNBROKEN
    return f"<td{' class=s' if short else ''}>{shown(value)}</td>"


def _is_number(value: Cell) -> bool:
    """Return whether a cell stands to the right; an empty one does if the others do."""
    return not isinstance(value, str) or re.fullmatch(r"([-+]?[\d.,]+ ?[%h]?)?", value) is not None


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
