"""What a destination's records are written, whose that is, and when it changes: told alike by every CRM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.delivery.destination import OwnedField

OURS = "cio_activation"
THEIRS = "the CRM, once the record is there"
_MADE_ONLY = "when we make the record; never again"
_RUNS = {Lane.DAILY: "by the daily run", Lane.REALTIME: "by a real-time run"}
_STAYS, _OVERWRITTEN, _CONFLICT = "stays", "overwritten by our next change", "stays, and is listed as a conflict"


def key_field(name: str) -> OwnedField:
    """Return the field that holds our id."""
    return OwnedField(
        name, "the person's `cio_id` in Customer.io", OURS, "when the record is linked or made", _OVERWRITTEN
    )


def property_fields(activation: Activation, destination: str) -> list[OwnedField]:
    """Return the fields of the properties, of both lanes, in file order."""
    kept = activation.kept_properties(destination)
    return [
        OwnedField(
            f"{activation.workspace.prefix}{p.name}",
            p.description.rstrip("."),
            p.owner,
            _RUNS[p.lane],
            _CONFLICT if p.name in kept else _OVERWRITTEN,
            p.name,
        )
        for p in activation.properties.values()
        if destination in p.deliver
    ]


def audience_field(name: str, audiences: Sequence[Audience], says: str, edit: str) -> OwnedField:
    """Return what holds who is in ``audiences``."""
    owners = ", ".join(dict.fromkeys(a.owner for a in audiences))
    lanes = " and ".join(_RUNS[lane] for lane in Lane if lane in {a.lane for a in audiences})
    return OwnedField(name, says, owners, lanes, edit)


def first_fields(activation: Activation, names: Mapping[str, str]) -> list[OwnedField]:
    """Return what a record is made with and then left to the CRM; ``names``: field -> what of the person."""
    profile = activation.profile.model_dump()
    from_ = {what: profile.get(what, what) for what in ("phone", "first_name", "last_name")} | {"email": "email"}
    return [
        OwnedField(
            field,
            " and ".join(f"`{from_[what]}`" for what in wanted.split() if from_[what]) + " in Customer.io",
            THEIRS,
            _MADE_ONLY,
            _STAYS,
        )
        for field, wanted in names.items()
        if any(from_[what] for what in wanted.split())
    ]
