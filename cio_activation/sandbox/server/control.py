"""The control surface ``/_sandbox``: read the log and the vendors' state, plan faults, set the clock, edit by hand.

``POST /_sandbox/limits`` with ``{"vendor": ..., "on": false}`` lets any rate pass, for filling a large account.
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.server.core import Shared, Vendor


def control_routes(shared: Shared, vendors: dict[str, Vendor]) -> list[BaseRoute]:
    """Return the ``/_sandbox`` routes: log, state, faults, clock, limits, edit. The same on every vendor's port."""

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
    ]
