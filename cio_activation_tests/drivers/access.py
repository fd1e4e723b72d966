"""Settings that point at stand-ins, whatever this process's environment holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cio_activation.activation.settings import Settings
from cio_activation.destinations.hubspot.config import HubSpotAccess
from cio_activation.destinations.pipedrive.config import PipedriveAccess

OF_OURS = ("CUSTOMERIO", "HUBSPOT", "PIPEDRIVE", "ACTIVATION", "JOURNAL", "DAGSTER", "VENDOR")
"""How the names of our settings, and of Dagster's, begin: a process without them has nothing set."""


def settings(home: Path, environment: Mapping[str, str], **given: Any) -> Settings:
    """Return the settings of ``home`` as ``environment`` has them, among whatever else; ``given`` are further fields."""
    named = {name.lower(): value for name, value in environment.items()}
    made = Settings(_env_file=None, **{**named, **given, "activation_home": home})  # type: ignore[call-arg]
    return made.with_access(
        HubSpotAccess(_env_file=None, **named),  # type: ignore[call-arg, arg-type]
        PipedriveAccess(_env_file=None, **named),  # type: ignore[call-arg, arg-type]
    )
