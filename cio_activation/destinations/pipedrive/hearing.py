"""What Pipedrive can be asked about people who act: users, what became of activities, who is being looked after.

Every call costs the same for one record as for a hundred, and comes out of the company's day: a real-time run asks what
changed since the last reading where that is cheaper, and what was deleted is then learned by the next daily one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outcomes import OutcomeFields, OutcomesAsked
from cio_activation.delivery.outreach import HandledBy, OpenAction, Owner, PersonContext, SeenAction, Status
from cio_activation.destinations.pipedrive import outcome_fields
from cio_activation.destinations.pipedrive.activity_calls import ActivityCalls, SeenActivity, instant
from cio_activation.destinations.pipedrive.activity_sending import ACTIVITY
from cio_activation.destinations.pipedrive.api import MAX_IDS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME, PipedriveAudience, settings_of
from cio_activation.destinations.pipedrive.deal_calls import DealCalls, SeenDeal
from cio_activation.destinations.pipedrive.deal_sending import DEAL
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Warehouse

OVERLAP = timedelta(minutes=5)
"""Before the last reading: what clocks may differ by, and what was committed late."""
_ASKED = (
    "open_deals_count", "undone_activities_count", "next_activity_id", "last_outgoing_mail_time",
    "last_incoming_mail_time",
)  # fmt: skip


class Hearing:
    """Implements ``delivery.outreach.HearsBack``."""

    def asks(self, activation: Activation) -> bool:
        """Return whether some audience asks for an action here."""
        declared = [a.deliver.get(NAME) for a in activation.audiences.values()]
        return any(isinstance(d, PipedriveAudience) and d.asks_somebody for d in declared)

    async def owners(self, client: VendorClient, context: Context) -> list[Owner]:  # noqa: ARG002
        """Return every user of the company; 20 tokens."""
        return [
            Owner(
                str(user["id"]),
                str(user["email"]).lower() if user.get("email") else None,
                bool(user.get("active_flag")) and not user.get("is_deleted"),
                user.get("timezone_name") or None,
            )
            for user in await PipedriveApi(client).users()
        ]

    async def actions(self, client: VendorClient, context: Context, open: Sequence[OpenAction]) -> list[SeenAction]:
        """Return what became of activities and deals: 10 tokens for each hundred, or for 500 activities that changed.

        By what changed only in the real-time lane, and only where that is cheaper: deletions show in no such list.
        Of notes nothing is asked: they are never done, and what was written into one is seen when it is next written.
        """
        return await self._activities(client, context, open) + await self._deals(client, open)

    async def _deals(self, client: VendorClient, open: Sequence[OpenAction]) -> list[SeenAction]:
        """Return what became of deals; one that a list leaves out is archived, or deleted: one token tells which."""
        asked = {action.record_id: action for action in open if action.kind == DEAL.word}
        calls, ids = DealCalls(client), list(asked)
        there: dict[str, SeenDeal | None] = {}
        for start in range(0, len(ids), MAX_IDS):
            there |= {deal.record_id: deal for deal in await calls.by_ids(ids[start : start + MAX_IDS])}
        there |= {i: await calls.get(i) for i in ids if i not in there}
        return [_told_deal(asked[i], deal) for i, deal in there.items()]

    async def _activities(self, client: VendorClient, context: Context, open: Sequence[OpenAction]) -> list[SeenAction]:
        asked = {action.record_id: action for action in open if action.kind == ACTIVITY.word}
        calls, whole = ActivityCalls(client), ceil(len(asked) / MAX_IDS)
        since = _last_reading(context) if whole > 1 else None
        if since is not None:
            changed = await _changed(calls, since, most=whole)
            if changed is not None:
                return [_told(asked[a.record_id], a) for a in changed if a.record_id in asked and _counts(asked, a)]
        there: dict[str, SeenActivity] = {}
        ids = list(asked)
        for start in range(0, len(ids), MAX_IDS):
            there |= {a.record_id: a for a in await calls.by_ids(ids[start : start + MAX_IDS])}
        gone = [SeenAction(i, Status.DELETED) for i in ids if i not in there]
        return gone + [_told(asked[i], a) for i, a in there.items() if _counts(asked, a)]

    async def contexts(
        self, client: VendorClient, context: Context, records: Sequence[str], ours: Sequence[OpenAction]
    ) -> list[PersonContext]:
        """Return who has each person and what they are in; 10 tokens for each hundred.

        Pipedrive counts a person's open activities and deals: of these, ours are taken off.
        """
        api, found, written = PipedriveApi(client), [], outcome_fields.codes(context)
        mine = Counter((a.about, a.kind) for a in ours)
        activities = {a.record_id for a in ours if a.kind == ACTIVITY.word}
        for start in range(0, len(records), MAX_IDS):
            page = await api.engagement(records[start : start + MAX_IDS], _ASKED, tuple(written.values()))
            now = page.told_at or (context.window.as_of if context.window else None)
            recent = None if now is None else now - settings_of(context.activation).recent_contact
            for person in page.rows:
                if person.get("is_deleted"):
                    continue
                about, owner = str(person["id"]), person.get("owner_id")
                # After a merge an activity of ours is with somebody else than it was made for: the next one shows it.
                shown = int(str(person.get("next_activity_id")) in activities)
                acts = int(person.get("undone_activities_count") or 0) - max(mine[about, ACTIVITY.word], shown)
                deals = int(person.get("open_deals_count") or 0) - mine[about, DEAL.word]
                mails = [instant(person.get(f"last_{way}_mail_time")) for way in ("outgoing", "incoming")]
                last = max((at for at in mails if at is not None), default=None)
                handled, at = _handled(acts, deals, last, recent)
                said = outcome_fields.fields_of(person, written, context.catalog)
                found.append(PersonContext(about, None if owner is None else str(owner), handled, at, said))
        return found

    async def outcomes(self, client: VendorClient, context: Context, asked: OutcomesAsked) -> list[OutcomeFields]:
        """Return what humans wrote into the fields of outcomes; 10 tokens for each hundred."""
        return await outcome_fields.outcomes(client, context, asked)


def _handled(
    activities: int, deals: int, last_mail: datetime | None, recent: datetime | None
) -> tuple[HandledBy | None, datetime | None]:
    if activities > 0:
        return HandledBy.OPEN_ACTIVITY, None
    if deals > 0:
        return HandledBy.OPEN_DEAL, None
    if last_mail is not None and recent is not None and last_mail > recent:
        return HandledBy.CONTACTED, last_mail
    return None, None


def _counts(asked: dict[str, OpenAction], activity: SeenActivity) -> bool:
    """Return whether it says something of a human: not if we completed it, and the answer to that got lost."""
    known = asked[activity.record_id]
    return not (activity.done and activity.ended_by_us and known.status is Status.OPEN)


def _told(known: OpenAction, there: SeenActivity) -> SeenAction:
    """Return what became of an activity. Pipedrive has no state between open and done: a human's words are one."""
    if there.deleted:
        return SeenAction(there.record_id, Status.DELETED)
    if there.done:
        status = Status.DONE
    elif known.status is Status.TAKEN_UP or (known.shown is not None and known.shown != there.shown):
        status = Status.TAKEN_UP
    else:
        status = Status.OPEN
    return SeenAction(there.record_id, status, there.done_at if there.done else None, there.owner_id, there.due_at)


