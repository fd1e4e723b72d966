"""The Customer.io stand-in: credentials, region and rate; the routes are in the modules beside it.

Facts: the vendor's App API document and fact sheet. Error bodies are the current ``errors`` list with ``detail``
and ``status`` (text). Where the documents are silent the stand-in takes the less convenient choice: a segment that
is not finished shows only a part of its members, and an e-mail with an unencoded ``@`` or ``+`` finds nobody.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.customerio.activities import ActivityRoutes
from cio_activation.sandbox.customerio.answers import Refusal, answering, nowhere
from cio_activation.sandbox.customerio.files import ExportRoutes
from cio_activation.sandbox.customerio.manual_edits import apply_edit
from cio_activation.sandbox.customerio.people import PeopleRoutes
from cio_activation.sandbox.customerio.segments import SegmentRoutes
from cio_activation.sandbox.customerio.track import Track
from cio_activation.sandbox.customerio.workspace import Workspace
from cio_activation.sandbox.server.core import Shared, Vendor
from cio_activation.sandbox.server.rolling_window import RollingWindow
from cio_activation.sandbox.world.world import World

APP_KEY = "sandbox-app-key"
URLS = {"us": "https://api.customer.io", "eu": "https://api-eu.customer.io"}
EVERY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class CustomerIO(Vendor):
    """Customer.io over a world.

    ``export_seconds``: real seconds an export stays pending. ``requests_per_second``: the App API's general limit,
    not held when ``limited`` is false. ``region`` is where this host stands, ``account_region`` where the account
    lives (default: the same). ``environment_id``: which workspace of the account this is.
    """

    name = "customerio"

    def __init__(
        self,
        shared: Shared,
        world: World,
        *,
        export_seconds: float = 0.5,
        requests_per_second: int = 10,
        limited: bool = True,
        region: str = "us",
        account_region: str | None = None,
        environment_id: int = 100,
    ) -> None:
        super().__init__(shared)
        self.world = world
        self.workspace = Workspace(world, shared.clock.now, export_seconds)
        self.webhooks = self.workspace.webhooks
        self.region, self.account_region = region, account_region or region
        self.limited = limited
        self.track = Track(world, self.workspace.activities, self.account_region, environment_id)
        self._window = RollingWindow(requests_per_second, 1.0)

    def routes(self) -> list[BaseRoute]:
        """Return the App API, the export files and the Track API; every other path is answered with 404."""
        return [
            *ExportRoutes(self.workspace).routes(),
            *SegmentRoutes(self.workspace).routes(),
            *PeopleRoutes(self.workspace).routes(),
            *ActivityRoutes(self.workspace).routes(),
            *self.track.routes(),
            Route("/{path:path}", answering(nowhere), methods=EVERY_METHOD),
        ]

    def admit(self, request: Request) -> Response | None:
        """Check the credentials of the surface, the region and the App API's rate."""
        path = request.url.path
        if path.startswith("/export-files/"):
            return None
        if path.startswith("/api/"):
            return self.track.refusal(request)
        if request.headers.get("authorization") != f"Bearer {APP_KEY}":
            return Refusal(401, "unauthorized").response
        if self.region != self.account_region:
            elsewhere = f"{URLS[self.account_region]}{path}"
            return Refusal(301, "the account is in another region", {"Location": elsewhere}).response
        if not self.workspace.quota_left:
            # Without Retry-After: the documents give the header for the per-second limit only.
            return Refusal(429, "daily request quota reached").response
        if self.limited and not self._window.take():
            wait = str(max(1, math.ceil(self._window.resets_in)))
            limit = f"rate limited to {self._window.limit} requests per 1s"
            return Refusal(429, limit, {"Retry-After": wait}).response
        return None

    def state(self) -> dict[str, Any]:
        """Return segments with their counts, exports, hand-set attributes and what the Track API took."""
        snapshot = self.world.at(self.workspace.instant())
        return {
            "at": snapshot.at,
            "frozen": self.workspace.frozen_at is not None,
            "people": len(snapshot),
            "source": self.world.source,
            "segments": {
                str(s.id): {
                    "name": s.name,
                    "type": s.type,
                    "state": s.state,
                    "count": snapshot.count(s.id),
                }
                for s in self.world.segments.values()
            },
            "exports": self.workspace.exports.shown(),
            "attributes": self.world.custom,
            "track": self.track.state(),
            "webhooks": self.webhooks.state(),
        }

    def hold_limits(self, on: bool) -> None:
        """Hold the rate windows from now on, or only count."""
        self.limited = on

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply one action by hand; see :mod:`cio_activation.sandbox.customerio.manual_edits`."""
        return apply_edit(self.workspace, change)
