"""The root of the error tree. Every error of this project says what, where and how to mend it.

    CioActivationError
    ├── ConfigError        activation file or settings are wrong; nothing was sent
    ├── ContractError      data breaks a schema, or a snapshot cannot be trusted; nothing was published
    ├── WarehouseBusy      another process held the warehouse for longer than the bounded wait
    ├── GuardTripped       a limit of the activation stopped a plan before anything was sent
    └── VendorError        see ``transport/errors.py``

Messages never contain a credential or an unmasked person; see :func:`mask`.
"""

from __future__ import annotations


class CioActivationError(Exception):
    """Base of everything this project raises on purpose."""


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


class GuardTripped(CioActivationError):
    """A guard stopped a plan before anything was sent."""


def mask(value: str | None) -> str:
    """Return a personal value fit for logs and errors: first character, length, and an e-mail's domain.

    >>> mask("ada@example.com")
    'a**@example.com'
    """
    if not value:
        return "(none)"
    local, at, domain = value.partition("@")
    return f"{local[:1]}{'*' * max(len(local) - 1, 1)}{at}{domain}"
