"""What the checks share: the file as read so far, and which names cannot be relied on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

from cio_activation.activation.expressions import Expression, parse_expression
from cio_activation.activation.file import ActivationFile
from cio_activation.activation.models import Attribute, AttributeType, PropertyType
from cio_activation.activation.problems import Path, Problems, meant
from cio_activation.errors import ConfigError

LONGEST_LABEL = 255
"""Pipedrive's limit for an option's label; HubSpot's is not lower."""

_OWNER = re.compile(r"^(?:[^@\s:]+@[^@\s]+\.[^@\s]+|team:[A-Za-z0-9_]+)$")


@dataclass
class Draft:
    """A file on its way to an activation.

    ``unsure`` holds names of attributes and properties whose own declaration is broken: what refers to them is
    not reported a second time.
    """

    file: ActivationFile
    problems: Problems
    unsure: set[str]
    broken: frozenset[Path] = frozenset()
    """Sections and entries that were left out of ``file`` because they are not well formed."""
    attributes: dict[str, Attribute] = field(default_factory=dict)
    receiving: tuple[str, ...] = ()
    """The destinations under ``destinations`` that properties and audiences are delivered to."""

    def attribute(self, path: Path, name: str, fit: Collection[AttributeType]) -> Attribute | None:
        """Return the attribute that ``path`` refers to; None with a problem noted if it is not of a ``fit`` type."""
        if name in self.unsure:
            return None
        found = self.attributes.get(name)
        if found is None:
            self.problems.add(path, f"{name!r} is not a declared attribute{meant(name, self.attributes)}")
            return None
        if found.type not in fit:
            wanted = " or ".join(fit)
            self.problems.add(path, f"{name!r} is of type {found.type}, but this takes {wanted}")
            return None
        return found

    def expression(
        self,
        path: Path,
        text: str,
        types: dict[str, AttributeType | PropertyType],
        labels: dict[str, Sequence[str]] | None = None,
        unchecked: Collection[str] = (),
        *,
        moments: bool = False,
    ) -> Expression | None:
        """Return the checked expression at ``path``, or None with its problems noted."""
        try:
            return parse_expression(text, types, labels, {*self.unsure, *unchecked}, moments=moments)
        except ConfigError as error:
            self.problems.add_all(path, error)
            return None

    def owner(self, path: Path, owner: str | None) -> str:
        """Return who answers for what has ``path``: ``owner``, else who does for all; a problem if that is nobody."""
        if owner is not None and not _OWNER.match(owner):
            self.problems.add(path, f"{owner!r} is no owner; write an e-mail address or team:name")
        elif owner is None and self.file.governance.owner is None and ("governance",) not in self.broken:
            self.problems.add(path, "is missing; add it, or name who answers for all as governance.owner")
        return owner or self.file.governance.owner or ""

    def reviewed(self, reviewed: date | None) -> date | None:
        """Return the later of ``reviewed`` and of when all was reviewed."""
        named = [day for day in (reviewed, self.file.governance.reviewed) if day is not None]
        return max(named, default=None)

    def labels(self, path: Path, labels: Sequence[str]) -> bool:
        """Tell whether every one of ``labels`` can be an option in a CRM and none reads like another."""
        seen: dict[str, str] = {}
        good = True
        for label in labels:
            flaw = _flaw(label)
            if flaw is None and label.casefold() in seen:
                flaw = f"reads like {seen[label.casefold()]!r}; labels must differ by more than case"
            if flaw is not None:
                self.problems.add(path, f"label {label!r} {flaw}")
                good = False
            seen[label.casefold()] = label
        return good


def _flaw(label: str) -> str | None:
    """Return why ``label`` cannot be the label of an option in a CRM, or None."""
    if not label.strip():
        return "is empty; write something"
    if label != label.strip():
        return "starts or ends with a space; remove it"
    if ";" in label:
        return "holds a ';', which separates options in a CRM; use another character"
    if not label.isprintable():
        return "holds a line break or another invisible character; remove it"
    if len(label) > LONGEST_LABEL:
        return f"has {len(label)} characters, more than {LONGEST_LABEL}; shorten it"
    return None
