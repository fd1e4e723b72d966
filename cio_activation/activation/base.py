"""What the activation's models are made of: their base, names, spans of time and shares."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationInfo, WithJsonSchema

from cio_activation.activation.durations import SPAN_PATTERN, parse_duration

AS_STORED = {"stored": True}
"""Validation context of what we wrote ourselves: there a span is one of ISO 8601."""


def _read_duration(value: object, info: ValidationInfo) -> timedelta:
    if info.context == AS_STORED and isinstance(value, str):
        return TypeAdapter(timedelta).validate_python(value)
    return parse_duration(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_read_duration),
    WithJsonSchema({"type": "string", "pattern": SPAN_PATTERN, "examples": ["30m", "2h", "7d"]}),
]
"""A span such as ``30m``, ``2h``, ``7d`` or ``-3d``."""

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,59}$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]
"""A durable machine name: lower case, digits, underscore, starts with a letter."""


class Model(BaseModel):
    """Base of all activation models: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    not_built: ClassVar[frozenset[str]] = frozenset()
    """Keys (``cooldown``) and values (``on_conflict: keep``) that are designed but refused until they work."""


def parse_share(value: object) -> object:
    """Return ``10%`` as 0.1; anything else as it is, for the model to judge."""
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            return float(value.strip().removesuffix("%")) / 100
        except ValueError:
            return value
    return value


Share = Annotated[
    float,
    BeforeValidator(parse_share),
    Field(ge=0, le=0.9),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 0.9}, {"type": "string", "pattern": "%$"}]}),
]
"""A part of all: ``0.1`` or ``10%``."""
