"""What applies to an audience, in sentences: what it says, and what holds where it says nothing."""

from __future__ import annotations

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, Queue, Rotation
from cio_activation.activation.durations import format_duration
from cio_activation.activation.life_cycle import Baseline
from cio_activation.activation.models import Activation, Audience, ExitReason, Lane
from cio_activation.activation.sla import RAISE_PRIORITY, REASSIGN, TELL, ReassignTo, Sla
from cio_activation.activation.working_time import WEEKDAYS
from cio_activation.audience import explain_moments, explain_outcomes


def sentences(activation: Activation, audience: Audience) -> list[str]:
    """Return what applies to ``audience``, a sentence a rule, in the order in which a person meets them."""
    told = [*_source(activation, audience), *_exits(activation, audience)]
    if not audience.touch:
        waits = "It asks nobody to act, so it waits for no cooldown, cap, start or holdout."
        return [*told, waits, *_measured(activation, audience)]
    rules = [*_start(audience), *_restraint(activation, audience), *_holdout(activation, audience)]
    said = explain_outcomes.sentences(activation, audience)
    return [*told, *_actions(activation, audience), *said, *rules, *_measured(activation, audience)]


def _measured(activation: Activation, audience: Audience) -> list[str]:
    if audience.measure is None:
        return []
    workspace = activation.workspace
    if workspace.purchase_attribute is None and workspace.purchase_moment is None:
        return ["What it brings is not known: `workspace.purchase_attribute` names no attribute."]
    return [f"Whoever buys within {format_duration(audience.measure.within)} of their first entry is counted for it."]


def _source(activation: Activation, audience: Audience) -> list[str]:
    pace = "once a day" if audience.lane is Lane.DAILY else (
        f"in windows of {format_duration(activation.workspace.realtime_window)}, as soon as something happens"
    )  # fmt: skip
    told = [f"People come from Customer.io's segment {audience.segment}, {pace}."]
    if audience.moment is not None:
        told = explain_moments.of_source(audience, pace)
    if audience.gate is not None:
        told.append(f"Of these only who passes the gate: `{audience.gate}`.")
    told += explain_moments.of_expressions(activation, audience)
    if audience.grace and audience.moment is not None:
        told.append(f"Nobody enters within {format_duration(audience.grace)} of the newest moment.")
    elif audience.grace:
        told.append(f"That has to hold for {format_duration(audience.grace)} without a break.")
    return told


def _exits(activation: Activation, audience: Audience) -> list[str]:
    ends = ["leaves the segment"] if audience.moment is None else []
    if audience.gate is not None:
        ends.append("no longer passes the gate")
    if ExitReason.PURCHASE in audience.exit_on:
        ends.append(f"buys (`{activation.workspace.purchase_attribute}` moves)")
    if audience.touch:
        ends.append("was taken care of (the action is done or deleted)")
    told = [f"It ends when the person {_listed(ends)}."]
    if audience.moment is not None:
        return [*(told if ends else ()), *explain_moments.of_exits(audience)]
    if audience.expires_after is not None:
        told.append(f"It ends after {format_duration(audience.expires_after)} at the latest.")
    again = "until they have lost eligibility once"
    if audience.again_after is not None:
        again += f", or {format_duration(audience.again_after)} have passed"
    if ExitReason.PURCHASE in audience.exit_on or audience.expires_after is not None or audience.touch:
        told.append(f"Whoever bought, was handled or expired stays out {again}.")
    return told


def _actions(activation: Activation, audience: Audience) -> list[str]:
    """Return who is asked to act, in which CRM, and how long they have."""
    asks, told = audience.asks(), []
    for place, ask in asks.items():
        who = ", else ".join(_owner(audience, owner) for owner in ask.owners)
        waits = " Outside working time nobody enters." if ask.wait_for_opening else ""
        told.append(f"In {place} somebody is asked to act: {who}; due in {ask.due}.{waits}")
        if ask.follow_owner:
            told.append(
                f"When the record in {place} gets another owner, what is open goes to that one, unless somebody has "
                "taken it up or given it to somebody."
            )
        if ask.sla is not None:
            told += _sla(place, ask.sla)
    if len(asks) > 1:
        told.append(f"It is asked in one place: the first of {', '.join(asks)} that has a record of the person.")
    if asks:
        working = activation.limits.working_time
        days = ", ".join(WEEKDAYS[day] for day in working.days)
        free = f", holidays of {working.holidays} free" if working.holidays else ""
        told.append(
            f"Working time is {days}, {working.start:%H:%M} to {working.end:%H:%M}{free}, in the time zone of whoever "
            f"acts (where it is not known, {activation.workspace.timezone})."
        )
        told += _capacity(activation)
    if audience.respect_handled or (asks and audience.respect_handled is None):
        told.append("Nobody enters whom a human or another tool is on already, as the CRMs say.")
    elif asks:
        told.append("It does not matter whether somebody is on the person already.")
    return told


