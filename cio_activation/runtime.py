"""What one process works with: settings, the activation, the warehouse. Built once per asset or command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.warehouse.sessions import Warehouse

if TYPE_CHECKING:
    from pathlib import Path

_migrated: set[tuple[str, int, int] | None] = set()


@dataclass(frozen=True)
class Runtime:
    """Settings, activation and warehouse, handed to every use case; holds no open connection."""

    settings: Settings
    activation: Activation
    warehouse: Warehouse

    @classmethod
    def build(cls, settings: Settings, activation: Activation, lane: Lane | None = None) -> Runtime:
        """Return a runtime over ``settings.activation_home``, creating and migrating the warehouse if needed.

        In the warehouse, whoever works for the daily ``lane`` waits for the real-time one to finish.
        """
        settings.activation_home.mkdir(parents=True, exist_ok=True)
        warehouse = Warehouse(
            settings.warehouse_path,
            urgent=None if lane is None else lane is Lane.REALTIME,
            memory_limit=settings.activation_duckdb_memory,
        )
        # Once a process is enough; a file that was replaced since is another file.
        if _identity(warehouse.path) not in _migrated:
            warehouse.migrate()
            _migrated.add(_identity(warehouse.path))
        return cls(settings, activation, warehouse)

    def raw_folder(self, lane: str, key: str) -> Path:
        """Return (and create) the folder of one window's raw files."""
        folder = self.settings.raw_dir / lane / key.replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _identity(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return str(path.absolute()), found.st_dev, found.st_ino
