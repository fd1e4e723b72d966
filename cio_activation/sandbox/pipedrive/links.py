"""Which ids a person, activity, note or deal may point at."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

from cio_activation.sandbox.pipedrive import body_checks


@dataclass(frozen=True)
class Links:
    """Which ids an activity, note or deal may point at."""

    now: Callable[[], float]
    users: Callable[[], Container[int]]
    person: Callable[[int], object | None]
    deal: Callable[[int], object | None]
    org: Callable[[int], object | None]
    types: Callable[[], dict[str, str]]
    """Activity types: key_string -> name."""


class Known(Container[int]):
    """Membership by look-up."""

    def __init__(self, find: Callable[[int], object | None]) -> None:
        self._find = find

    def __contains__(self, item: object) -> bool:
        return isinstance(item, int) and self._find(item) is not None


def link(find: Callable[[int], object | None], name: str) -> body_checks.Check:
    """Accept null or the id of a record that exists."""
    return body_checks.nullable(body_checks.integer(Known(find), name))