def _sla(place: str, sla: Sla) -> list[str]:
    """Return what follows when nobody touches an action."""
    said = {
        RAISE_PRIORITY: "its priority is raised",
        REASSIGN: "it goes to the next of those who are asked and has room",
        TELL: "a person is told (a warning)",
    }
    steps = [f"it goes to {s.reassign}" if isinstance(s, ReassignTo) else said[s] for s in sla.then]
    again = f"; after as long again {steps[1]}" if len(steps) > 1 else ""
    return [
        f"What nobody touches in {place} for {sla.after}, in the working time of whoever has it: {steps[0]}{again}. "
        "Nothing follows once anything happened to it, or somebody is on the person."
    ]


def _owner(audience: Audience, owner: str | Rotation | Queue) -> str:
    if isinstance(owner, Rotation):
        return f"{', '.join(owner.rotate)} in turn"
    if isinstance(owner, Queue):
        return f"the queue {owner.queue}"
    return {
        RECORD_OWNER: "the record's owner", AUDIENCE_OWNER: f"the audience's owner ({audience.owner})", NOBODY: "nobody"
    }.get(owner, owner)  # fmt: skip


def _capacity(activation: Activation) -> list[str]:
    capacity = activation.limits.capacity
    limits = [
        f"{most} {what}"
        for most, what in ((capacity.open_per_owner, "open"), (capacity.new_per_owner_per_day, "new a day"))
        if most is not None
    ]
    return (
        [f"One person is asked for no more than {' and '.join(limits)}; whoever does not fit waits."] if limits else []
    )


def _start(audience: Audience) -> list[str]:
    launch = audience.launch
    told = ["Those who are eligible when it starts are let in like all others."]
    if launch.baseline is Baseline.SKIP:
        until = "they have lost eligibility once" if audience.moment is None else "their next moment"
        told = [f"Those who are eligible when it starts are skipped until {until}."]
        if launch.backfill:
            told = [f"Of those who are eligible when it starts the first {launch.backfill:,} are let in, nobody else."]
    if launch.only is not None:
        told.append(f"For now only people are let in of whom this holds: `{launch.only}`.")
    if launch.max_entries_per_day is not None:
        order = f"by `{audience.rank}`" if audience.rank is not None else "whoever is eligible longest first"
        told.append(f"At most {launch.max_entries_per_day:,} are let in a day, {order}.")
    return told


def _restraint(activation: Activation, audience: Audience) -> list[str]:
    cap, workspace = activation.limits.human_touches_per_person, activation.workspace
    told = []
    if audience.cooldown:
        told.append(f"Nobody comes again within {format_duration(audience.cooldown)} of the human's act or of leaving.")
    times = "once" if cap.max == 1 else f"{cap.max} times"
    told.append(f"Nobody is touched more than {times} in {format_duration(cap.per)}, over all audiences and CRMs.")
    if audience.exclusive is not None:
        group = audience.exclusive.group
        told.append(f"An audience of the group {group} with a priority above {audience.exclusive.priority} goes first.")
    if audience.hold_while is not None:
        told.append(f"Nobody enters while this holds: `{audience.hold_while}`.")
    if audience.respect_unsubscribed and workspace.unsubscribed_attribute is not None:
        told.append(f"Who takes no messages (`{workspace.unsubscribed_attribute}`) is left alone.")
    elif audience.respect_unsubscribed:
        told.append("Who takes no messages is not known: `workspace.unsubscribed_attribute` names no attribute.")
    told.append("Nobody enters by a value that could not be read today.")
    return told


def _holdout(activation: Activation, audience: Audience) -> list[str]:
    told = []
    if audience.holdout:
        told.append(f"{audience.holdout:.0%} of those who would enter are held out, to measure what it brings.")
    if activation.workspace.holdout:
        told.append(f"{activation.workspace.holdout:.0%} of all people are held out of every such audience.")
    return told


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} or {parts[-1]}"
