"""One repetition of one case in this process: ``python -m benchmarks.worker STAGE CASE ROOT PEOPLE OUT``."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

# Imports cost a second and no work is done by them: both sides have them before the clock starts.
import duckdb  # noqa: F401
import pandas
import pandera.pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401

from benchmarks.cases import stage
from benchmarks.homes import Site
from benchmarks.measure import Sample


def main(number: str, case: str, root: str, people: str, out: str) -> None:
    """Run the case and write its sample as JSON."""
    warnings.filterwarnings("ignore", category=pandas.errors.Pandas4Warning)
    sample = Sample()
    stage(int(number)).cases[case](Site(Path(root), int(people)), sample)
    Path(out).write_text(json.dumps(sample.as_json()))


if __name__ == "__main__":
    main(*sys.argv[1:])
