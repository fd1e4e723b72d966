"""Writes the drafted file, once it is known to be sound, and never over anything."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from cio_activation.activation.loader import load_activation
from cio_activation.delivery.destination import Destination
from cio_activation.errors import ConfigError
from cio_activation.onboarding.draft import Draft
from cio_activation.onboarding.page import text_of
from cio_activation.state.expressions import check_expressions


def require_free(out: Path) -> None:
    """Raise ConfigError if there is something at ``out``, or no folder for it."""
    if out.exists() or out.is_symlink():
        raise ConfigError(
            f"{out} is there already and is not touched; write another file by --out PATH, and compare the two"
        )
    if not out.parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.parent}; make it, or name another one")


def write(draft: Draft, out: Path, destinations: Sequence[Destination]) -> None:
    """Write ``out``, whole and sound. ConfigError if something came to be there meanwhile; it is never replaced."""
    text = text_of(draft)
    with TemporaryDirectory(prefix="cio-activation-init-") as folder:
        tried = Path(folder) / out.name
        tried.write_text(text, encoding="utf-8")
        try:
            check_expressions(load_activation(tried, destinations))
        except ConfigError as error:
            raise ConfigError(
                "what was drafted is not sound, and nothing was written; this is a defect, "
                "please report it with what follows:",
                *error.problems,
            ) from None
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        require_free(out)
        raise
