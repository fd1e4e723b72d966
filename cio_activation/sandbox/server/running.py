"""Runs the three stand-ins in one process, each on its own port, in a thread of their own.

Port order: Customer.io (App and Track API) on the first, HubSpot on the second, Pipedrive on the third.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import uvicorn
from starlette.routing import BaseRoute
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cio_activation.sandbox.server.asgi_shell import vendor_app
from cio_activation.sandbox.server.control import control_routes
from cio_activation.sandbox.server.core import Shared, Vendor
from cio_activation.sandbox.server.recording import Change, Recording, play

ORDER = ("customerio", "hubspot", "pipedrive")


class _Protocol(HttpToolsProtocol):
    """uvicorn's own protocol, which also hands the TCP transport to the app so that faults can reset it."""

    def on_headers_complete(self) -> None:
        self.scope.setdefault("extensions", {})["sandbox.transport"] = self.transport  # type: ignore[assignment]
        super().on_headers_complete()


@dataclass
class RunningSandbox:
    """A sandbox that answers. ``urls`` maps vendor name to base address."""

    shared: Shared
    vendors: dict[str, Vendor]
    urls: dict[str, str] = field(default_factory=dict)
    _stop: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Stop answering and free the ports."""
        self._stop()

    def environment(self) -> dict[str, str]:
        """Return the settings that point the project at this sandbox, with the credentials it accepts."""
        return {
            "CUSTOMERIO_APP_API_KEY": "sandbox-app-key",
            "CUSTOMERIO_TRACK_SITE_ID": "sandbox-site",
            "CUSTOMERIO_TRACK_API_KEY": "sandbox-track-key",
            "CUSTOMERIO_WEBHOOK_SIGNING_KEY": "sandbox-signing-key",
            "CUSTOMERIO_APP_URL": self.urls["customerio"],
            "CUSTOMERIO_TRACK_URL": self.urls["customerio"],
            "HUBSPOT_ACCESS_TOKEN": "sandbox-hubspot-token",
            "HUBSPOT_URL": self.urls["hubspot"],
            "PIPEDRIVE_API_TOKEN": "sandbox-pipedrive-token",
            "PIPEDRIVE_URL": self.urls["pipedrive"],
        }


def start(
    vendors: dict[str, Vendor],
    shared: Shared,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    recording: Recording | None = None,
) -> RunningSandbox:
    """Start every vendor and return once all ports answer. ``port=0`` takes free ports.

    ``recording``: what it has is done first, and what changes the vendors from then on is added to it.
    """
    control = control_routes(shared, vendors)
    if recording is not None and (changes := recording.changes()):
        _bring_back(vendors, shared, control, changes)
    running = RunningSandbox(shared, vendors)
    servers: list[uvicorn.Server] = []
    sockets: list[socket.socket] = []
    for index, name in enumerate(n for n in ORDER if n in vendors):
        app: ASGIApp = vendor_app(vendors[name], control, recording)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Without it every small answer waits some 45 ms for the client's delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((host, port + index if port else 0))
        config = uvicorn.Config(
            app,
            http=_Protocol,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            date_header=False,  # each vendor tells its own time
        )
        servers.append(uvicorn.Server(config))
        sockets.append(listener)
        running.urls[name] = f"http://{host}:{listener.getsockname()[1]}"

    ready = threading.Event()

    async def serve() -> None:
        tasks = [asyncio.create_task(s.serve(sockets=[k])) for s, k in zip(servers, sockets, strict=True)]
        while not all(s.started for s in servers):
            await asyncio.sleep(0.01)
        ready.set()
        await asyncio.gather(*tasks)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="sandbox", daemon=True)
    thread.start()
    if not ready.wait(20):
        raise RuntimeError("the sandbox did not start within 20 s")

    def stop() -> None:
        for server in servers:
            server.should_exit = True
        thread.join(10)

    running._stop = stop
    return running


def _bring_back(vendors: dict[str, Vendor], shared: Shared, control: list[BaseRoute], changes: list[Change]) -> None:
    """Bring the vendors to where the changes left them; nobody is told of it as of something new."""
    for vendor in vendors.values():
        vendor.hold_limits(False)
    own = RunningSandbox(shared, vendors, dict.fromkeys(vendors, "")).environment()
    track = f"{own['CUSTOMERIO_TRACK_SITE_ID']}:{own['CUSTOMERIO_TRACK_API_KEY']}"
    credentials = {
        ("customerio", "authorization", "Bearer"): f"Bearer {own['CUSTOMERIO_APP_API_KEY']}",
        ("customerio", "authorization", "Basic"): f"Basic {base64.b64encode(track.encode()).decode()}",
        ("hubspot", "authorization", "Bearer"): f"Bearer {own['HUBSPOT_ACCESS_TOKEN']}",
        ("pipedrive", "x-api-token", ""): own["PIPEDRIVE_API_TOKEN"],
    }
    apps = {name: vendor_app(vendor, control) for name, vendor in vendors.items()}
    play(changes, apps, shared.clock, credentials)
    for vendor in vendors.values():
        vendor.hold_limits(True)
    shared.log.clear()
