"""A third destination, as a stranger would add it: this one module, and one entry in the list of destinations.

Its vendor keeps a dictionary of people behind a real HTTP interface (an ASGI app).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery import fields, links
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.destinations.common.kinds import RECORDS, VALUES
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier


class ToyOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    flag: bool = True


class ToyVendor:
    """Upserts people by key; refuses a whole batch when one value is the word ``bad``."""

    def __init__(self) -> None:
        self.people: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self.answers: list[int | str] = []
        """Planned answers of the next calls: a status, or ``lost`` (applied, then no answer)."""
        self.app = Starlette(routes=[Route("/people", self.put, methods=["PUT"])])

    async def put(self, request: Request) -> Response:
        self.calls += 1
        planned = self.answers.pop(0) if self.answers else 200
        if isinstance(planned, int) and planned != 200:
            return JSONResponse({"code": f"E{planned}"}, planned)
        given = await request.json()
        if any("bad" in values.values() for values in given.values()):
            return JSONResponse({"code": "BAD_VALUE"}, 400)
        for key, values in given.items():
            self.people.setdefault(key, {}).update(values)
        if planned == "lost":
            raise httpx.ReadError("connection reset")
        return JSONResponse({"done": list(given)})


class ToyFields(AbsoluteStep):
    kinds = RECORDS
    batch_size = 4
    concurrency = 2
    after: tuple[str, ...] = ()
    description = "People with their state."

    def __init__(self, lane: Lane, names: Sequence[str]) -> None:
        self.lane, self.names = lane, names
        self.name = f"people_{lane}"
        self.needs = (f"state/{lane}_properties",)

    def reads(self, context: Context) -> tuple[str, ...]:
        return f"state.{self.lane}_properties", fields.shadow_name("toy", str(self.lane))

    def refresh(self, con: Connection, context: Context) -> None:
        fields.ensure_shadow(con, "toy", str(self.lane), self.names)

    def plan(self, con: Connection, context: Context) -> str:
        state, shadow = self.reads(context)
        chosen = ", ".join(f"CAST({identifier(n)} AS VARCHAR) AS {identifier(n)}" for n in self.names)
        acked = context.scope.rows(shadow)
        desired = f"SELECT cio_id, cio_id AS record_id, hash_toy AS row_hash, {chosen} FROM {context.scope.rows(state)}"
        changes = fields.changes(desired, shadow, self.names, kinds=VALUES, keys="'{}'", acked=acked)
        return f"{changes} UNION ALL BY NAME {fields.clears(desired, shadow, self.names, kinds=VALUES, acked=acked)}"

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        body = {o.cio_id: dict(o.payload) for o in batch}
        answer = await client.request("PUT", "/people", operation="people.put", json=body, repeatable=False)
        done = set(answer.json()["done"])
        return [Result(o.operation_id, End.DELIVERED, record_id=o.cio_id) for o in batch if o.cio_id in done]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        shadow = fields.ensure_shadow(con, "toy", str(self.lane), self.names)
        fields.fold_values(con, shadow, self.names, self.kinds, finished)
        links.fold_links(con, "toy", self.kinds, finished)


class ToyDestination:
    name = "toy"
    settings_model = ToyOptions
    audience_model = ToyOptions

    def __init__(self) -> None:
        self.vendor = ToyVendor()

    def steps(self, activation: Activation) -> list[ToyFields]:
        return [
            ToyFields(lane, [p.name for p in chosen])
            for lane in Lane
            if (chosen := activation.lane_properties(lane, self.name))
        ]

    @asynccontextmanager
    async def connect(self, settings: Any, pacer: Pacer) -> Any:
        transport = httpx.ASGITransport(self.vendor.app)
        async with VendorClient("toy", "http://toy", {}, pacer=pacer, transport=transport, backoff_s=0.0) as client:
            yield client

    def limits(self, activation: Activation) -> Mapping[str, tuple[float, float]]:
        return {}

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        return {"people": "people"}

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        return []


DESTINATION = ToyDestination()
