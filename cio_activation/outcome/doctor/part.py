"""What the doctor says: parts of facts, findings with their mend, and nothing that is nobody's business."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cio_activation.errors import CioActivationError, MachineError

_ADDRESS = re.compile(r"[\w.+'%-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
_IN_URL = re.compile(r"(\w+://)[^\s/@]+@")
_SHORTEST = 6
"""Characters: a secret shorter than this is no secret, and would be found in ordinary words."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    about: str
    problem: str
    mend: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}"


@dataclass
class Part:
    """What was looked at, what there is to tell, and what is wrong with it."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def wrong(self, problem: str, mend: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(self.name, problem, mend))


def examined(name: str, examine: Callable[[Part], None]) -> Part:
    """Return the part that ``examine`` fills; what ends it is a finding, and the parts that follow are looked at too.

    Of an error that is not of this project only the kind is told: its text may hold anything.
    """
    part = Part(name)
    try:
        examine(part)
    except CioActivationError as error:
        part.wrong(" ".join(str(error).splitlines()), "see the sentence itself; the rest of this part is unknown")
    except Exception as error:  # noqa: BLE001 - the rest is told whatever is broken here
        machine = MachineError.of(error)
        problem = str(machine) if machine else f"{name} cannot be looked at: {type(error).__name__}"
        part.wrong(problem, "the rest of this part is unknown; if nothing above explains it, please report it")
    return part


def masked(told: Any, secrets: Iterable[str]) -> Any:
    """Return ``told`` (text, or lists and mappings of it) without secrets, addresses of people and their numbers."""
    known = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {clean(key): clean(inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [clean(inner) for inner in value]
        if not isinstance(value, str):
            return value
        for secret in known:
            value = value.replace(secret, "***")
        for pattern, instead in ((_IN_URL, r"\1***@"), (_ADDRESS, "(e-mail)"), (_PHONE, "(phone)")):
            value = pattern.sub(instead, value)
        return value

    return clean(told)
