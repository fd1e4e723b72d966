"""What was told of warnings, by channel: the cursor of the sensor that tells, and what a look at them makes of it.

A warning is noted before it is told, and as told only after the channel took it. Dagster stores the cursor at the end
of a tick: whoever dies between the two tells again, and nothing is lost. What ended before it could be told is told all
the same. It ends an hour after it was last found: one that comes and goes with every window is told once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

QUIET_S = 3_600.0
"""So long a warning must not have been found to be over."""
AT_ONCE = 40
"""Warnings in one message at most, as chats refuse long ones; the rest is told at the next tick."""
AGAIN_S, LONGEST_AGAIN_S = 60.0, 3_600.0
"""When a channel that did not take a message is tried again: a minute, doubled with every try, an hour at most."""


@dataclass(frozen=True)
class Said:
    """One warning in one channel. Times are seconds since the epoch."""

    text: str
    found_at: float
    """When it was last found."""
    told: bool = False


@dataclass(frozen=True)
class ChannelState:
    """What one channel is to be told, or was."""

    said: Mapping[str, Said] = field(default_factory=dict)
    """Key of the warning -> what of it."""
    failures: int = 0
    """Tries in a row that the channel did not take."""
    try_at: float = 0.0

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Self:
        """Return what a cursor holds; a cursor outlives the release that wrote it, so what is unknown is left out."""
        known = {name: value for name, value in given.items() if name in cls.__dataclass_fields__}
        said = {
            key: Said(**{name: value for name, value in one.items() if name in Said.__dataclass_fields__})
            for key, one in known.get("said", {}).items()
        }
        return cls(**known | {"said": said})

    def found(self, holding: Mapping[str, str], is_unknown: Callable[[str], bool], now: float) -> Self:
        """Return the state after it was found out what holds: ``holding`` is key -> text.

        ``is_unknown``: of which keys that could not be; they stay as they are, and do not grow older.
        """
        said = {
            key: replace(one, found_at=now) if key not in holding and is_unknown(key) else one
            for key, one in self.said.items()
        }
        for key, text in holding.items():
            said[key] = Said(text, now, key in said and said[key].told)
        return replace(self, said=said)

    def message(self, now: float) -> tuple[str, str] | None:
        """Return subject and text of what the channel is to be told now, None if that is nothing."""
        due = [self.said[key] for key in self._due(now)]
        if not due:
            return None
        begun = [one.text for one in due if not _is_over(one, now)]
        ended = [one for one in due if _is_over(one, now)]
        lines = [f"warning: {text}" for text in begun]
        lines += [f"over: {one.text}" if one.told else f"began, and is over: {one.text}" for one in ended]
        counts = ", ".join(f"{n} {what}" for n, what in ((len(begun), "new"), (len(ended), "over")) if n)
        subject = f"cio_activation: warnings, {counts}"
        return subject, "\n".join([subject, *lines])

    def _due(self, now: float) -> list[str]:
        return [key for key, one in self.said.items() if not one.told or _is_over(one, now)][:AT_ONCE]

    def taken(self, now: float) -> Self:
        """Return the state after the channel took the message of ``now``."""
        due = self._due(now)
        said = {
            key: replace(one, told=True) if key in due else one
            for key, one in self.said.items()
            if not (key in due and _is_over(one, now))
        }
        return replace(self, said=said, failures=0, try_at=0.0)

    def not_taken(self, now: float) -> Self:
        """Return the state after it did not."""
        wait = min(AGAIN_S * 2.0 ** min(self.failures, 10), LONGEST_AGAIN_S)
        return replace(self, failures=self.failures + 1, try_at=now + wait)


def _is_over(one: Said, now: float) -> bool:
    return now - one.found_at >= QUIET_S


def read(cursor: str | None) -> dict[str, ChannelState]:
    """Return channel -> its state."""
    return {name: ChannelState.read(given) for name, given in (json.loads(cursor) if cursor else {}).items()}


def written(states: Mapping[str, ChannelState]) -> str:
    """Return the cursor of the states."""
    return json.dumps({name: asdict(state) for name, state in states.items()})
