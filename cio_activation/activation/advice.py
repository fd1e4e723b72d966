"""What is worth thinking about in an activation, though nothing in it is wrong: sentences, each with its reason."""

from __future__ import annotations

from collections import defaultdict

from cio_activation.activation.models import Activation

PROPERTIES_AT_A_START = 8
TOUCH_AUDIENCES_AT_A_START = 2


def advice(activation: Activation, *, starting: bool) -> list[str]:
    """Return the advice; ``starting``: nothing has been delivered yet, so leaving something out costs nothing."""
    return [*(_size(activation) if starting else ()), *shared_segments(activation)]


def _size(activation: Activation) -> list[str]:
    told = []
    delivered = [p.name for p in activation.properties.values() if p.deliver]
    if len(delivered) > PROPERTIES_AT_A_START:
        told.append(
            f"{len(delivered)} properties are delivered; begin with {PROPERTIES_AT_A_START} at most: every field is "
            "one more that people have to learn and trust, and one that nobody uses is hard to take away again. Leave "
            "some of them out of deliver until the first are in use"
        )
    touching = [a.name for a in activation.audiences.values() if a.touch and a.deliver]
    if len(touching) > TOUCH_AUDIENCES_AT_A_START:
        told.append(
            f"{len(touching)} audiences make a human act ({', '.join(touching)}); begin with "
            f"{TOUCH_AUDIENCES_AT_A_START} at most: what people cannot work through they learn to ignore. Set "
            "touch: false, or remove the others until the first are worked through every day"
        )
    return told


def shared_segments(activation: Activation) -> list[str]:
    """Return which audiences have one source segment together."""
    using: dict[int, list[str]] = defaultdict(list)
    for audience in activation.audiences.values():
        if audience.segment is not None:
            using[audience.segment].append(audience.name)
    return [
        f"the audiences {', '.join(names)} all come from segment {segment}: whoever edits it for one of them changes "
        "the others. Keep one source segment per job, in Customer.io, and the difference between them is told there"
        for segment, names in sorted(using.items())
        if len(names) > 1
    ]
