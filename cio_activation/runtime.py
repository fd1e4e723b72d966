"""What one process works with: settings, the activation, the warehouse. Built once per asset or command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.warehouse.store import Warehouse

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Runtime:
    """Settings, activation and warehouse, handed to every use case; holds no open connection."""

    settings: Settings
    activation: Activation
    warehouse: Warehouse

    @classmethod
    def build(cls, settings: Settings, activation: Activation) -> Runtime:
        """Return a runtime over ``settings.activation_home``, creating and migrating the warehouse if needed."""
        settings.activation_home.mkdir(parents=True, exist_ok=True)
        warehouse = Warehouse(settings.warehouse_path)
        warehouse.migrate()
        return cls(settings, activation, warehouse)

    def raw_folder(self, lane: str, key: str) -> Path:
        """Return (and create) the folder that keeps one window's raw files."""
        folder = self.settings.raw_dir / lane / key.replace(":", "-")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
