"""The JSON schema of ``activation.yaml``, for editors: the shape of the file, not of the loaded models."""

from __future__ import annotations

import json
from datetime import date, timedelta
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
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_spelled(schema)}


def schema_text() -> str:
    """Return the schema as the text of its committed file."""
    return json.dumps(activation_schema(), indent=2, ensure_ascii=False) + "\n"


def _spelled(value: Any) -> Any:
    """Return ``value`` with spans inside nested defaults spelled as in YAML; everything else as it is."""
    if isinstance(value, dict):
        return {key: _spelled(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_spelled(entry) for entry in value]
    if isinstance(value, timedelta):
        return format_duration(value)
    return value.isoformat() if isinstance(value, date) else value
