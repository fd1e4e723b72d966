"""The libraries of the extra ``[report]``: statistics and charts, imported where they are used and by nobody else."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cio_activation.errors import ConfigError


def library(name: str) -> Any:
    """Return the module ``name``; ConfigError names the extra that brings it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or name.partition(".")[0] != error.name.partition(".")[0]:
            raise
        raise ConfigError(
            f"{error.name} is not installed: comparisons and the report need the extra [report]; "
            "pip install 'cio-activation[report]'"
        ) from error
