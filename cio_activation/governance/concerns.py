"""Finds what should be looked at: pure functions of the warehouse, the activation, what the CRMs have, and an instant.

The instant is the end of a window, naive UTC, never the clock's: a window that is run again finds what it found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.delivery.definitions import Definition
from cio_activation.errors import ConfigError
from cio_activation.governance import reviews, uses
from cio_activation.governance.matters import Concern, Matter
from cio_activation.outcome.comparing import compared
from cio_activation.outcome.lift import Verdict, judge
from cio_activation.warehouse import published
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import GOVERNANCE, OWNERS

Definitions = Mapping[str, Sequence[Definition]]
"""Destination -> what it has of ours, or under our prefix."""


def concerns(con: Connection, activation: Activation, there: Definitions, as_of: datetime) -> list[Concern]:
    """Return what is to be told at ``as_of``, in the order of the matters."""
    return [
        *_unowned(con, activation),
        *_unused(con, activation, as_of),
        *_stale(con, activation, as_of),
        *orphaned(there),
        *drifted(there),
        *_without_effect(con, activation, as_of),
    ]


def replace(con: Connection, found: Sequence[Concern], window: Window, run_id: str = "") -> None:
    """Make ``outcome.governance`` hold exactly ``found``; what it held before keeps its ``since``.

    Nothing changes where a newer window was told already.
    """
    if published.superseded(con, GOVERNANCE, window):
        return
    as_of = window.as_of
    rows = con.execute(f"SELECT matter, about, min(since) FROM {GOVERNANCE} GROUP BY ALL").fetchall()
    since = {(matter, about): at for matter, about, at in rows}
    con.execute(f"DELETE FROM {GOVERNANCE}")
    for one in found:
        first = since.get((one.matter.value, one.about), as_of)
        con.execute(
            f"INSERT INTO {GOVERNANCE} VALUES (?, ?, ?, ?, ?, ?)",
            [one.matter.value, one.about, one.sentence, one.mend, first, as_of],
        )
    published.publish(con, GOVERNANCE, window, len(found), run_id)


def orphaned(there: Definitions) -> Iterator[Concern]:
    """Give what the CRMs have under our prefix, or in our folder, and the activation has not."""
    for destination, found in there.items():
        for one in found:
            if one.declared is None:
                about = f"{destination} {one.kind} {one.address}"
                sentence = f"{destination} has the {one.kind} {one.name!r} ({one.address}), which nothing declares"
                yield Concern(Matter.ORPHANED, about, sentence, one.mend)


def drifted(there: Definitions) -> Iterator[Concern]:
    """Give what is in the CRMs otherwise than it is declared."""
    for destination, found in there.items():
        for one in found:
            for sentence, mend in one.differences:
                yield Concern(Matter.DRIFTED, f"{destination} {one.kind} {one.address}", sentence, mend)


def _unowned(con: Connection, activation: Activation) -> Iterator[Concern]:
    """Give what belongs to nobody, and what belongs to somebody who is no active user of any CRM that knows them."""
    if activation.governance.owner is None:
        yield Concern(
            Matter.UNOWNED,
            "governance.owner",
            "nobody answers for what belongs to the whole workspace: the field of our id, that of audiences, folders",
            "name an e-mail address or team:name as governance.owner",
        )
    rows = con.execute(f"SELECT lower(email) FROM {OWNERS} GROUP BY ALL HAVING NOT bool_or(active)").fetchall()
    left = {str(email) for (email,) in rows}
    declared = {f"properties.{p.name}": p.owner for p in activation.properties.values()}
    declared |= {f"audiences.{a.name}": a.owner for a in activation.audiences.values()}
    declared |= {"governance": activation.governance.owner or ""}
    for about, owner in declared.items():
        if owner.casefold() in left:
            yield Concern(
                Matter.UNOWNED,
                about,
                f"{about} belongs to {owner}, who is deactivated in the CRM",
                f"name somebody who answers for it as {about}.owner",
            )


def _unused(con: Connection, activation: Activation, as_of: datetime) -> Iterator[Concern]:
    span = activation.governance.unused_after
    told = format_duration(span)
    for name in uses.read_by_nobody(activation):
        yield Concern(
            Matter.UNUSED,
            f"properties.{name}",
            f"property {name} is delivered nowhere and read by no audience",
            f"deliver it, or remove properties.{name}",
        )
    for name, since in uses.empty_audiences(con, activation).items():
        if since <= as_of - span:
            yield Concern(
                Matter.UNUSED,
                f"audiences.{name}",
                f"nobody is in audience {name} since {since:%Y-%m-%d}, for more than {told}",
                f"`cio-activation check --explain {name}` says what it takes; mend its segment or gate, or remove "
                f"audiences.{name}",
            )
    for name, since in uses.empty_properties(con, activation).items():
        if since <= as_of - span:
            yield Concern(
                Matter.UNUSED,
                f"properties.{name}",
                f"nobody has a value of property {name} since {since:%Y-%m-%d}, for more than {told}",
                f"see whether Customer.io still sends what it is derived from, or remove properties.{name}",
            )


def _stale(con: Connection, activation: Activation, as_of: datetime) -> Iterator[Concern]:
    span = activation.governance.stale_after
    for about, reviewed in reviews.reviewed(con, activation).items():
        if reviewed.at is not None and reviewed.at <= as_of - span:
            days = (as_of - reviewed.at).days
            when = f"was last reviewed on {reviewed.at:%Y-%m-%d}"
            if not reviewed.ever:
                when = f"was never reviewed since it began on {reviewed.at:%Y-%m-%d}"
            signing = f", or `cio-activation sign {about.removeprefix('audiences.')}`" if "audiences." in about else ""
            yield Concern(
                Matter.STALE,
                about,
                f"{about} {when}, {days:,} days before {as_of:%Y-%m-%d}",
                f"look with {reviewed.owner} whether it is right and needed, then set {about}.reviewed{signing}",
            )


def _without_effect(con: Connection, activation: Activation, as_of: datetime) -> Iterator[Concern]:
    """Give the audiences that had the time to show something; nothing where the statistics are not installed."""
    found = compared(con, activation, as_of)
    began = {one.audience: one.first_entry for one in found}
    try:
        lifts = judge(found)
    except ConfigError:
        return  # the extra is not installed: `outcome/audiences` says so
    for one in lifts:
        first = began[one.audience]
        if one.verdict is not Verdict.NO_EFFECT or first is None or one.rates is None:
            continue
        if first <= as_of - activation.governance.retire_after:
            yield Concern(
                Matter.NO_EFFECT,
                f"audiences.{one.audience}",
                f"audience {one.audience} (version {one.version}) goes on since {first:%Y-%m-%d}, {one.sentence}: "
                f"{one.rates.treated_buyers:,} of {one.rates.treated:,} bought, and {one.rates.ghost_buyers:,} of "
                f"{one.rates.ghosts:,} who were held out",
                f"retire it: `cio-activation pause {one.audience} --why ...`, then remove audiences.{one.audience}",
            )
