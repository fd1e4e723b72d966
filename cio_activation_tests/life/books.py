"""Checks of what the project says of its decisions: that the counts add up, and who is held out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from cio_activation_tests.life.history import History
from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.touches import Found

Count = tuple[str, str, str, str | None, int]
"""Audience, window, decision, code, people; in the order of the windows."""
Entry = tuple[str, str, bool, int]
"""Audience, ``cio_id``, held out, the how-manieth stay."""
DEVIATIONS = 3.3
"""A share further away than so many standard deviations happens once in a thousand simulations."""


def judge_counts(counts: Sequence[Count]) -> Found:
    """Whoever was in after a window stayed or left in the next one."""
    windows: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for audience, window, decision, _, people in counts:
        windows[audience, window][decision] += people
    inside: dict[str, int] = {}
    wrong: list[tuple[str, str]] = []
    for (audience, window), found in windows.items():
        was, went_on = inside.get(audience, 0), found["stayed"] + found["left"]
        if was != went_on:
            text = f"{audience} {window}: {was} were in, {found['stayed']} stayed and {found['left']} left"
            wrong.append((f"{audience}/{window}", text))
        inside[audience] = found["stayed"] + found["entered"]
    return len(windows), wrong


def judge_holdout(rules: Rules, history: History, entries: Sequence[Entry]) -> Found:
    """Held-out people are never shown or touched for the audience, stay held out, and are the declared share."""
    touched = {(record.audience, record.who) for record in history.ours()} | history.ever_shown
    arms: dict[tuple[str, str], set[bool]] = defaultdict(set)
    firsts: dict[str, list[bool]] = defaultdict(list)
    wrong: list[tuple[str, str]] = []
    for audience, who, ghost, number in entries:
        arms[audience, who].add(ghost)
        if ghost and (audience, who) in touched:
            wrong.append((f"{audience}/{who}", f"{audience}: {who} is held out, and was shown or touched"))
        if number == 1:
            firsts[audience].append(ghost)
    wrong += [
        (f"{a}/{w}/arms", f"{a}: {w} was held out once and not always") for (a, w), s in arms.items() if len(s) > 1
    ]
    for audience, ghosts in firsts.items():
        share = rules.audiences[audience].holdout
        spread = math.sqrt(len(ghosts) * share * (1 - share))
        if abs(sum(ghosts) - len(ghosts) * share) > max(DEVIATIONS * spread, 1.0 if share else 0.0) + 1e-9:
            text = f"{audience}: {sum(ghosts)} of {len(ghosts)} first entries are held out, {share:.0%} declared"
            wrong.append((f"{audience}/share", text))
    return len(entries), wrong
