"""How much the invariants' tests play. Not in a ``conftest``: of a file that is named, pytest imports that before the form is known."""

from __future__ import annotations

from cio_activation_tests.forms import form

HISTORIES = form(2, 60)
"""Random histories of a town that such a test plays: the plainest there is and others; each takes seconds."""
