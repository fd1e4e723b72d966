"""Tells Dagster what to do with this project's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from cio_activation.errors import CioActivationError, MachineError

RETRY_SECONDS = 30


@contextmanager
def failures() -> Iterator[None]:
    """Tell Dagster what to do with this project's errors: try again what may pass, fail the rest for a person.

    Asked for here rather than by a retry policy, so that a defect fails at once and visibly.
    """
    try:
        yield
    except CioActivationError as error:
        if error.passes_by_itself:
            raise dg.RetryRequested(max_retries=2, seconds_to_wait=RETRY_SECONDS) from error
        raise dg.Failure(description=str(error), allow_retries=False) from error
    except Exception as error:
        if told := MachineError.of(error):
            raise dg.Failure(description=str(told), allow_retries=False) from error
        raise
