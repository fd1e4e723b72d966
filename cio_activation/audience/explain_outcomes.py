"""What follows from an outcome, in sentences."""

from __future__ import annotations

from cio_activation.activation.durations import format_duration
from cio_activation.activation.models import Activation, Audience
from cio_activation.activation.outcomes import DATE_FIELD, OUTCOME_FIELD, Follows


def sentences(activation: Activation, audience: Audience) -> list[str]:
    """Return where outcomes are written and what each leads to in ``audience``; nothing where they are not read."""
    if audience.outcomes is None:
        return []
    prefix = activation.workspace.prefix
    where = (
        f"What came of it is read from `{prefix}{OUTCOME_FIELD}` on the record, with the day in `{prefix}{DATE_FIELD}`."
    )
    return [
        f"{where} People write these; they are emptied when the person enters anew.",
        *(f"{one.value}: {_told(audience, follows)}" for one, follows in audience.outcomes.each().items()),
    ]


def _told(audience: Audience, follows: Follows) -> str:
    cooldown = follows.cooldown if follows.cooldown is not None else audience.cooldown
    quiet = f"nobody asks again within {format_duration(cooldown)}" if cooldown else "nobody is kept out by it"
    if follows.retry is not None:
        times = "once" if follows.retry.max == 1 else f"{follows.retry.max} times"
        return (
            f"it is asked again {format_duration(follows.retry.after)} later, at most {times} and while the reason "
            f"lives; after that it ends, and {quiet}."
        )
    if follows.snooze is not None:
        back = f"comes again on the day beside it, or after {format_duration(follows.snooze)} without one"
        return f"it ends, and the person {back}{f'; {quiet}' if follows.cooldown is not None else ''}."
    listed = "; the person is listed for review by `cio-activation rejected`" if follows.review else ""
    return f"it ends, and {quiet}{listed}."
