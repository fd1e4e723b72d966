"""Checks of what the project says of its decisions: that the counts add up, and who is held out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from cio_activation_tests.life.history import History
from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.touches import Found

Count = tuple[str, int, str, str | None, int]
"""Audience, end of the window, decision, code, people; in the order of the windows."""
Entry = tuple[str, str, bool, int]
"""Audience, ``cio_id``, held out, the how-manieth stay."""
DEVIATIONS = 3.3
"""A share further away than so many standard deviations happens once in a thousand simulations."""


def judge_counts(counts: Sequence[Count], eligible: Mapping[tuple[str, int], int]) -> Found:
    """Whoever was in after a window stayed, left or was held out in the next one, and every candidate counts once.

    ``eligible`` says how many there were by the world, per audience and end of a window. Held-out people count as
    withheld as long as they are in, and as left when they leave.
    """
    windows: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for audience, window_end, decision, code, people in counts:
        windows[audience, window_end]["holdout" if code == "holdout" else decision] += people
    inside: dict[str, int] = {}
    wrong: list[tuple[str, str]] = []
    for (audience, window_end), found in windows.items():
        about = f"{audience}/{window_end}"
        was, went_on, held_out = inside.get(audience, 0), found["stayed"] + found["left"], found["holdout"]
        if not went_on <= was <= went_on + held_out:
            text = f"{was} were in, {found['stayed']} stayed, {found['left']} left, {held_out} held out"
            wrong.append((about, f"{audience} {window_end}: {text}"))
        inside[audience] = found["stayed"] + found["entered"] + held_out
        total, there = sum(found.values()), eligible.get((audience, window_end))
        if there is not None and not total - found["left"] <= there <= total:
            wrong.append((about, f"{audience} {window_end}: {there} in the segment, {dict(found)}"))
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
