"""Deals (v2), as far as an activation needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive import body_checks
from cio_activation.sandbox.pipedrive.envelope import Call, Query, Refusal, missing, ok, utc
from cio_activation.sandbox.pipedrive.fields import Fields
from cio_activation.sandbox.pipedrive.links import Links, link
from cio_activation.sandbox.pipedrive.pipelines import Pipelines
from cio_activation.sandbox.pipedrive.table import Table

CAPPED = "feature_capping_deals_limit"
BUILT_IN = (("id", "ID", "int"), ("title", "Title", "varchar"), ("value", "Value", "monetary"))
_PLAIN = ("title", "owner_id", "person_id", "org_id", "pipeline_id", "stage_id", "value", "currency", "status")
INCLUDED = (
    *("next_activity_id", "last_activity_id", "first_won_time", "products_count", "files_count", "notes_count"),
    *("followers_count", "email_messages_count", "activities_count", "done_activities_count"),
    *("undone_activities_count", "participants_count", "last_incoming_mail_time", "last_outgoing_mail_time"),
    *("smart_bcc_email", "source_lead_id"),
)
"""What ``include_fields`` may name; the sandbox counts nothing of it: counts are 0, the rest is null."""
_TIMES = {"won_time": ("won",), "lost_time": ("lost",), "close_time": ("won", "lost")}
"""Times that may be written, and the states of a deal they are allowed in."""
_EMPTY = ("origin_id", "channel", "channel_id", "source_lead_id", "acv", "arr", "mrr")
_MORE = ("probability", "lost_reason", "visible_to", "expected_close_date", "label_ids", "is_archived")


@dataclass(slots=True)
class Deal:
    """One deal; ``values`` holds what v2 shows as it was written."""

    id: int
    add_time: int
    update_time: int
    values: dict[str, Any]
    times: dict[str, str | None]
    custom: dict[str, Any] = field(default_factory=dict)
    is_deleted: bool = False
    creator: int = 1


class Deals:
    """All deals and their endpoints."""

    def __init__(self, links: Links, pipelines: Pipelines, most: int) -> None:
        self.table: Table[Deal] = Table()
        self.fields: Fields
        self._links, self._most = links, most
        self._ids = count(1)
        self._pipelines = pipelines

    def _body(self, call: Call, *, new: bool) -> dict[str, Any]:
        call.query.done()
        raw = call.json()
        custom = isinstance(raw, dict) and "custom_fields" in raw
        problems = self.fields.problems(raw["custom_fields"]) if custom else []
        schema: dict[str, body_checks.Check] = {
            "title": body_checks.text(255, 1),
            "owner_id": body_checks.integer(self._links.users(), "user"),
            "person_id": link(self._links.person, "person"),
            "org_id": link(self._links.org, "organization"),
            "pipeline_id": body_checks.integer(self._open_pipelines(), "pipeline"),
            "stage_id": body_checks.integer(self._pipelines.usable(), "stage"),
            "value": body_checks.nullable(body_checks.number),
            "currency": lambda v: None if isinstance(v, str) and len(v) == 3 else "expected an ISO 4217 code",
            "status": body_checks.one_of("open", "won", "lost"),
            "probability": body_checks.nullable(body_checks.number),
            "lost_reason": body_checks.nullable(body_checks.text(255)),
            "visible_to": body_checks.integer((1, 3, 5, 7), "visibility"),
            "expected_close_date": body_checks.nullable(body_checks.calendar_date),
            "label_ids": body_checks.array(body_checks.integer((), "label")),
            "is_archived": body_checks.boolean,
            "is_deleted": body_checks.boolean,
            **dict.fromkeys((*_TIMES, "archive_time"), body_checks.nullable(_written_time)),
            "custom_fields": lambda _value: None,
        }
        return body_checks.body_of(call, schema, ("title",) if new else (), lambda _given: problems)

    def create(self, call: Call) -> Response:
        """``POST /deals``."""
        return ok(self.view(self.make(self._body(call, new=True))), 201)

    def make(self, given: dict[str, Any], creator: int = 1) -> Deal:
        """Create a deal from a checked body; the token is user 1's."""
        if len(self.table) >= self._most:
            raise Refusal(403, f"The plan allows {self._most} deals", CAPPED)
        now = int(self._links.now())
        values: dict[str, Any] = dict.fromkeys(_PLAIN + _MORE)
        values |= {"owner_id": 1, "value": 0, "currency": "USD", "status": "open", "visible_to": 3, "label_ids": []}
        values |= {"pipeline_id": None, "stage_id": None, "is_archived": False}
        times = dict.fromkeys(("stage_change_time", "close_time", "won_time", "lost_time", "archive_time"))
        deal = Deal(next(self._ids), now, now, values, times, creator=creator)
        self._assign(deal, given)
        self.table.add(deal)
        return deal

    def _open_pipelines(self) -> set[int]:
        return {stage["pipeline_id"] for stage in self._pipelines.usable().values()}

    def update(self, call: Call) -> Response:
        """``PATCH /deals/{id}``; an archived deal is read-only but for its un-archiving."""
        deal = self._alive(call)
        given = self._body(call, new=False)
        if deal.values["is_archived"] and given.get("is_archived") is not False:
            raise Refusal(403, "An archived deal is read-only", "ERR_FORBIDDEN")
        if given:
            self.change(deal, given)
        return ok(self.view(deal))

    def change(self, deal: Deal, given: dict[str, Any]) -> None:
        """Change only the given keys."""
        self._assign(deal, given)
        self.table.touch(deal, self._links.now())
        if given.get("is_deleted"):
            self.table.remove(deal, self._links.now())

    def delete(self, call: Call) -> Response:
        """``DELETE /deals/{id}`` (soft)."""
        call.query.done()
        deal = self._alive(call)
        self.table.remove(deal, self._links.now())
        return ok({"id": deal.id})

    def show(self, call: Call) -> Response:
        """``GET /deals/{id}``."""
        show = self._showing(call.query)
        call.query.done()
        deal = self.table.rows.get(call.id)
        if deal is None:
            raise missing("Deal")
        return ok(show(deal))

    def index(self, call: Call) -> Response:
        """``GET /deals``: archived deals are left out."""
        return self._index(call, self._showing(call.query), archived=False)

    def index_archived(self, call: Call) -> Response:
        """``GET /deals/archived``."""
        return self._index(call, self._showing(call.query, labels=False), archived=True)

    def _index(self, call: Call, show: Callable[[Deal], dict[str, Any]], *, archived: bool) -> Response:
        query = call.query
        if query.has("filter_id"):
            raise missing("Filter")
        only = query.ids()
        status = query.choice("status", ("open", "won", "lost", "deleted"), "")
        names = ("owner_id", "person_id", "org_id", "pipeline_id", "stage_id")
        wanted = {name: value for name in names if (value := query.integer(name)) is not None}
        if status == "deleted":
            gone = [i for i, d in self.table.rows.items() if d.is_deleted]
            only = gone if only is None else [i for i in gone if i in set(only)]
        elif only is not None:
            only = [i for i in dict.fromkeys(only) if self.table.get(i)]

        def keep(deal: Deal) -> bool:
            if deal.values["is_archived"] is not archived or (
                status not in ("", "deleted") and deal.values["status"] != status
            ):
                return False
            return all(deal.values[name] == value for name, value in wanted.items())

        rows, cursor = self.table.page(query, keep=keep, only=only)
        return ok([show(d) for d in rows], next_cursor=cursor)

    def _showing(self, query: Query, *, labels: bool = True) -> Callable[[Deal], dict[str, Any]]:
        """Read the parameters that shape a deal's answer; ``labels``: whether options and labels may be spelled out."""
        codes = query.words("custom_fields", 15)
        if wrong := [c for c in codes or () if c not in self.fields.custom]:
            query.problem(f"custom_fields: unknown {', '.join(wrong)}")
        expand = labels and bool(query.flag("include_option_labels"))
        labelled = labels and bool(query.flag("include_labels"))
        extra = query.words("include_fields", len(INCLUDED), INCLUDED) or []

        def show(deal: Deal) -> dict[str, Any]:
            seen = self.view(deal, codes, expand=expand)
            if labelled:
                seen["labels"] = []  # deals have no labels here
            return seen | {name: 0 if name.endswith("_count") else None for name in extra}

        return show

    def of_person(self, person_id: int) -> list[Deal]:
        """Return a person's deals."""
        return [d for d in self.table.living() if d.values["person_id"] == person_id]

    def repoint(self, old: int, new: int) -> None:
        """Move a merged person's deals to the survivor."""
        for deal in self.of_person(old):
            deal.values["person_id"] = new

    def custom_values(self) -> Iterable[dict[str, Any]]:
        """Yield every deal's custom values."""
        return (d.custom for d in self.table.rows.values())

    def _alive(self, call: Call) -> Deal:
        deal = self.table.get(call.id)
        if deal is None:
            raise missing("Deal")
        return deal

    def _assign(self, deal: Deal, given: dict[str, Any]) -> None:
        status = given.get("status", deal.values["status"])
        if given.get("lost_reason") is not None and status != "lost":
            raise Refusal(400, "lost_reason is only allowed when status is lost")
        if wrong := [n for n, states in _TIMES.items() if given.get(n) is not None and status not in states]:
            raise Refusal(400, f"{', '.join(wrong)}: not allowed while the deal is {status}")
        now = utc(self._links.now())
        stage = given.get("stage_id", deal.values["stage_id"])
        if stage is None or ("pipeline_id" in given and "stage_id" not in given):
            pipeline = given.get("pipeline_id", 1)
            stage = self._pipelines.first_stage(pipeline)
        pipeline = self._pipelines.stages[stage]["pipeline_id"]
        if given.get("pipeline_id", pipeline) != pipeline:
            raise Refusal(400, "stage_id does not belong to pipeline_id")
        if deal.values["stage_id"] not in (None, stage):
            deal.times["stage_change_time"] = now
        if status != deal.values["status"]:
            won, lost = (now if status == end else None for end in ("won", "lost"))
            deal.times |= {"won_time": won, "lost_time": lost, "close_time": won or lost}
        deal.times |= {name: _shown_time(given[name]) for name in (*_TIMES, "archive_time") if name in given}
        if given.get("is_archived") and deal.times["archive_time"] is None:
            deal.times["archive_time"] = now
        self.fields.write(deal.custom, given.get("custom_fields", {}))
        deal.values |= {k: v for k, v in given.items() if k in deal.values}
        deal.values |= {"stage_id": stage, "pipeline_id": pipeline}

    def view(self, deal: Deal, codes: list[str] | None = None, *, expand: bool = False) -> dict[str, Any]:
        """Return a deal as v2 shows it."""
        return {
            "id": deal.id,
            **deal.values,
            **deal.times,
            "add_time": utc(deal.add_time),
            "update_time": utc(deal.update_time),
            "is_deleted": deal.is_deleted,
            "creator_user_id": deal.creator,
            "origin": "API" if deal.creator == 1 else "ManuallyCreated",
            **dict.fromkeys(_EMPTY),
            **{f"local_{end}_date": (deal.times[f"{end}_time"] or "")[:10] or None for end in ("won", "lost", "close")},
            "custom_fields": self.fields.read(deal.custom, codes, expand=expand),
        }


def _written_time(value: Any) -> str | None:
    """Return why ``value`` is no time as deals take it: ``YYYY-MM-DD HH:MM:SS``, UTC."""
    try:
        datetime.strptime(value, "%Y-%m-%d %H:%M:%S")
    except (TypeError, ValueError):
        return "expected YYYY-MM-DD HH:MM:SS"
    return None


def _shown_time(written: str | None) -> str | None:
    return None if written is None else written.replace(" ", "T") + "Z"
