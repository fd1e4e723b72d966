"""Reading segment members from Customer.io into one raw file per segment; nothing here touches ``raw.memberships``."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import orjson

from cio_activation.activation.models import Audience
from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.answers import Segment
from cio_activation.customerio.client import AT_ONCE, PAGE, CustomerIO
from cio_activation.customerio.files import RawFile, UnusableFile
from cio_activation.customerio.segment_probe import digest
from cio_activation.customerio.segment_shortcut import SegmentShortcut
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.transport.errors import Rejected
from cio_activation.warehouse.sessions import SqlError, scratch
from cio_activation.warehouse.sql import literal, scalar

FINISHED = "finished"
COUNT_TOLERANCE = 0.01
"""Share by which members read may differ from Customer.io's own count, since people come and go while pages turn."""


@dataclass(frozen=True)
class Reading:
    """What asking for one segment gave: a file, or that the last snapshot stands, or why it has to."""

    segment: int
    name: str
    file: RawFile | None
    retained: str | None = None
    places: Mapping[str, bool] = field(default_factory=dict)
    """Without a file: ``cio_id`` -> whether that person is in the segment now, of those who were asked for."""
    fingerprint: str = ""
    """What ``segment_probe.fingerprint`` says of the segment while it is as it was here; empty if that is not known."""
    explained: bool = True
    """False: the count says that more happened than was found out."""
    set_aside: tuple[str, ...] = ()
    """Why what was read before could not be used."""
    listed: Segment | None = None
    """The segment as Customer.io lists it; None if only its raw file was read again."""


def members_sql(file: RawFile) -> str:
    """Return the query of a members file: ``cio_id`` (NULL if it has none), ``external_id``, doubles included."""
    return (
        # A list or an object is read as its text.
        "SELECT CASE WHEN regexp_full_match(trim(cio_id), '[^\\s\\[{]\\S*') THEN trim(cio_id) END AS cio_id, "
        "nullif(id, '') AS external_id "
        f"FROM read_json({literal(str(file.path))}, format = 'newline_delimited', "
        "columns = {'cio_id': 'VARCHAR', 'id': 'VARCHAR', 'email': 'VARCHAR'})"
    )


async def read_segments(
    runtime: Runtime,
    client: CustomerIO,
    window: Window,
    audiences: Sequence[Audience],
    clock: Callable[[], datetime],
    before: SegmentShortcut | None = None,
    *,
    seen: Mapping[int, datetime],
) -> list[Reading]:
    """Read every segment of these audiences, a few at a time; ConfigError if Customer.io has no such segment.

    ``seen``: segment -> the ``updated_at`` it had last; conditions are asked for where it has another.

    With ``before``, big ones whose count shows that nothing else happened are not read, see :class:`SegmentShortcut`.
    """
    wanted = tuple(dict.fromkeys(a.segment for a in audiences if a.segment is not None))
    if not wanted:
        return []
    listed = {s.id: s for s in await client.segments()}
    _check_known(audiences, listed)
    at_once = asyncio.Semaphore(AT_ONCE)
    big = [s for s in wanted if before and before.is_enough(s)]
    places = await _places(client, before, at_once) if before and big else None

    async def one(segment: Segment) -> Reading:
        if segment.updated_at is not None and seen.get(segment.id) != segment.updated_at:
            async with at_once:
                segment = replace(segment, conditions=await client.conditions(segment.id))
        return replace(await members(segment), listed=segment)

    async def members(segment: Segment) -> Reading:
        async with at_once:
            if before and places is not None and segment.id in big and segment.state == FINISHED:
                counted = await client.customer_count(segment.id)
                explained = counted == before.expected(segment.id, places)
                if explained or before.can_wait(segment.id, clock()):
                    inside = {cio_id: segment.id in there for cio_id, there in places.items()}
                    seen = str(counted) if explained else ""  # the sensor is to find it changed
                    return Reading(segment.id, segment.name, None, places=inside, fingerprint=seen, explained=explained)
            return await _read(runtime, client, window, segment, clock)

    return list(await asyncio.gather(*(one(listed[number]) for number in wanted)))


