"""Announces failed runs, a held plan among them, to one address of the user's choosing."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import dagster as dg

from cio_activation.activation.settings import Settings
from cio_activation.errors import CioActivationError
from cio_activation.transport.http import VendorClient


@dg.run_failure_sensor(
    name="alert_on_failure",
    description="Posts each failed run to ALERT_URL: lane, window, steps and their own words; no personal data.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Tell the configured address; without one, only Dagster's own log has it."""
    address = Settings().alert_url
    if address is None:
        return dg.SkipReason("ALERT_URL is not set")
    run = context.dagster_run
    failed = "; ".join(_words(e) for e in context.get_step_failure_events()) or str(context.failure_event.message)
    window = run.tags.get("dagster/partition", "no partition")
    text = f"cio_activation: {run.job_name} {window} failed: {failed} (run {run.run_id})"
    try:
        asyncio.run(post(address.get_secret_value(), text))
    except CioActivationError as error:
        # The address may hold a token, and the error names only the operation.
        context.log.error(f"the alert could not be delivered: {error}")
    return None


def _words(event: dg.DagsterEvent) -> str:
    """Return a failed step and its failure's description; of a defect only the kind, its text may hold anything."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    cause = data.error.cause or data.error if data.error else None
    return f"{event.step_key}: {cause.cls_name if cause else 'failed'}"


async def post(address: str, text: str) -> None:
    """Post ``{"text": text}`` to ``address``; raises VendorError if it is not taken."""
    parts = urlsplit(address)
    async with VendorClient("alerts", f"{parts.scheme}://{parts.netloc}", {}) as client:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        await client.request("POST", path, operation="alert", json={"text": text}, repeatable=True)
