"""What an activation and the environment may say about the sheet."""

from __future__ import annotations

from pydantic import SecretStr

from cio_activation.activation.base import Model
from cio_activation.activation.models import DestinationLimits
from cio_activation.activation.settings import Access

NAME = "sheet"


class SheetAccess(Access):
    """How to get into the sheet; from the environment."""

    sheet_token: SecretStr | None = None
    sheet_url: str = "https://sheet.example.com"


class SheetSettings(DestinationLimits):
    """``destinations: sheet:``."""

    page: str = "people"
    """The page that rows are written to."""


class SheetAudience(Model):
    """``audiences: ...: deliver: sheet:``."""

    todo: str | None = None
    """Text of the to-do that each entry gets."""
