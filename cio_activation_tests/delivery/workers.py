"""Real workers of one step against a real vendor, each in a process of its own.

``python -m cio_activation_tests.delivery.workers serve`` is a vendor that makes a new record at every creation it is
asked for, whoever asks; ``... work HOME JOURNAL_URL`` waits for a line on its input and then runs the step once.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.delivery.links import fold_links
from cio_activation.delivery.run import run_step
from cio_activation.destinations.common.kinds import RECORDS
from cio_activation.journal.operations import End, Operation, Result, person_claim_sql
from cio_activation.runtime import Runtime
from cio_activation.transport.http import Pacer, VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy import ToyOptions
from cio_activation_tests.drivers.toy_bench import sized

VENDOR, KIND = "TOY_URL", "TOY_KIND"
"""Environment of a worker: where the vendor is, and the kind of its operations (``create`` if unset)."""
LIMIT = (400.0, 1.0)


class Registry:
    """The vendor. A record is there before the answer is on its way, as with every real one."""

    def __init__(self) -> None:
        self.made: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.delay_s = 0.1
        routes = [
            Route("/people", self.create, methods=["POST"]),
            Route("/found", self.found, methods=["POST"]),
            Route("/state", self.state),
            Route("/delay/{seconds:float}", self.slow_down, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)

    async def create(self, request: Request) -> Response:
        people = await request.json()
        self.calls[request.headers["x-worker"]] += 1
        self.made.update(people)
        await asyncio.sleep(self.delay_s)
        return JSONResponse({"ids": {p: f"record-{p}" for p in people}})

    async def found(self, request: Request) -> Response:
        return JSONResponse({"ids": {p: f"record-{p}" for p in await request.json() if self.made[p]}})

    async def state(self, request: Request) -> Response:
        return JSONResponse({"made": self.made, "calls": self.calls})

    async def slow_down(self, request: Request) -> Response:
        self.delay_s = request.path_params["seconds"]
        return Response()


class Creations(AbsoluteStep):
    kinds = RECORDS
    name = "people"
    lane: Lane | None = Lane.DAILY
    description = "A record for everyone."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ("state/daily_properties",)
    batch_size = 5
    concurrency = 2

    def plan(self, con: Connection, context: Context) -> str:
        kind = os.environ.get(KIND, "create")
        record = "CAST(NULL AS VARCHAR)" if kind == "create" else "cio_id"
        return f"""SELECT {literal(kind)} AS kind, cio_id, {record} AS record_id, CAST(NULL AS VARCHAR) AS target,
            '{{}}' AS payload, '{{}}' AS keys, CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority, '' AS batch_group,
            {person_claim_sql("cio_id")} AS claim
            FROM state.daily_properties ANTI JOIN delivery.links USING (cio_id)"""

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        people = [o.cio_id for o in batch]
        answer = await client.request("POST", "/people", operation="people.create", json=people, repeatable=False)
        ids = answer.json()["ids"]
        return [Result(o.operation_id, End.DELIVERED, record_id=ids[o.cio_id]) for o in batch]

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        people = [o.cio_id for o in open]
        answer = await client.request("POST", "/found", operation="people.found", json=people, repeatable=True)
        ids = answer.json()["ids"]
        return [
            Result(o.operation_id, End.DELIVERED, "found", record_id=ids[o.cio_id])
            if o.cio_id in ids
            else Result(o.operation_id, End.RETRY, "not there")
            for o in open
        ]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        fold_links(con, "toy", self.kinds, finished)


class RemoteToy:
    """A destination at the address in ``TOY_URL``."""

    name = "toy"
    settings_model = ToyOptions
    audience_model = ToyOptions

    def steps(self, activation: Activation) -> list[Creations]:
        return [Creations()]

    @asynccontextmanager
    async def connect(self, settings: Any, pacer: Pacer) -> Any:
        headers = {"x-worker": str(os.getpid())}
        async with VendorClient("toy", os.environ[VENDOR], headers, pacer=pacer) as client:
            yield client

    def limits(self, activation: Activation) -> dict[str, tuple[float, float]]:
        return {"default": LIMIT}

    async def ensure_schema(self, client: VendorClient, context: Context) -> dict[str, Any]:
        return {}

    async def check(self, client: VendorClient, context: Context) -> list[str]:
        return []


def runtime(home: Path, journal_url: str) -> Runtime:
    """Return what every worker of these tests works with."""
    return builders.runtime(home, sized(), journal_url=journal_url)


def work(home: Path, journal_url: str) -> None:
    run, toy = runtime(home, journal_url), RemoteToy()
    print("ready", flush=True)
    sys.stdin.readline()
    report = run_step(run, toy, toy.steps(run.activation)[0], builders.window(), f"run-{os.getpid()}")
    print(json.dumps(asdict(report), default=str), flush=True)


def serve() -> None:
    config = uvicorn.Config(Registry().app, port=0, log_level="warning")
    socket = config.bind_socket()
    print(f"http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else work(Path(sys.argv[2]), sys.argv[3])
