"""What a stage of the table is made of: cases, each run in its own process, and rows of cases side by side."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.homes import Site
from benchmarks.measure import Sample

Case = Callable[[Site, Sample], None]
"""Prepares, does its work inside ``sample.timed()``, then notes in ``sample.answer`` what it found."""

MODULES = {
    1: "ingest",
    2: "derivation",
    3: "validation",
    4: "diff",
    5: "daily",
    7: "payload",
    11: "whole",
}
"""Stage number of the project's performance table -> module here."""


@dataclass(frozen=True)
class Row:
    """One line of the table: our case beside each peer and the floor, by case name."""

    what: str
    ours: str
    peers: tuple[str, ...] = ()
    floor: str | None = None
    same: tuple[str, ...] = ()
    """Entries of the answers that must be equal in ``ours`` and every peer before times are shown."""
    budget: float | None = None
    """Highest ours/floor the design allows, where it sets a limit."""
    of_peer: float | None = None
    """Highest ours/peer the design allows, for the first peer."""


@dataclass(frozen=True)
class Stage:
    """A numbered stage. ``homes`` are the prepared homes its cases copy or read."""

    number: int
    title: str
    homes: frozenset[str]
    cases: Mapping[str, Case]
    rows: tuple[Row, ...]
    heavy: bool = False
    """Run once above 200,000 people: a repetition takes minutes and moves little."""
    small_only: frozenset[str] = frozenset()
    """Cases that hold everything in pandas: left out above two million people."""


def stage(number: int) -> Stage:
    """Return a stage by number; a KeyError for one that is not here."""
    found = importlib.import_module(f"benchmarks.{MODULES[number]}").STAGE
    assert isinstance(found, Stage)
    return found
