"""Puts a whole sandbox together: one world, one clock, three vendors, running."""

from __future__ import annotations

from typing import Any

from cio_activation.sandbox.customerio.app import CustomerIO
from cio_activation.sandbox.server.core import Shared, Vendor
from cio_activation.sandbox.server.recording import Recording
from cio_activation.sandbox.server.running import ORDER, RunningSandbox, start
from cio_activation.sandbox.world.people import CRM_SHARE
from cio_activation.sandbox.world.world import World

PIPEDRIVE_SHARE = 0.1
"""Sales teams keep fewer people than marketing does."""


def build_sandbox(
    world: World,
    *,
    port: int = 0,
    host: str = "127.0.0.1",
    now: float | None = None,
    vendors: tuple[str, ...] = ORDER,
    export_seconds: float = 0.5,
    crm_share: float = CRM_SHARE,
    pipedrive_share: float = PIPEDRIVE_SHARE,
    customerio: dict[str, Any] | None = None,
    hubspot: dict[str, Any] | None = None,
    pipedrive: dict[str, Any] | None = None,
    recording: Recording | None = None,
) -> RunningSandbox:
    """Start the vendors over ``world`` and return them running; the caller stops them.

    The vendors' clock starts at ``now`` (default: where the world's history ends) and goes on with real time.
    ``port=0`` takes free ports, else the vendors listen on ``port`` and the next two. ``export_seconds``: real time
    until a Customer.io export is ready. Before anything is delivered, ``crm_share`` of the people are in HubSpot and
    ``pipedrive_share`` in Pipedrive. The three dictionaries are further keyword options of the vendors'
    classes, such as rates, tier and plan. ``recording``: see :func:`cio_activation.sandbox.server.running.start`.
    """
    shared = Shared()
    shared.clock.set(world.ends_at if now is None else now)
    world.warm(shared.clock.now())
    built: dict[str, Vendor] = {}
    if "customerio" in vendors:
        built["customerio"] = CustomerIO(shared, world, **{"export_seconds": export_seconds, **(customerio or {})})
    if "hubspot" in vendors:
        from cio_activation.sandbox.hubspot.app import HubSpot

        built["hubspot"] = HubSpot(shared, world.crm_seed(crm_share), **(hubspot or {}))
    if "pipedrive" in vendors:
        from cio_activation.sandbox.pipedrive.app import Pipedrive

        built["pipedrive"] = Pipedrive(shared, world.crm_seed(pipedrive_share), **(pipedrive or {}))
    return start(built, shared, port=port, host=host, recording=recording)
