"""Checks of the touches: what a run asked humans to do, and whether it was to be asked of them then.

Every check returns how many things it judged, and what is wrong: what with, and in words.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cio_activation_tests.life.history import History, Record
from cio_activation_tests.life.rules import Rules
from cio_activation_tests.life.seen import Seen

Found = tuple[int, list[tuple[str, str]]]
SLACK_S = 4_000.0
"""A run is up to a window away from the end of its window, which decisions are dated by, and takes a while."""


def not_in_cooldown(
    rules: Rules, history: History, new: Sequence[Record], fresh: Collection[tuple[str, str, str]], seen: Seen
) -> Found:
    """Nobody is touched again for the same audience before its cooldown is over, by an action or by a list that asks."""
    wrong: list[tuple[str, str]] = []
    judged = 0
    for record in new:
        if record.audience is None or record.who is None:
            wrong.append((str(record.key), f"{record.key} is ours, and about nobody or no audience that is known"))
            continue
        judged += 1
        if record.first.attempt > 1:  # an entry's further attempts are no touches of their own
            continue
        cooldown = rules.audiences[record.audience].cooldown
        for other in history.ours():
            if other is record or (other.audience, other.who) != (record.audience, record.who):
                continue
            if other.ended_at is not None and other.ended_at <= record.first.created:
                early = other.ended_at + cooldown - SLACK_S - record.first.created
                if early > 0:
                    text = f"{record.audience}: {record.who} touched {early / 3600:.1f} h before the cooldown was over"
                    wrong.append((str(record.key), text))
    for place, name, who in fresh:
        audience = rules.audiences[name]
        if audience.touch and not audience.asks:
            judged += 1
            last = history.left.get((place, name, who))
            if last is not None and last + audience.cooldown - SLACK_S > seen.window_end:
                wrong.append((f"{name}/{who}/{seen.window_end}", f"{name}: {who} listed again inside the cooldown"))
    return judged, wrong


def not_above_cap(rules: Rules, history: History, new: Sequence[Record]) -> Found:
    """Nobody is touched more often than the cap says, over all audiences and both CRMs."""
    wrong: list[tuple[str, str]] = []
    for record in new:
        since = record.first.created - rules.touches_per + SLACK_S
        touched = [
            other
            for other in history.ours()
            if other.who == record.who
            and since < other.first.created <= record.first.created
            and other.first.attempt == 1
        ]
        if len(touched) > rules.touches:
            text = f"{record.who} touched {len(touched)} times: {', '.join(str(o.audience) for o in touched)}"
            wrong.append((str(record.key), text))
    return len(new), wrong


def after_outcomes(rules: Rules, history: History, new: Sequence[Record], seen: Seen) -> Found:
    """After an outcome nobody is asked before its time; a further attempt only follows one that asks for it.

    And the fields in which humans say so are theirs: what we write there is nothing.
    """
    wrong = [(f"{seen.window_end}/{value}", f"we wrote {value!r} as an outcome") for value in seen.outcomes_written]
    for record in new:
        text, earlier = f"{record.audience}: {record.who} asked by {record.key}", _before(history, record)
        if record.first.attempt > 1:
            said = rules.outcomes.get((earlier.said or "") if earlier else "")
            if earlier is None or said is None or said.again is None:
                wrong.append((str(record.key), f"{text} again, though no outcome says so"))
            elif record.first.attempt > 1 + said.attempts or record.first.attempt != earlier.first.attempt + 1:
                wrong.append((str(record.key), f"{text} for the {record.first.attempt}. time"))
            elif (earlier.ended_at or 0) + said.again - SLACK_S > record.first.created:
                wrong.append((str(record.key), f"{text} again too early"))
        elif earlier is not None and earlier.said in rules.outcomes:
            over = (earlier.ended_at or 0) + rules.outcomes[earlier.said].quiet - SLACK_S - record.first.created
            if over > 0:
                wrong.append((str(record.key), f"{text} {over / 3600:.1f} h before {earlier.said} was over"))
    return len(new) + seen.emptied, wrong


def _before(history: History, record: Record) -> Record | None:
    """Return the action before it of the same person and audience."""
    earlier = [
        other
        for other in history.ours()
        if (other.audience, other.who) == (record.audience, record.who)
        and other is not record
        and other.first.created < record.first.created
    ]
    return max(earlier, key=lambda other: other.first.created, default=None)


def not_being_handled(history: History, new: Sequence[Record]) -> Found:
    """Nobody gets an action while a task or activity that a human made for them is open."""
    wrong: list[tuple[str, str]] = []
    for record in new:
        for other in history.records.values():
            if not other.ours and other.who is not None and other.who == record.who and other.was_open(record.began):
                text = f"{record.audience}: {record.who} has {record.key} while {other.key} of a human is open"
                wrong.append((str(record.key), text))
    return len(new), wrong


def within_capacity(rules: Rules, history: History, new: Sequence[Record]) -> Found:
    """Nobody gets more than fits on their desk and into their day."""
    wrong: list[tuple[str, str]] = []
    for owner in {record.first.owner for record in new if record.first.owner}:
        latest = [record for record in new if record.first.owner == owner]
        there = sum(1 for other in history.ours() if other.open and other.now.owner == owner)
        if there > rules.open_per_owner:
            wrong.append((str(latest[-1].key), f"{owner} got {len(latest)} and has {there} open"))
        day = _day(rules, latest[0])
        given = sum(1 for other in history.ours() if other.first.owner == owner and _day(rules, other) == day)
        if given > rules.new_per_day:
            wrong.append((f"{owner}/{day}", f"{owner} got {given} on {day}"))
    return len(new), wrong


def due_in_working_time(rules: Rules, new: Sequence[Record]) -> Found:
    """Everything is due when its owner works, and as far ahead as its audience says."""
    wrong: list[tuple[str, str]] = []
    for record in new:
        owner, due = record.first.owner, record.first.due
        shown = f"{record.audience} {record.key} of {owner} is due {datetime.fromtimestamp(due, UTC):%a %Y-%m-%d %H:%M}"
        if not rules.hours.get(owner or "", rules.hours[""]).at_work(due):
            wrong.append((str(record.key), f"{shown} UTC, outside of working time"))
            continue
        if record.audience is None:
            continue
        said = rules.audiences[record.audience].asks[record.key[0]].due
        earliest = rules.due(owner, said, max(record.window_end, record.began) - 60)
        latest = rules.due(owner, said, max(record.window_end, record.first.created) + 60)
        if not earliest - 60 <= due <= latest + 60:
            wrong.append((str(record.key), f"{shown} UTC, {(due - earliest) / 3600:.1f} h off '{said}'"))
    return len(new), wrong


def _day(rules: Rules, record: Record) -> str:
    """Return the workspace's day on which it was asked: that of its window."""
    inside = datetime.fromtimestamp(record.window_end, UTC) - timedelta(microseconds=1)
    return str(inside.astimezone(ZoneInfo(rules.zone)).date())
