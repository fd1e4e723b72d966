"""Checks of what stands at the stand-ins: that it ends with its reason, and that what is a human's is left alone."""

from __future__ import annotations

from collections import Counter

from cio_activation_tests.life.history import History, Record
from cio_activation_tests.life.rules import AudienceRules, Rules
from cio_activation_tests.life.seen import Seen
from cio_activation_tests.life.touches import Found


def not_expired(rules: Rules, history: History, seen: Seen) -> Found:
    """Nothing is older than its audience's expiry; what a human put off is as old as they said."""
    wrong: list[tuple[str, str]] = []
    judged = 0
    put_off = {
        (r.audience, r.who): r.moved_to for r in history.ours() if r.open and r.moved_to is not None
    }  # fmt: skip
    for record in history.ours():
        if record.audience is None or not record.open or record.taken_up:
            continue
        audience = rules.audiences[record.audience]
        if audience.lane != seen.lane or audience.expires is None:
            continue
        judged += 1
        until = record.window_end + audience.expires
        if record.moved_to is not None:
            until = max(until + max(0.0, record.moved_to - record.first.due), record.moved_to)
        if until <= seen.window_end:
            text = f"{record.audience} {record.key} is {(seen.window_end - until) / 3600:.1f} h over its expiry"
            wrong.append((str(record.key), text))
    for (place, name, who), since in history.shown.items():
        audience = rules.audiences[name]
        if audience.lane != seen.lane or audience.expires is None:
            continue
        judged += 1
        later = put_off.get((name, who))
        until = since + audience.expires if later is None else max(since + 2 * audience.expires, later)
        if until <= seen.window_end:
            over = (seen.window_end - until) / 3600
            wrong.append((f"{place}/{name}/{who}/{since}", f"{name} in {place}: {who} is {over:.1f} h over the expiry"))
    return judged, wrong


def ended_with_reason(rules: Rules, history: History, seen: Seen) -> Found:
    """Every open action that nobody took up has a live reason, after a run of its lane."""
    wrong: list[tuple[str, str]] = []
    judged = 0
    for record in history.ours():
        if not record.open or record.taken_up or record.audience is None:
            continue
        audience = rules.audiences[record.audience]
        if audience.lane != seen.lane:
            continue
        judged += 1
        over = _over(audience, record.who, seen, bought_after=record.first.created)
        if over:
            wrong.append((str(record.key), f"{audience.name} {record.key} of {record.who} is open: {over}"))
    return judged, wrong


def shown_with_reason(rules: Rules, history: History, seen: Seen) -> Found:
    """Whoever is on a list or carries a flag is in the audience, after a run of its lane."""
    handled: dict[tuple[str | None, str | None], Record] = {}
    for record in history.ours():
        key = (record.audience, record.who)
        if key not in handled or handled[key].first.created < record.first.created:
            handled[key] = record
    wrong: list[tuple[str, str]] = []
    judged = 0
    for (place, name), people in seen.shown.items():
        audience = rules.audiences[name]
        if audience.lane != seen.lane:
            continue
        for who in people:
            judged += 1
            about = f"{place}/{name}/{who}/{history.shown[place, name, who]}"
            if over := _over(audience, who, seen):
                wrong.append((about, f"{name} in {place} still shows {who}: {over}"))
            last = handled.get((name, who))
            waits = last is not None and tried_again(rules, last)
            if last is not None and last.ended_by_human and not waits and (last.ended_at or 0) <= seen.began:
                wrong.append((about, f"{name} in {place} still shows {who}, whom a human handled by {last.key}"))
    return judged, wrong


def tried_again(rules: Rules, record: Record) -> bool:
    """Return whether another attempt follows, as far as the outcome goes: until then its person stays in."""
    said = rules.outcomes.get(record.said or "")
    return said is not None and said.again is not None and record.first.attempt <= said.attempts


def on_suppression_lists(rules: Rules, seen: Seen) -> Found:
    """A list that asks nobody has everybody of its segment at once, whoever was touched, and nobody else."""
    wrong: list[tuple[str, str]] = []
    judged = 0
    for (place, name), people in seen.shown.items():
        audience = rules.audiences[name]
        if audience.touch or audience.expires is not None or audience.lane != seen.lane:
            continue
        judged += len(seen.segments[audience.segment])
        for who in seen.segments[audience.segment] ^ people:
            missing = "is not on it" if who in seen.segments[audience.segment] else "is on it without a reason"
            wrong.append((f"{place}/{name}/{who}/{seen.window_end}", f"{name} in {place}: {who} {missing}"))
    return judged, wrong


def one_at_a_time(history: History) -> Found:
    """One open action per person and audience at any time, over both CRMs."""
    found = Counter((record.audience, record.who) for record in history.ours() if record.open)
    return len(found), [
        (f"{name}/{who}", f"{name}: {who} has {n} open actions") for (name, who), n in found.items() if n > 1
    ]


def left_alone(history: History, seen: Seen) -> Found:
    """No request of ours names a task or activity that we did not make."""
    theirs = [record for record in history.records.values() if not record.ours]
    return len(theirs), [(str(r.key), f"we wrote to {r.key}, a human's") for r in theirs if r.key in seen.written]


def told_customerio(history: History, seen: Seen) -> Found:
    """Customer.io is told of outreach for exactly those who have an open action and are still there."""
    asked = {r.who for r in history.ours() if r.open and r.who in seen.facts}
    wrong = [
        (f"{who}/{seen.at}", f"{who} has an open action and Customer.io is not told") for who in asked - seen.outreach
    ]
    wrong += [
        (f"{who}/{seen.at}", f"Customer.io is told of outreach for {who}, who has none")
        for who in seen.outreach - asked
    ]
    return len(asked | seen.outreach), wrong


def candidates(audience: AudienceRules, seen: Seen) -> frozenset[str]:
    """Return who is in an audience's segment and passes its gate."""
    return frozenset(
        who
        for who in seen.segments.get(audience.segment, frozenset())
        if who in seen.facts and (audience.gate is None or (seen.facts[who][audience.gate[0]] or 0) >= audience.gate[1])
    )


def _over(audience: AudienceRules, who: str | None, seen: Seen, bought_after: float | None = None) -> str | None:
    """Return why there is no reason for somebody in an audience any more; None: there is one."""
    facts = seen.facts.get(who or "")
    if facts is None:
        return "not in Customer.io any more"
    if who not in seen.segments[audience.segment]:
        return "left the segment"
    if audience.gate is not None and not (facts[audience.gate[0]] or 0) >= audience.gate[1]:
        return "the gate does not hold"
    if audience.touch and facts["unsubscribed"] == "true":
        return "takes no messages"
    if audience.purchase and bought_after is not None and (facts["last_order_at"] or 0) > bought_after:
        return "bought"
    return None
