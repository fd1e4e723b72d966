"""Checks the way into Customer.io: credentials, region, source segments. Four small reads; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.customerio.answers import Segment
from cio_activation.customerio.client import CustomerIO
from cio_activation.errors import CioActivationError
from cio_activation.transport import event_loop
from cio_activation.transport.http import Pacer
from cio_activation.warehouse import accounts


def check_customerio(
    settings: Settings, activation: Activation, pacer: Pacer, workspace: str | None = None
) -> list[str]:
    """Return what stands in the way of a run, each with its mend; ConfigError if a credential is missing.

    ``workspace``: the one this home belongs to, if that is known.
    """
    return event_loop.run(_ask(settings, activation, pacer, workspace))


async def _ask(settings: Settings, activation: Activation, pacer: Pacer, workspace: str | None) -> list[str]:
    async with CustomerIO(settings, pacer) as vendor:
        problems: list[str] = []
        try:
            answer = await vendor.region()
            problems += region_problems(settings, answer) + workspace_problems(settings, answer, workspace)
        except CioActivationError as error:
            problems.append(mended(error, "CUSTOMERIO_TRACK_URL"))
        try:
            problems += segment_problems(activation, await vendor.segments())
        except CioActivationError as error:
            problems.append(mended(error, "CUSTOMERIO_APP_URL"))
        return problems


def mended(error: CioActivationError, address: str) -> str:
    """Return the error with what to do, if it does not name a setting itself."""
    told = str(error)
    return told if "CUSTOMERIO_" in told else f"{told}; see whether {address} is right and Customer.io is up"


def region_problems(settings: Settings, answer: Mapping[str, Any]) -> list[str]:
    """Return the mend if the account lives in another region than the settings say."""
    region = str(answer.get("region", "")).lower()
    if region and region != settings.customerio_region:
        return [f"the account is in region {region!r}; set CUSTOMERIO_REGION={region}"]
    return []


def workspace_problems(settings: Settings, answer: Mapping[str, Any], workspace: str | None) -> list[str]:
    """Return the mends if the Track key is of another workspace than ``workspace``."""
    found = answer.get("environment_id")
    if found is None:
        return []
    problem = accounts.difference("customerio", workspace, str(found), settings.activation_home)
    return [problem] if problem else []


def segment_problems(activation: Activation, segments: tuple[Segment, ...]) -> list[str]:
    """Return a sentence for each audience whose source segment is missing."""
    known = {s.id: s.name for s in segments}
    listed = ", ".join(f"{i} ({n})" for i, n in sorted(known.items()))
    return [
        f"audiences.{a.name}.segment: Customer.io has no segment {a.segment}; it has {listed or 'none'}"
        for a in activation.audiences.values()
        if a.segment is not None and a.segment not in known
    ]
