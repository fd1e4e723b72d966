"""What applies to an audience because of moments, in sentences: where it starts from one, or asks for some."""

from __future__ import annotations

from cio_activation.activation.durations import format_duration
from cio_activation.activation.expressions import moments_read
from cio_activation.activation.models import Activation, Audience


def of_source(audience: Audience, pace: str) -> list[str]:
    """Return where the people of an audience come from that starts from a moment."""
    source = audience.moment
    if source is None:
        return []
    told = [f"People come by the moment `{source.name}` of Customer.io's webhooks, {pace}."]
    if source.where is not None:
        told.append(f"Of these moments only those of which this holds: `{source.where}`.")
    if audience.expires_after is not None:
        span = format_duration(audience.expires_after)
        told.append(f"A moment counts for {span} from when it happened; one that comes later lets nobody in.")
    return [*told, "Each lets its person in once at most; one that happens meanwhile belongs to the same entry."]


def of_exits(audience: Audience) -> list[str]:
    """Return how a stay by a moment ends by itself."""
    if audience.expires_after is None:
        return []
    return [f"It ends by itself {format_duration(audience.expires_after)} after the newest moment happened."]


def of_expressions(activation: Activation, audience: Audience) -> list[str]:
    """Return that moments count by their own time, if an expression of the audience asks for some."""
    asked = sorted({count.name for count in moments_read(activation, audience)})
    if not asked:
        return []
    names = " and ".join(f"`{name}`" for name in asked)
    return [f"Moments ({names}) count by when they happened, however late they came; clicks of machines never do."]
