"""Reading segment members from Customer.io into one kept file per segment; nothing here touches ``raw.memberships``."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson

from cio_activation.activation.models import Audience
from cio_activation.activation.windows import Window
from cio_activation.customerio import files
from cio_activation.customerio.client import CustomerIO, Segment
from cio_activation.customerio.files import KeptFile
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sql import literal, scalar
from cio_activation.warehouse.store import scratch

FINISHED = "finished"
COUNT_TOLERANCE = 0.01
"""Share by which members read may differ from Customer.io's own count, since people come and go while pages turn."""


@dataclass(frozen=True)
class Reading:
    """What asking for one segment gave: a file, or the reason why the last good picture is kept."""

    segment: int
    name: str
    file: KeptFile | None
    kept: str | None = None


def kind_of(segment: int) -> str:
    """Return the raw file kind of a segment's members."""
    return f"segment:{segment}"


def members_sql(file: KeptFile) -> str:
    """Return the query of a members file: ``cio_id`` (NULL if it has none), ``external_id``, doubles included."""
    return (
        "SELECT nullif(trim(cio_id), '') AS cio_id, nullif(id, '') AS external_id "
        f"FROM read_json({literal(str(file.path))}, format = 'newline_delimited', "
        "columns = {'cio_id': 'VARCHAR', 'id': 'VARCHAR', 'email': 'VARCHAR'})"
    )


async def read_segments(
    runtime: Runtime,
    client: CustomerIO,
    window: Window,
    audiences: Sequence[Audience],
    clock: Callable[[], datetime],
) -> list[Reading]:
    """Read every segment of these audiences, a few at a time; ConfigError if Customer.io has no such segment."""
    wanted = tuple(dict.fromkeys(a.segment for a in audiences))
    if not wanted:
        return []
    listed = {s.id: s for s in await client.segments()}
    _check_known(audiences, listed)
    gate = asyncio.Semaphore(4)

    async def one(segment: Segment) -> Reading:
        async with gate:
            return await _read(runtime, client, window, segment, clock)

    return list(await asyncio.gather(*(one(listed[number]) for number in wanted)))


def _check_known(audiences: Sequence[Audience], listed: dict[int, Segment]) -> None:
    there = ", ".join(f"{s.id} ({s.name})" for s in sorted(listed.values(), key=lambda s: s.id)) or "none"
    problems = [
        f"audience {a.name}: Customer.io has no segment {a.segment}; it has {there}"
        for a in audiences
        if a.segment not in listed
    ]
    if problems:
        raise ConfigError(*problems)


async def _read(
    runtime: Runtime, client: CustomerIO, window: Window, segment: Segment, clock: Callable[[], datetime]
) -> Reading:
    """Read one segment; twice if the number of members is not what Customer.io counts."""
    if segment.state != FINISHED:
        return Reading(segment.id, segment.name, None, f"still building (state {segment.state})")
    difference = 0
    for attempt in (1, 2):
        file = await _members_file(runtime, client, window, segment, clock)
        counted = await client.customer_count(segment.id)
        difference = abs(file.rows - counted)
        if difference == 0 or (attempt == 2 and difference <= max(1, math.ceil(counted * COUNT_TOLERANCE))):
            return Reading(segment.id, segment.name, file)
    return Reading(segment.id, segment.name, None, f"read {file.rows:,} members, but Customer.io counts {counted:,}")


async def _members_file(
    runtime: Runtime, client: CustomerIO, window: Window, segment: Segment, clock: Callable[[], datetime]
) -> KeptFile:
    """Write all pages to the segment's file; ``rows`` counts distinct people, as pages may repeat some."""
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
    file = KeptFile(kind_of(segment.id), final, files.sha256_of(final), 0, observed_at)
    with scratch() as con:  # not the warehouse: others may have it for seconds
        rows = scalar(con, f"SELECT count(DISTINCT cio_id) FROM ({members_sql(file)})")
    return KeptFile(file.kind, file.path, file.sha256, int(str(rows)), observed_at)
