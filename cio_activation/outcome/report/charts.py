"""Charts as SVG, drawn by ``altair`` and ``vl-convert-python`` without a browser, in the page's own colours.

They are drawn with stand-in colours, which are then replaced by the page's variables: one picture is light and dark.
They are as wide as a phone, and on a wide screen stand beside each other.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.outcome.extra import library
from cio_activation.outcome.inference import Interval
from cio_activation.outcome.report.page import Chart, Table, masked

WIDTH = 340
_COLORS = {
    "#010101": "var(--ink)", "#020202": "var(--dim)", "#030303": "var(--line)",
    "#110001": "var(--c1)", "#110002": "var(--c2)", "#110003": "var(--c3)", "#110004": "var(--c4)",
    "#110005": "var(--c5)",
}  # fmt: skip
INK, DIM, LINE, *SERIES = _COLORS


def bars(title: str, counts: Mapping[str, Mapping[str, int]], what: str = "people") -> Chart:
    """Return horizontal bars, one for each key; a bar's parts stand behind each other in the order of the series."""
    alt = library("altair")
    series = list(dict.fromkeys(name for parts in counts.values() for name in parts))
    rows = [
        {"key": masked(key), "part": part, "count": count, "order": series.index(part)}
        for key, parts in counts.items()
        for part, count in parts.items()
    ]
    encoding: dict[str, Any] = {
        "y": alt.Y("key:N", sort=None, title=None),
        "x": alt.X("count:Q", title=what, axis=alt.Axis(format=",d", tickMinStep=1, tickCount=4)),
    }
    if len(series) > 1:
        encoding["color"] = _color(alt, series)
        encoding["order"] = alt.Order("order:Q")
    chart = _data(alt, rows).mark_bar(color=SERIES[0]).encode(**encoding)
    numbers = Table(("", *series), [(key, *(parts.get(s, 0) for s in series)) for key, parts in counts.items()])
    return _drawn(title, chart, numbers, height=max(60, 22 * len(counts)))


def days(title: str, counts: Mapping[str, Mapping[str, int]], what: str) -> Chart:
    """Return bars by day: day -> series -> count; a negative count goes down."""
    alt = library("altair")
    series = list(dict.fromkeys(name for parts in counts.values() for name in parts))
    rows = [{"day": day, "part": p, "count": count} for day, parts in counts.items() for p, count in parts.items()]
    every = max(1, len(counts) // 6)
    shown_days = [day for index, day in enumerate(counts) if index % every == 0]
    chart = (
        _data(alt, rows)
        .mark_bar(color=SERIES[0])
        .encode(
            x=alt.X(
                "day:O",
                sort=list(counts),
                title=None,
                axis=alt.Axis(values=shown_days, labelAngle=0, labelExpr="slice(datum.value, 5)"),
            ),
            y=alt.Y("count:Q", title=what, axis=alt.Axis(format=",d", tickMinStep=1, tickCount=4)),
            color=_color(alt, series),
        )
    )
    numbers = Table(("day", *series), [(day, *(abs(parts.get(s, 0)) for s in series)) for day, parts in counts.items()])
    return _drawn(title, chart, numbers, height=150)


def intervals(title: str, found: Mapping[str, Sequence[tuple[str, Interval]]], what: str) -> Chart:
    """Return estimates between their bounds around zero: key -> (name, interval), each in its own colour."""
    alt = library("altair")
    names = list(dict.fromkeys(name for several in found.values() for name, _ in several))
    rows: list[dict[str, Any]] = [
        {"key": key, "part": name, "low": i.low, "high": i.high, "estimate": i.estimate, "row": f"{key} {name}"}
        for key, several in found.items()
        for name, i in several
    ]
    data = _data(alt, rows)
    y, color = alt.Y("key:N", sort=None, title=None), _color(alt, names)
    offset = alt.YOffset("part:N", sort=names)
    rule = data.mark_rule(strokeWidth=2.5).encode(
        x=alt.X("low:Q", title=what, axis=alt.Axis(tickCount=5)), x2="high:Q", y=y, yOffset=offset, color=color
    )
    points = data.mark_point(filled=True, size=45, opacity=1).encode(x="estimate:Q", y=y, yOffset=offset, color=color)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color=INK, strokeDash=[3, 3]).encode(x="zero:Q")
    columns = ("audience", "interval", "from", "estimate", "to")
    numbers = Table(columns, [(r["key"], r["part"], r["low"], r["estimate"], r["high"]) for r in rows])
    return _drawn(title, alt.layer(zero, rule, points), numbers, height=max(60, 44 * len(found)))


def _data(alt: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    return alt.Chart(alt.Data(values=list(rows)))


def _color(alt: Any, series: Sequence[str]) -> Any:
    scale = alt.Scale(domain=list(series), range=[SERIES[i % len(SERIES)] for i in range(len(series))])
    legend = alt.Legend(orient="top", title=None, columns=3) if len(series) > 1 else None
    return alt.Color("part:N", sort=list(series), scale=scale, legend=legend)


def _drawn(title: str, chart: Any, numbers: Table, *, height: int) -> Chart:
    alt = library("altair")
    told = chart.properties(
        width=WIDTH, height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding")
    ).configure(
        background="transparent",
        padding={"left": 20, "right": 6, "top": 2, "bottom": 2},  # browsers' letters are wider than those measured
        font="system-ui, sans-serif",
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=DIM, titleColor=DIM, titleFontWeight="normal", gridColor=LINE, domainColor=LINE, tickColor=LINE,
            labelFontSize=12, titleFontSize=12, labelLimit=140,
        ),
        legend=alt.LegendConfig(labelColor=DIM, labelFontSize=12, symbolType="square"),
    )  # fmt: skip
    return Chart(title, _themed(library("vl_convert").vegalite_to_svg(told.to_json()), title, numbers), numbers)


def _themed(svg: str, title: str, numbers: Table) -> str:
    """Return the picture in the page's colours, as one image with a text in place of its parts' own."""
    plain = re.sub(r' (?:aria-[a-z]+|role|class|xmlns:xlink|font-family)="[^"]*"', "", svg)
    for color, variable in _COLORS.items():
        plain = plain.replace(f'"{color}"', f'"{variable}"')
    told = "; ".join(" ".join(str(value) for value in row) for row in numbers.rows[:12])
    more = f" and {len(numbers.rows) - 12} more" if len(numbers.rows) > 12 else ""
    label = html.escape(masked(f"{title}: {told}{more}"))
    return plain.replace("<svg ", f'<svg role="img" aria-label="{label}" font-family="system-ui, sans-serif" ', 1)
