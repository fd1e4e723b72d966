"""The root of the error tree. Every error of this project says what, where and how to mend it.

    CioActivationError
    ├── ConfigError        activation file or settings are wrong; nothing was sent
    ├── ContractError      data breaks a schema, or a snapshot cannot be trusted; nothing was published
    ├── MachineError       the disk is full, or a folder cannot be written
    ├── WarehouseBusy      another process held the warehouse for longer than the bounded wait; passes by itself
    └── VendorError        see ``transport/errors.py``

Messages never contain a credential or a personal value.
"""

from __future__ import annotations

import errno
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


class MachineError(CioActivationError):
    """The machine does not let us go on."""

    @classmethod
    def of(cls, error: BaseException) -> MachineError | None:
        """Return what ``error`` says of the machine, in one sentence with its mend; None if it is about something else.

        The databases tell it in text only, and not with one class.
        """
        of_database = type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb", "sqlalchemy", "sqlite3")
        number = error.errno if isinstance(error, OSError) else None
        text = str(error).lower() if of_database or isinstance(error, OSError) else ""
        place = str(getattr(error, "filename", None) or "a file in ACTIVATION_HOME")
        if number in (errno.ENOSPC, errno.EDQUOT) or any(words in text for words in _FULL):
            return cls(
                f"the disk is full: {place} cannot be written; free some space and run again, what was begun is "
                "settled by the next run"
            )
        if number in (errno.EROFS, errno.EACCES, errno.EPERM) or any(words in text for words in _READ_ONLY):
            return cls(f"{place} cannot be written; let ACTIVATION_HOME be a folder that this user may write to")
        return None


_FULL = ("no space left", "disk is full", "disk quota exceeded", "could not write all bytes")
_READ_ONLY = ("read-only file system", "readonly database", "permission denied", "unable to open database file")


class WarehouseBusy(CioActivationError):
    """The warehouse stayed locked by another process for longer than the bounded wait."""

    passes_by_itself = True
