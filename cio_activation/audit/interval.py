"""The share of records that deviate, and between which two values it lies."""

from __future__ import annotations

from importlib.util import find_spec

from cio_activation.errors import ConfigError

CONFIDENCE = 0.95
METHOD = "beta"
"""Clopper and Pearson's: it covers the true share at least as often as it says, also where that is small or nothing."""


def require_statistics() -> None:
    """Raise ConfigError where the library is not installed: before anything is read, not after."""
    if find_spec("statsmodels") is None:
        raise ConfigError(
            "an audit tells a rate with an interval, which statsmodels computes, and that is not installed: "
            "pip install 'cio-activation[statistics]', or scripts/setup statistics"
        )


def interval(deviating: int, compared: int, population: int) -> tuple[float, float]:
    """Return the lower and the upper end of the share of ``population`` that deviates; itself, if all is known.

    ``deviating`` of ``compared`` were found to, and these were drawn without regard to it.
    """
    if not compared:
        return 0.0, 1.0 if population else 0.0
    if compared >= population:
        return deviating / compared, deviating / compared
    from statsmodels.stats.proportion import proportion_confint  # takes a second to import

    low, high = proportion_confint(deviating, compared, alpha=1 - CONFIDENCE, method=METHOD)
    return float(low), float(high)
