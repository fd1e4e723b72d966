"""The root of the error tree. Every error of this project says what, where and how to mend it.

    CioActivationError
    ├── ConfigError        activation file or settings are wrong; nothing was sent
    ├── ContractError      data breaks a schema, or a snapshot cannot be trusted; nothing was published
    ├── WarehouseBusy      another process held the warehouse for longer than the bounded wait; passes by itself
    └── VendorError        see ``transport/errors.py``

Messages never contain a credential or a personal value.
"""

from __future__ import annotations

from typing import ClassVar


class CioActivationError(Exception):
    """Base of everything this project raises on purpose."""

    passes_by_itself: ClassVar[bool] = False
    """Whether the same work may succeed a little later without anybody mending anything."""


class ConfigError(CioActivationError):
    """The activation file or the settings are wrong.

    Carries one or more problems; ``str()`` lists them all, one a line, so that a user mends a file once.
    """

    def __init__(self, *problems: str) -> None:
        self.problems: tuple[str, ...] = problems
        super().__init__("\n".join(problems))


class ContractError(CioActivationError):
    """Data broke a contract as a whole (a truncated export, too small a snapshot): nothing was published."""


class WarehouseBusy(CioActivationError):
    """The warehouse stayed locked by another process for longer than the bounded wait."""

    passes_by_itself = True
