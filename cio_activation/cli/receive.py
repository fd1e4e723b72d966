"""``cio-activation receive``: the webhook receiver."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cio_activation.cli.output import Json, emit, exit_codes, notes

if TYPE_CHECKING:
    from cio_activation.customerio.inbox import Inbox


def receive(
    host: Annotated[str, typer.Option(help="Address to listen on; TLS is for the proxy in front of it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8780,
    max_body: Annotated[int, typer.Option(min=1_024, help="Largest body taken, in bytes.")] = 1_048_576,
    json: Json = False,
) -> None:
    """Take Customer.io's webhooks into the journal's inbox until interrupted; every 200 is durable."""
    from cio_activation.activation.settings import Settings
    from cio_activation.customerio.receiver_server import run_receiver

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # else one line a refused connection

    def announce(url: str) -> None:
        paths = {"reporting": f"{url}/webhooks/reporting", "journey": f"{url}/webhooks/journey"}
        if json:
            emit({"ok": True, "url": url, "webhooks": paths, "health": f"{url}/healthz", "metrics": f"{url}/metrics"})
            return
        notes.print(f"Receiving at {url}")
        for name, path in paths.items():
            notes.print(f"  {name:<10} {path}")
        notes.print(f"  health     {url}/healthz\n  metrics    {url}/metrics")

    with exit_codes(json):
        settings = Settings()
        beside: Callable[[Inbox], Coroutine[Any, Any, None]] | None = None
        if settings.dagster_webserver_url:
            from cio_activation.automation.trigger import Trigger

            address = settings.dagster_webserver_url.rstrip("/")
            beside = lambda inbox: Trigger(inbox, address).watch()  # noqa: E731
        run_receiver(settings, host, port, max_body, announce, beside)
