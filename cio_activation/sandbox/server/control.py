"""The control surface ``/_sandbox``: read the log and the vendors' state, plan faults, set the clock, edit by hand.

``POST /_sandbox/agents`` with ``{"vendor": ..., "seed": ..., "outcome": FIELD, "agents": [...]}`` hires the humans of a
CRM (:mod:`cio_activation.sandbox.server.agents`), ``POST /_sandbox/agents/work`` with ``{"vendor": ..., "until": ...}``
lets them work up to an instant (default: now); ``GET /_sandbox/agents?vendor=`` tells all they did.
``POST /_sandbox/limits`` with ``{"vendor": ..., "on": false}`` lets any rate pass, for filling a large account.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.server.agents import Agents
from cio_activation.sandbox.server.core import Shared, Vendor


def control_routes(shared: Shared, vendors: dict[str, Vendor]) -> list[BaseRoute]:
    """Return the ``/_sandbox`` routes, the same on every vendor's port."""

    async def log(request: Request) -> Response:
        if request.method == "DELETE":
            shared.log.clear()
            return JSONResponse({})
        vendor = request.query_params.get("vendor")
        since = int(request.query_params.get("since", 0))
        limit = int(request.query_params["limit"]) if "limit" in request.query_params else None
        wanted = request.query_params.get("entries", "1") != "0"
        rows = [e.shown() for e in shared.log.since(since, vendor, limit)] if wanted else []
        names = list(vendors)
        return JSONResponse(
            {
                "entries": rows,
                "last": shared.log.last,
                "calls": {name: shared.log.calls(name) for name in names},
                "throttled": {name: shared.log.throttled(name) for name in names},
            }
        )

    async def state(request: Request) -> Response:
        vendor = request.query_params.get("vendor")
        return JSONResponse({n: v.state() for n, v in vendors.items() if vendor in (None, n)})

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            shared.faults.clear()
        elif request.method == "POST":
            given = await request.json()
            for fault in given if isinstance(given, list) else [given]:
                shared.faults.add(**fault)
        return JSONResponse([asdict(f) for f in shared.faults.planned])

    async def clock(request: Request) -> Response:
        if request.method == "POST":
            given = await request.json()
            if "set" in given:
                shared.clock.set(float(given["set"]))
            if "advance" in given:
                shared.clock.advance(float(given["advance"]))
        return JSONResponse({"now": shared.clock.now()})

    async def limits(request: Request) -> Response:
        given = await request.json()
        if given.get("vendor") not in vendors or not isinstance(given.get("on"), bool):
            return JSONResponse({"error": f"vendor must be one of {', '.join(vendors)}, on a boolean"}, status_code=400)
        vendors[given["vendor"]].hold_limits(given["on"])
        return JSONResponse(given)

    def humans(name: str | None) -> Agents:
        found = vendors[name or ""].agents
        if found is None:
            raise ValueError(f"nobody works in {name}")
        return found

    async def agents(request: Request) -> Response:
        try:
            if request.method == "POST":
                given = await request.json()
                return JSONResponse(humans(given.pop("vendor")).hire(given))
            deeds = humans(request.query_params.get("vendor")).deeds
            return JSONResponse({"deeds": [asdict(deed) for deed in deeds]})
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    async def work(request: Request) -> Response:
        given = await request.json()
        try:
            until = float(given.get("until", shared.clock.now()))
            return JSONResponse({"deeds": humans(given["vendor"]).work(until)})
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    async def edit(request: Request) -> Response:
        given = await request.json()
        try:
            return JSONResponse(vendors[given.pop("vendor")].edit(given))
        except (KeyError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, status_code=400)

    return [
        Route("/_sandbox/log", log, methods=["GET", "DELETE"]),
        Route("/_sandbox/state", state),
        Route("/_sandbox/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/_sandbox/clock", clock, methods=["GET", "POST"]),
        Route("/_sandbox/limits", limits, methods=["POST"]),
        Route("/_sandbox/edit", edit, methods=["POST"]),
        Route("/_sandbox/agents", agents, methods=["GET", "POST"]),
        Route("/_sandbox/agents/work", work, methods=["POST"]),
    ]
