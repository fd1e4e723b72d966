"""The kernel's file locks, which the warehouse and the claims of runs stand on: Linux and macOS have them."""

from __future__ import annotations

from cio_activation.errors import ConfigError

try:
    import fcntl
except ImportError:
    raise ConfigError(
        "cio-activation runs on Linux and macOS: this platform has no file locks (fcntl); on Windows use WSL"
    ) from None

__all__ = ["fcntl"]
