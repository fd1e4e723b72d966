"""What actions need to know of the company: activity types, stages of pipelines; and what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.actions import AUDIENCE_OWNER, NOBODY, RECORD_OWNER, ActionPriority, Queue, Rotation
from cio_activation.activation.models import Activation, Audience
from cio_activation.destinations.pipedrive.activity_sending import PRIORITY, TYPE, activity_options
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.config import ActivityOptions, DealOptions
from cio_activation.destinations.pipedrive.deal_sending import STAGE, USER, deal_options


def asking(activation: Activation) -> list[tuple[Audience, ActivityOptions]]:
    """Return the audiences that ask for an activity, and how."""
    return [(a, o) for a in activation.audiences.values() if (o := activity_options(a)) is not None]


async def entries(api: PipedriveApi, activation: Activation) -> dict[str, Any]:
    """Return the catalog's entries of actions; asks nothing where no audience has any."""
    found: dict[str, Any] = {}
    if asking(activation):
        found |= {TYPE + str(t["key_string"]): t["name"] for t in await api.activity_types() if t.get("active_flag")}
        found |= _priorities(await api.activity_fields())
    if dealing(activation):
        found |= {STAGE + name: place for name, place in (await _places(api, activation)).items() if place is not None}
        found[USER] = str((await api.me())["id"])
    return found


def _priorities(fields: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the numbers of the priorities that read like ours; in another language they are left alone."""
    options = [o for f in fields if f.get("field_code") == "priority" for o in f.get("options") or ()]
    labels = {str(o["label"]).strip().casefold(): str(o["id"]) for o in options}
    return {PRIORITY + p: int(labels[p]) for p in ActionPriority if p in labels and labels[p].isdigit()}


def dealing(activation: Activation) -> list[tuple[Audience, DealOptions]]:
    """Return the audiences that ask for a deal, and how."""
    return [(a, o) for a in activation.audiences.values() if (o := deal_options(a)) is not None]


async def _places(api: PipedriveApi, activation: Activation) -> dict[str, dict[str, Any] | None]:
    """Return audience -> where its deals go: pipeline, stage, and the stages before that; None: it is not there."""
    pipelines, stages = await api.pipelines(), await api.stages()
    found: dict[str, dict[str, Any] | None] = {}
    for audience, options in dealing(activation):
        found[audience.name] = None
        for pipeline in [p for p in pipelines if _is(p, options.pipeline)][:1]:
            its = [s for s in stages if s["pipeline_id"] == pipeline["id"]]
            for stage in [s for s in its if _is(s, options.stage)][:1]:
                before = sorted(s["id"] for s in its if s["order_nr"] < stage["order_nr"])
                found[audience.name] = {"pipeline": pipeline["id"], "stage": stage["id"], "before": before}
    return found


def _is(record: Mapping[str, Any], named: str) -> bool:
    """Return whether a pipeline or stage is meant by its id, or by its name in any case."""
    return str(record["id"]) == named or str(record["name"]).strip().casefold() == named.strip().casefold()


async def problems(api: PipedriveApi, activation: Activation) -> list[str]:
    """Return what no activity can be made with, each with its mend; at most 50 tokens."""
    asked, told = asking(activation), []
    for name, place in (await _places(api, activation) if dealing(activation) else {}).items():
        if place is None:
            told.append(
                f"audience {name}: Pipedrive has no such stage in such a pipeline; write their names or ids as deals "
                "show them"
            )
    if not asked:
        return told
    types = sorted(str(t["key_string"]) for t in await api.activity_types() if t.get("active_flag"))
    told += [
        f"audience {audience.name}: Pipedrive has no activity type {options.type!r} in use; take one of "
        f"{', '.join(types)}, or add it under Company settings"
        for audience, options in asked
        if options.type not in types
    ]
    users = await api.users()
    for audience, options in asked:
        told += _owner_problems(audience, options, users)
    return told


def _owner_problems(audience: Audience, options: ActivityOptions, users: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return who of a chain cannot be given work; the audience's owner only where nobody else is named."""
    active = {str(u.get("email") or "").lower(): bool(u.get("active_flag")) for u in users}
    place = f"audience {audience.name}: deliver.pipedrive.activity"
    where, told = f"{place}.owner", []
    named: list[str] = []
    for one in options.owner:
        if isinstance(one, Queue):
            told.append(f"{where}: Pipedrive has no queues; name people, or {{rotate: [...]}}")
        elif isinstance(one, Rotation):
            named += one.rotate
        elif one not in (RECORD_OWNER, AUDIENCE_OWNER, NOBODY):
            named.append(one)
    if AUDIENCE_OWNER in options.owner and len(options.owner) == 1:
        named.append(audience.owner)
    leads = options.sla.named() if options.sla is not None else ()
    asked = [(where, email) for email in named] + [(f"{place}.sla", email) for email in leads]
    for key, email in dict.fromkeys(asked):
        if email.lower() not in active:
            told.append(f"{key}: {email} is no user of the company; invite them, or name somebody else")
        elif not active[email.lower()]:
            told.append(f"{key}: {email} is deactivated in Pipedrive and is passed over; name somebody else")
    return told
