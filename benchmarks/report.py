"""The table: proof first (equal answers), then times, then ratios of one run, then what the design allowed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.cases import Row, Stage
from benchmarks.measure import Measurement, ratio

Found = Mapping[str, Measurement]
"""Measurements of one stage by case."""
_HEADER = (
    "| stage | what | ours: CPU s | wall s | peak MB | peer | CPU s | wall s | peak MB | floor | CPU s "
    "| ours / floor | ours / peer |\n|---|---|---:|---:|---:|---|---:|---:|---:|---|---:|---:|---:|"
)
_PACKAGES = ("cio-activation", "duckdb", "pandas", "pandera", "pyarrow", "numpy", "orjson", "phonenumbers")


class DifferentAnswers(AssertionError):
    """Cases that stand side by side found different things, so their times say nothing."""


def agree(stage: Stage, found: Found) -> None:
    """Raise DifferentAnswers unless every row's cases found the same."""
    for row in stage.rows:
        for peer in row.peers:
            for entry in row.same if peer in found else ():
                one, other = found[row.ours].answer.get(entry), found[peer].answer.get(entry)
                if one is None or one != other:
                    raise DifferentAnswers(
                        f"stage {stage.number}, {row.what}: {entry} of {row.ours} is {one}, of {peer} {other}"
                    )


def heading(people: int, foreign: float, repeats: int) -> str:
    """Return versions, machine and the load of others as Markdown."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    return (
        f"# {people:,} people\n\n"
        f"{_processor()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB; {platform.system()} {platform.release()}\n"
        f"Python {platform.python_version()}, {versions}\n"
        f"Medians of {repeats} (stages marked once: of 1), cases interleaved, each in a fresh process. "
        f"Foreign load at the start: {foreign:.1f} cores.\n"
    )


def table(stages: Mapping[int, Stage], found: Mapping[int, Found]) -> str:
    """Return the whole table; :func:`agree` has to have passed."""
    return "\n".join(
        [_HEADER, *(line for n, s in stages.items() for row in s.rows for line in _lines(s, row, found[n]))]
    )


def _lines(stage: Stage, row: Row, found: Found) -> Iterator[str]:
    ours = found[row.ours]
    floor = found.get(row.floor or "")
    peers: tuple[str | None, ...] = row.peers or (None,)
    for place, name in enumerate(peers):
        peer = found.get(name or "")
        once = " (once)" if ours.repeats == 1 else ""
        first = f"| {stage.number} {stage.title} | {row.what}{once} | {_cost(ours)}" if not place else "| | | | | "
        right = f"| {name} | {_cost(peer)}" if peer else f"| {f'{name}: left out' if name else '-'} | | | "
        low = f"| {row.floor} | {floor.cpu:.2f} | {ratio(ours, floor):.2f}" if floor and not place else "| | | "
        yield f"{first} {right} {low} | {f'{ratio(ours, peer):.2f}' if peer else ''} |"


def _cost(one: Measurement) -> str:
    return f"{one.cpu:.2f} | {one.wall:.2f} | {one.peak_mb:,.0f}"


def notes(found: Mapping[int, Found]) -> str:
    """Return what the cases noted beside times: counts, parts, and the load of others while they ran."""
    lines = []
    for number, stage in found.items():
        load = [m.foreign for m in stage.values()]
        lines.append(f"- stage {number}: foreign load {min(load):.1f} to {max(load):.1f} cores")
        for m in stage.values():
            counts = ", ".join(f"{k} {v:,}" for k, v in m.answer.items() if isinstance(v, int))
            parts = ", ".join(f"{k} {v:.2f}" for k, v in m.parts.items())
            if counts or parts:
                lines.append(f"  - {m.case}: {counts}{'; ' if counts and parts else ''}{parts and 'CPU s: ' + parts}")
    return "\n".join(lines)


def budgets(stages: Mapping[int, Stage], found: Mapping[int, Found]) -> list[tuple[str, float, float]]:
    """Return (what, allowed, found) for every ratio the design sets a limit to."""
    lines: list[tuple[str, float, float]] = []
    for number, stage in stages.items():
        for row in stage.rows:
            ours = found[number][row.ours]
            if row.budget is not None and row.floor is not None:
                lines.append((f"{number} {row.what} / {row.floor}", row.budget, ratio(ours, found[number][row.floor])))
            if row.of_peer is not None and row.peers[0] in found[number]:
                peer = found[number][row.peers[0]]
                lines.append((f"{number} {row.what} / {peer.case}", row.of_peer, ratio(ours, peer)))
    if 2 in found and 3 in found:
        lines.append(("3 every row validated / derive", 1.0, ratio(found[3]["ours"], found[2]["ours"])))
    peak = max((m.peak_mb for n, s in stages.items() for m in _ours(s, found[n])), default=0.0)
    lines.append(("peak of any case of ours, GiB", 4.0, peak / 1024))
    return lines


def budget_table(lines: list[tuple[str, float, float]]) -> str:
    """Return the limits as Markdown."""
    body = [
        f"| {what} | {allowed:g} | {value:.2f} | {'' if value <= allowed else 'over'} |"
        for what, allowed, value in lines
    ]
    return "\n".join(["| limit of the design | allowed | found | |", "|---|---:|---:|---|", *body])


def _ours(stage: Stage, found: Found) -> list[Measurement]:
    return [found[row.ours] for row in stage.rows]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(absent)"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [x for x in info.read_text().splitlines() if x.startswith("model name")] if info.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