async def _places(
    client: CustomerIO, before: SegmentShortcut, at_once: asyncio.Semaphore
) -> dict[str, frozenset[int]] | None:
    """Return which segments the people with news are in; None if Customer.io does not tell: then all are read."""

    async def one(cio_id: str) -> frozenset[int]:
        async with at_once:
            return await client.segments_of(cio_id)

    try:
        return dict(zip(before.news, await asyncio.gather(*map(one, before.news)), strict=True))
    except Rejected:
        return None


def _check_known(audiences: Sequence[Audience], listed: dict[int, Segment]) -> None:
    there = ", ".join(f"{s.id} ({s.name})" for s in sorted(listed.values(), key=lambda s: s.id)) or "none"
    problems = [
        f"audience {a.name}: Customer.io has no segment {a.segment}; it has {there}"
        for a in audiences
        if a.segment is not None and a.segment not in listed
    ]
    if problems:
        raise ConfigError(*problems)


async def _read(
    runtime: Runtime, client: CustomerIO, window: Window, segment: Segment, clock: Callable[[], datetime]
) -> Reading:
    """Read one segment; twice if what came is no list of members, or not as many as Customer.io counts."""
    if segment.state != FINISHED:
        return Reading(segment.id, segment.name, None, f"still building (state {segment.state})")
    difference = 0
    aside: tuple[str, ...] = ()
    for attempt in (1, 2):
        try:
            file, seen = await _members_file(runtime, client, window, segment, clock)
        except UnusableFile as problem:
            aside += (str(problem),)
            if attempt == 2:
                return Reading(segment.id, segment.name, None, str(problem), set_aside=aside)
            continue
        counted = await client.customer_count(segment.id)
        difference = abs(file.rows - counted)
        if difference == 0 or (attempt == 2 and difference <= max(1, math.ceil(counted * COUNT_TOLERANCE))):
            return Reading(segment.id, segment.name, file, fingerprint=seen or str(counted), set_aside=aside)
    told = f"read {file.rows:,} members, but Customer.io counts {counted:,}"
    return Reading(segment.id, segment.name, None, told, set_aside=aside)


async def _members_file(
    runtime: Runtime, client: CustomerIO, window: Window, segment: Segment, clock: Callable[[], datetime]
) -> tuple[RawFile, str]:
    """Write all pages to the segment's file; ``rows`` counts distinct people, as pages may repeat some.

    Returned with it: the digest of a small segment's members. UnusableFile, and the file is set aside, if a row is no
    member: nothing can then be said of who is missing.
    """
    folder = runtime.raw_folder(window.lane.value, window.key)
    final = folder / f"segment_{segment.id}.jsonl"
    part = files.part_of(final)
    observed_at = clock()
    with part.open("wb") as out:
        async for page in client.membership(segment.id):
            out.writelines(orjson.dumps(member, option=orjson.OPT_APPEND_NEWLINE) for member in page)
        out.flush()
        os.fsync(out.fileno())
    files.settle(part, final)
    file = RawFile(files.segment_kind(segment.id), final, files.sha256_of(final), 0, observed_at)
    try:
        with scratch() as con:  # not the warehouse: others may have it for seconds
            rows = int(str(scalar(con, f"SELECT count(DISTINCT cio_id) FROM ({members_sql(file)})")))
            small = con.execute(f"SELECT cio_id FROM ({members_sql(file)}) WHERE {rows <= PAGE}").fetchall()
    except SqlError:
        reason = f"the answer about segment {segment.id} has rows that are no members"
        with runtime.warehouse.write() as con:
            files.set_aside(con, runtime.settings.activation_home, window, file, reason)
        raise UnusableFile(reason) from None
    seen = digest(str(cio_id) for (cio_id,) in small) if rows <= PAGE else ""
    return replace(file, rows=rows), seen
