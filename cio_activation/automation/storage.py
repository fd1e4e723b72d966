"""Where ``dagster.yaml`` of release 0.1.0 looks for the storage; it lives in :mod:`cio_activation.dagster_runtime`."""

from __future__ import annotations

import warnings

from cio_activation.dagster_runtime.storage import OpenSqliteStorage


class KeptSqliteStorage(OpenSqliteStorage):
    """The storage under its name of release 0.1.0."""

    warnings.warn(
        "dagster.yaml: under storage, name cio_activation.dagster_runtime.storage and OpenSqliteStorage; "
        "cio_activation.automation.storage goes with the next release",
        FutureWarning,
        stacklevel=2,
    )
