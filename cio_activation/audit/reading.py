"""Reads back who was chosen, into a file: the warehouse is closed meanwhile, and nothing is believed before the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import orjson

from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import OpenAction, SeenAction, Status
from cio_activation.delivery.read_back import Comparable, ListsMembers, ReadsBack, SeenRecord
from cio_activation.transport.errors import BudgetSpent
from cio_activation.transport.http import VendorClient

ABREAST = 8
"""Batches that are read at once."""


@dataclass
class Reading:
    """What was read."""

    comparable: Comparable
    records: int = 0
    actions: int = 0
    deleted: list[tuple[str, SeenAction]] = field(default_factory=list)
    """Actions that are gone, with their person's ``cio_id``."""
    members: dict[str, list[str]] = field(default_factory=dict)
    """Audience -> record ids on its list, where that was read whole."""
    ended_early: str | None = None


async def read(
    destination: ReadsBack,
    client: VendorClient,
    context: Context,
    *,
    chosen: Path,
    seen: Path,
    actions: Mapping[str, Sequence[OpenAction]],
    calls: int | None,
    lists: bool,
) -> Reading:
    """Read the people in ``chosen`` and their ``actions`` into ``seen``; with ``lists``, whoever else is on our lists.

    Ends early where the calls are spent: ours (``calls``) or the vendor's of the day.
    """
    found = Reading(await destination.comparable(client, context))
    batches, per_batch = _batches(chosen, destination.read_at_once), 1
    try:
        with seen.open("wb") as file:
            while found.ended_early is None:
                left = None if calls is None else calls - _made(client)
                abreast = ABREAST if left is None else min(ABREAST, max(left // per_batch, 1))
                group = list(islice(batches, abreast if found.records else 1))
                if not group:
                    break
                if left is not None and left <= 0:
                    found.ended_early = f"{calls:,} calls were made: those drawn later were not read"
                    break
                before = _made(client)
                await asyncio.gather(*(_people(destination, client, context, g, found, file) for g in group))
                await _actions(destination, client, context, [c for g in group for c in g], actions, found)
                per_batch = max(per_batch, -(-(_made(client) - before) // len(group)))
        if lists and isinstance(destination, ListsMembers) and found.ended_early is None:
            await _lists(destination, client, context, found, calls)
    except BudgetSpent as error:
        found.ended_early = str(error)
    return found


async def _people(
    destination: ReadsBack,
    client: VendorClient,
    context: Context,
    people: Sequence[tuple[str, str]],
    found: Reading,
    file: BinaryIO,
) -> None:
    # Before the call: what is written there while it answers may or may not be in the answer.
    read_at = datetime.now(UTC).replace(tzinfo=None)
    whose = {record: cio_id for cio_id, record in people}
    records = await destination.records(client, context, whose, found.comparable.fields)
    file.writelines(_line(whose[one.record_id], read_at, one) for one in records)
    found.records += len(records)


def _line(cio_id: str, read_at: datetime, one: SeenRecord) -> bytes:
    row = {
        "cio_id": cio_id,
        "record_id": one.record_id,
        "read_at": read_at.isoformat(),
        "presence": str(one.presence),
        "key": one.key,
        "values_now": dict(one.values),
        "audiences": None if one.audiences is None else list(one.audiences),
        "shown": dict(one.shown),
    }
    return orjson.dumps(row) + b"\n"


async def _actions(
    destination: ReadsBack,
    client: VendorClient,
    context: Context,
    people: Sequence[tuple[str, str]],
    actions: Mapping[str, Sequence[OpenAction]],
    found: Reading,
) -> None:
    whose = {one.record_id: cio_id for cio_id, _ in people for one in actions.get(cio_id, ())}
    asked = [one for cio_id, _ in people for one in actions.get(cio_id, ())]
    if asked:
        seen = await destination.actions_back(client, context, asked)
        found.actions += len(asked)
        found.deleted += [(whose[one.record_id], one) for one in seen if one.status is Status.DELETED]


async def _lists(
    destination: ListsMembers, client: VendorClient, context: Context, found: Reading, calls: int | None
) -> None:
    for audience in found.comparable.sizes:
        listed: list[str] = []
        async for page in destination.members_of(client, context, audience):
            listed += page
            if calls is not None and _made(client) >= calls:
                found.ended_early = f"{calls:,} calls were made: not all lists were read"
                return
        found.members[audience] = listed


def _batches(chosen: Path, size: int) -> Iterator[list[tuple[str, str]]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(chosen) as file:
        for batch in file.iter_batches(batch_size=size, columns=["cio_id", "record_id"]):
            yield list(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))


def _made(client: VendorClient) -> int:
    return sum(client.calls.made.values())
