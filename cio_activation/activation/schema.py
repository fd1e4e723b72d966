"""The JSON schema of ``activation.yaml``, for editors: the shape of the file, not of the loaded models."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from cio_activation.activation.durations import format_duration
from cio_activation.activation.file import ActivationFile

SCHEMA_FILE = Path(__file__).parent.parent / "activation.schema.json"
"""The committed copy, beside the default activation; a test holds it equal to :func:`schema_text`."""


class _FileSchema(GenerateJsonSchema):
    """Writes defaults as they would stand in the file."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def activation_schema() -> dict[str, Any]:
    """Return the schema. Options of destinations are open: their own models check them when the file is loaded."""
    schema = ActivationFile.model_json_schema(schema_generator=_FileSchema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_tidy(schema)}


def schema_text() -> str:
    """Return the schema as the text of its committed file."""
    return json.dumps(activation_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidy(value: Any) -> Any:
    """Return ``value`` fit for editors: names that match no pattern refused, defaults only on single keys."""
    if isinstance(value, list):
        return [_tidy(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    tidied = {key: _tidy(entry) for key, entry in value.items() if not (key == "default" and "$ref" in value)}
    return tidied | {"additionalProperties": False} if "patternProperties" in tidied else tidied