def _told_deal(known: OpenAction, there: SeenDeal | None) -> SeenAction:
    """Return what became of a deal: closed is done, moved or archived by a human is taken up."""
    if there is None:
        return SeenAction(known.record_id, Status.DELETED)
    if there.status != "open":
        return SeenAction(known.record_id, Status.DONE, there.closed_at, there.owner_id)
    ours = known.status is Status.OPEN and not there.archived and known.shown in (None, there.shown)
    return SeenAction(known.record_id, Status.OPEN if ours else Status.TAKEN_UP, None, there.owner_id)


async def _changed(calls: ActivityCalls, since: datetime, most: int) -> list[SeenActivity] | None:
    """Return the activities that changed since then, of everybody's; None if that takes ``most`` pages or more."""
    found: list[SeenActivity] = []
    pages = 0
    async for page in calls.changed_since(f"{since - OVERLAP:%Y-%m-%dT%H:%M:%SZ}"):
        found += page
        pages += 1
        if pages >= most:
            return None
    return found


def _last_reading(context: Context) -> datetime | None:
    """Return when a real-time run last read all that is open; None if each has to be asked for."""
    if context.window is None or context.window.lane is not Lane.REALTIME:
        return None
    settings = context.settings
    with Warehouse(settings.warehouse_path, memory_limit=settings.activation_duckdb_memory).read() as con:
        rows = con.execute(
            "SELECT max(read_at) FROM feedback.readings WHERE destination = ? AND lane = ? AND problem IS NULL",
            [NAME, str(context.window.lane)],
        ).fetchall()
    at = rows[0][0] if rows else None
    return at if isinstance(at, datetime) else None
