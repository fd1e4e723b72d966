"""Where ``dagster.yaml`` of release 0.1.0 looks for the launcher; it lives in :mod:`cio_activation.dagster_runtime`."""

from __future__ import annotations

import warnings

from cio_activation.dagster_runtime.launcher import ForkingRunLauncher


class WarmRunLauncher(ForkingRunLauncher):
    """The launcher under its name of release 0.1.0."""

    warnings.warn(
        "dagster.yaml: under run_launcher, name cio_activation.dagster_runtime.launcher and ForkingRunLauncher; "
        "cio_activation.automation.launcher goes with the next release",
        FutureWarning,
        stacklevel=2,
    )
