"""The examples load, say what applies, and make a code location; each is run by hand with ``demo --activation``."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.cli.main import app
from cio_activation.definitions import build_definitions
from cio_activation.destinations import DESTINATIONS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*/activation.yaml"))


def test_there_are_examples() -> None:
    assert {path.parent.name for path in EXAMPLES} == {"skincare", "wholesale"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_an_example_is_sound_and_its_page_names_every_audience(path: Path) -> None:
    activation = load_activation(path, DESTINATIONS)
    jobs = {job.name for job in build_definitions(activation).resolve_all_job_defs()}
    assert {"daily", "realtime"} <= jobs
    page = (path.parent / "README.md").read_text()
    touching = [a for a in activation.audiences.values() if a.touch]
    assert [a.name for a in touching if f"`{a.name}`" not in page] == []
    for audience in touching:
        told = CliRunner().invoke(
            app, ["check", "--offline", "--explain", audience.name, "--activation", str(path)], catch_exceptions=False
        )
        assert (told.exit_code, "Nobody is touched more than once in 7d" in told.output) == (0, True)
