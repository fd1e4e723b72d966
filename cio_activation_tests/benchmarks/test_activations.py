"""What benchmarks make of the default activation can be loaded, whatever that says by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.acquainted import ADDED, activation
from benchmarks.arrivals import ARRIVALS
from cio_activation.activation.loader import load_activation
from cio_activation.destinations import DESTINATIONS


@pytest.mark.parametrize("what", ARRIVALS)
@pytest.mark.parametrize("hubspot_only", [True, False])
@pytest.mark.parametrize("without", [ADDED, None])
def test_it_loads(tmp_path: Path, what: str, hubspot_only: bool, without: str | None) -> None:
    file = activation(
        tmp_path / "activation.yaml", hubspot_only=hubspot_only, without=without, declare=ARRIVALS[what].declare
    )
    loaded = load_activation(file, DESTINATIONS)
    assert ("pipedrive" in loaded.destinations) is not hubspot_only
    assert (ADDED in loaded.properties) is (without is None)
