"""What a person should be told of now, each with the numbers and the mend; limits are those of ``limits.alerts``.

Pure functions of the warehouse, the activation and an instant (naive UTC). Nothing is stopped by a warning. Its key
stays the same as long as it is about the same thing, so whoever tells of it can be quiet meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation, Lane
from cio_activation.customerio.segment_changes import Change
from cio_activation.outcome.late_actions import late_actions
from cio_activation.outcome.warning_kinds import FoundWarning, Kind
from cio_activation.warehouse import signatures
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import WARNINGS

TURNOVER_DAYS = 7


def warnings(
    con: Connection, activation: Activation, now: datetime, kinds: Collection[Kind] = tuple(Kind)
) -> list[FoundWarning]:
    """Return the warnings of ``kinds`` that hold at ``now`` (naive UTC), in the order of the kinds."""
    return [found for kind in Kind if kind in kinds for found in _FINDERS[kind](con, activation, now)]


def replace(con: Connection, found: Sequence[FoundWarning], now: datetime) -> None:
    """Make ``outcome.warnings`` hold exactly ``found``; what it held before keeps its ``since``."""
    since = dict(con.execute(f"SELECT key, since FROM {WARNINGS}").fetchall())
    con.execute(f"DELETE FROM {WARNINGS}")
    for one in found:
        con.execute(
            f"INSERT INTO {WARNINGS} VALUES (?, ?, ?, ?, ?, ?, ?)",
            [one.key, one.kind.value, one.about, one.sentence, one.mend, since.get(one.key, now), now],
        )


def last_found(con: Connection, kinds: Collection[Kind]) -> list[FoundWarning]:
    """Return the warnings of ``kinds`` as the table has them."""
    rows = con.execute(
        f"SELECT key, kind, about, sentence, mend FROM {WARNINGS} WHERE list_contains(?, kind) ORDER BY key",
        [[kind.value for kind in kinds]],
    ).fetchall()
    return [FoundWarning(key, Kind(kind), about, sentence, mend) for key, kind, about, sentence, mend in rows]


def _withheld(con: Connection, activation: Activation, *codes: str) -> list[tuple[str, int]]:
    """Return (audience, people withheld by ``codes``) by the newest counts of each declared audience."""
    return con.execute(
        """SELECT audience, CAST(sum(people) AS BIGINT)
        FROM audience.counts
        JOIN (SELECT audience, max(as_of) AS as_of FROM audience.counts GROUP BY audience) USING (audience, as_of)
        WHERE decision = 'withheld' AND list_contains(?, code) AND list_contains(?, audience)
        GROUP BY audience HAVING sum(people) > 0 ORDER BY audience""",
        [list(codes), list(activation.audiences)],
    ).fetchall()


def _no_owner(con: Connection, activation: Activation, _now: datetime) -> Iterator[FoundWarning]:
    for audience, people in _withheld(con, activation, "no_owner"):
        yield FoundWarning(
            f"{Kind.NO_OWNER}:{audience}",
            Kind.NO_OWNER,
            audience,
            f"audience {audience}: nobody of those named can act for {_people(people)}",
            "name an active user of the CRM, or a queue, under the action's `owner`",
        )


def _actions_over_limit(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    limit = activation.limits.alerts.actions_per_day
    zone = ZoneInfo(activation.workspace.timezone)
    day = now.replace(tzinfo=UTC).astimezone(zone).date()
    begins = datetime.combine(day, time(), zone).astimezone(UTC).replace(tzinfo=None)
    rows = con.execute(
        """SELECT audience, count(*) FROM delivery.actions WHERE opened_at >= ? AND opened_at <= ?
        GROUP BY audience ORDER BY 2 DESC, 1""",
        [begins, now],
    ).fetchall()
    total = sum(count for _, count in rows)
    if total > limit:
        most = ", ".join(f"{audience} {count:,}" for audience, count in rows[:3])
        yield FoundWarning(
            Kind.ACTIONS_OVER_LIMIT.value,
            Kind.ACTIONS_OVER_LIMIT,
            str(day),
            f"{total:,} new actions on {day}, more than {limit:,}: {most}",
            "`limits.capacity`, `launch.max_entries_per_day` or a narrower gate makes fewer; else raise "
            "`limits.alerts.actions_per_day`",
        )


def _people_waiting(con: Connection, activation: Activation, _now: datetime) -> Iterator[FoundWarning]:
    limit = activation.limits.alerts.people_waiting
    for audience, people in _withheld(con, activation, "capacity", "launch_limit"):
        if people > limit:
            yield FoundWarning(
                f"{Kind.PEOPLE_WAITING}:{audience}",
                Kind.PEOPLE_WAITING,
                audience,
                f"audience {audience}: {_people(people)} wait because the day or everybody's desk is full, more than "
                f"{limit:,}",
                "more people who act, a higher `limits.capacity` or `launch.max_entries_per_day`, or a narrower gate",
            )


def _reject_share(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    limits = activation.limits.alerts
    rows = con.execute(
        """SELECT destination, count(*) FILTER ("end" = 'rejected'), count(*) FROM delivery.ledger
        WHERE ended_at > ? AND ended_at <= ? AND kind <> 'link' AND "end" IN ('delivered', 'rejected')
        GROUP BY destination ORDER BY destination""",
        [now - timedelta(days=1), now],
    ).fetchall()
    for destination, rejected, total in rows:
        if total >= limits.share_floor and rejected > limits.reject_share * total:
            yield FoundWarning(
                f"{Kind.REJECT_SHARE}:{destination}",
                Kind.REJECT_SHARE,
                destination,
                f"{destination} rejected {rejected:,} of {total:,} operations of the last day "
                f"({rejected / total:.0%}), more than {limits.reject_share:.0%}",
                f"`cio-activation rejected --destination {destination}` says why",
            )


def _feedback_unread(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    span = activation.limits.alerts.feedback_unread_for
    asking = {(name, lane.value) for lane in Lane for a in activation.lane_audiences(lane) for name in a.asks()}
    rows = con.execute(
        "SELECT destination, lane, read_at, problem FROM feedback.readings ORDER BY destination, lane"
    ).fetchall()
    for destination, lane, read_at, problem in rows:
        if (destination, lane) not in asking or (problem is None and now - read_at <= span):
            continue
        since = f"since {read_at:%Y-%m-%d %H:%M} UTC, for more than {format_duration(span)}"
        yield FoundWarning(
            f"{Kind.FEEDBACK_UNREAD}:{destination}:{lane}",
            Kind.FEEDBACK_UNREAD,
            destination,
            f"{destination} was not asked what humans did ({lane} lane) {since}"
            if problem is None
            else f"{destination} could not be asked what humans did ({lane} lane): {problem}",
            "nobody enters a touch audience there meanwhile, exits go on; "
            + ("see whether the lane's runs succeed" if problem is None else "`cio-activation check` says more"),
        )


def _segment_changed(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    rows = con.execute(
        """SELECT segment_id, max(name), what, before, after, nth, min(observed_at) FROM (
            SELECT *, row_number() OVER (
                PARTITION BY lane, segment_id, what, before, after ORDER BY observed_at) AS nth
            FROM raw.segment_changes)
        WHERE observed_at > ? AND observed_at <= ?
        GROUP BY segment_id, what, before, after, nth ORDER BY min(observed_at), segment_id, what""",
        [now - activation.limits.alerts.segment_change_for, now],
    ).fetchall()
    for segment, name, what, before, after, nth, at in rows:
        if not (readers := _readers(activation, segment)):
            continue
        key = con.execute("SELECT md5(concat_ws(chr(31), ?, ?, ?))", [before, after, nth]).fetchall()[0][0][:8]
        yield FoundWarning(
            f"{Kind.SEGMENT_CHANGED}:{segment}:{what}:{key}",
            Kind.SEGMENT_CHANGED,
            f"segment {segment}",
            f"{Change(segment, name, what, before, after)} (found {at:%Y-%m-%d %H:%M} UTC); read by {readers}",
            "look at it in Customer.io; `cio-activation plan` says whom it moves, and `limits.guards` hold what moves "
            "too many",
        )


def _soft_segment(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    limits = activation.limits.alerts
    rows = con.execute(
        f"""SELECT segment_id, max(per_day), arg_max(members, per_day) FROM (
            SELECT segment_id, sum(entered + departed) / count(*) AS per_day, arg_max(members, day) AS members
            FROM raw.segment_turnover
            WHERE day > CAST(? AS DATE) - {TURNOVER_DAYS} AND day <= CAST(? AS DATE)
            GROUP BY lane, segment_id)
        GROUP BY segment_id ORDER BY segment_id""",
        [now, now],
    ).fetchall()
    for segment, per_day, members in rows:
        readers = _readers(activation, segment)
        if readers and members >= limits.share_floor and per_day > limits.segment_turnover * members:
            yield FoundWarning(
                f"{Kind.SOFT_SEGMENT}:{segment}",
                Kind.SOFT_SEGMENT,
                f"segment {segment}",
                f"Customer.io's segment {segment}, read by {readers}: {per_day:,.0f} come or go a day, "
                f"{per_day / members:.0%} of its {members:,} members, more than {limits.segment_turnover:.0%}",
                "people flap around its conditions: widen them, or give the audience a `grace`",
            )


def _near_duplicate(con: Connection, activation: Activation, _now: datetime) -> Iterator[FoundWarning]:
    limits = activation.limits.alerts
    rows = con.execute(
        """WITH inside AS (
            SELECT audience, cio_id FROM audience.memberships
            WHERE exited_at IS NULL AND NOT coalesce(ghost, FALSE) AND list_contains(?, audience)
        ), sizes AS (
            SELECT audience, count(*) AS people FROM inside GROUP BY audience HAVING count(*) >= ?
        ), alike AS ( -- two sets are never more alike than their sizes are
            SELECT a.audience AS one, b.audience AS other, a.people + b.people AS both_people
            FROM sizes AS a JOIN sizes AS b ON a.audience < b.audience
            WHERE least(a.people, b.people) > ? * greatest(a.people, b.people)
        ), pairs AS (
            SELECT p.one, p.other, p.both_people, count(*) AS shared
            FROM alike AS p
            JOIN inside AS a ON a.audience = p.one
            JOIN inside AS b ON b.audience = p.other AND b.cio_id = a.cio_id
            GROUP BY ALL
        )
        SELECT one, other, shared, both_people - shared FROM pairs
        WHERE shared > ? * (both_people - shared) ORDER BY one, other""",
        [list(activation.audiences), limits.share_floor, limits.audience_overlap, limits.audience_overlap],
    ).fetchall()
    for one, other, shared, either in rows:
        yield FoundWarning(
            f"{Kind.NEAR_DUPLICATE}:{one}:{other}",
            Kind.NEAR_DUPLICATE,
            f"{one}, {other}",
            f"audiences {one} and {other} have {shared:,} of {either:,} people in common ({shared / either:.0%}), more "
            f"than {limits.audience_overlap:.0%}",
            "one of them may do; else an `exclusive` group keeps people in one at a time",
        )


def _webhook_fair_use(con: Connection, activation: Activation, now: datetime) -> Iterator[FoundWarning]:
    allowed = activation.limits.alerts.webhook_fair_use
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    came, profiles = con.execute(
        """SELECT (SELECT count(*) FROM raw.moments
            WHERE source = 'journey' AND received_at >= ? AND received_at <= ?),
            (SELECT count(*) FROM identity.persons)""",
        [month, now],
    ).fetchall()[0]
    if profiles and 2 * came >= allowed * profiles:
        yield FoundWarning(
            Kind.WEBHOOK_FAIR_USE.value,
            Kind.WEBHOOK_FAIR_USE,
            f"{month:%Y-%m}",
            f"{came:,} webhooks of journeys since {month:%Y-%m-%d} for {profiles:,} profiles, {came / profiles:.1f} "
            f"each: half of the {allowed} messages a profile and month of Customer.io's fair use, or more",
            "have journeys send a webhook for what a human acts on only; segments are polled without any",
        )


def _unsigned(con: Connection, activation: Activation, _now: datetime) -> Iterator[FoundWarning]:
    """Give one warning for all of them: it is told once, and is over with the last signature."""
    if found := signatures.unsigned(con, activation):
        yield FoundWarning(
            Kind.UNSIGNED.value,
            Kind.UNSIGNED,
            ", ".join(a.name for a in found),
            signatures.sentence(found),
            signatures.MEND,
        )


def _readers(activation: Activation, segment: int) -> str:
    return ", ".join(a.name for a in activation.audiences.values() if a.segment == segment)


def _people(count: int) -> str:
    return f"{count:,} people" if count != 1 else "1 person"


_FINDERS: dict[Kind, Callable[[Connection, Activation, datetime], Iterator[Any]]] = {
    Kind.NO_OWNER: _no_owner,
    Kind.ACTIONS_OVER_LIMIT: _actions_over_limit,
    Kind.PEOPLE_WAITING: _people_waiting,
    Kind.LATE_ACTIONS: late_actions,
    Kind.REJECT_SHARE: _reject_share,
    Kind.FEEDBACK_UNREAD: _feedback_unread,
    Kind.SEGMENT_CHANGED: _segment_changed,
    Kind.SOFT_SEGMENT: _soft_segment,
    Kind.NEAR_DUPLICATE: _near_duplicate,
    Kind.WEBHOOK_FAIR_USE: _webhook_fair_use,
    Kind.UNSIGNED: _unsigned,
}
