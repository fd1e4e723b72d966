"""What a row of the fault table is, and the faults that rows are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Plan = Mapping[str, Any]
"""One planned misbehaviour of the stand-in: fields of ``sandbox.faults.Fault``, without the vendor."""


class Ending(StrEnum):
    """How a run with the fault in it ends."""

    RIDDEN = "ridden out"  # everything delivered in spite of it
    HELD = "held"  # something was not sent, or its outcome is not known
    STOPPED = "stopped"  # nothing more was sent to the vendor
    REJECTED = "rejected"  # records or single fields refused with a reason and queued


@dataclass(frozen=True)
class Case:
    """One row."""

    vendor: str
    fault: str
    ending: Ending
    strikes: tuple[Plan, ...] = ()
    trouble: str | None = None
    """Method of the vendor's rig that does by hand what a planned fault cannot."""
    waits: float = 0.0
    """Seconds the vendor asks for, which must pass between the struck call and its repetition."""
    timeout_s: float | None = None
    """The client's timeout in the faulty run, where not the usual one."""
    afterwards: str | None = None
    """Method of the vendor's rig that happens between the faulty run and the next."""
    extends: bool = False
    """The activation gains a property and an audience first, so that the schema has to be extended."""
    rig: str = ""
    """The population it strikes; by default the vendor's usual one."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rig", self.rig or self.vendor)

    @property
    def name(self) -> str:
        return f"{self.vendor}: {self.fault}"


ALWAYS = 100_000
WRITES: dict[str, tuple[Plan, ...]] = {
    "hubspot": (
        {"path": "*/batch/update"},
        {"path": "/crm/objects/*/contacts/batch/create"},
        {"path": "*/add-and-remove"},
    ),
    "pipedrive": (
        {"method": "PATCH", "path": "/api/v2/persons/*"},
        {"method": "POST", "path": "/api/v2/persons"},
    ),
    "customerio": (),
    "write_back": ({"method": "POST", "path": "/api/v2/batch"},),
}
"""The calls that change something at a vendor. As the source Customer.io is only read; its one POST asks for an export."""
READS: dict[str, tuple[Plan, ...]] = {
    "hubspot": ({"path": "*/batch/read"},),
    "pipedrive": ({"method": "GET", "path": "/api/v2/persons"},),
    "customerio": (
        {"path": "/v1/segments"},
        {"path": "/v1/segments/*/membership"},
        {"method": "GET", "path": "/v1/exports/*"},
        {"path": "/export-files/*"},
        {"path": "/v1/customers/attributes"},
    ),
}
ASK_EXPORT: tuple[Plan, ...] = ({"method": "POST", "path": "/v1/exports/customers"},)
CREATIONS: dict[str, tuple[Plan, ...]] = {
    "hubspot": WRITES["hubspot"][1:2],
    "pipedrive": WRITES["pipedrive"][1:],
    "customerio": ASK_EXPORT,
}
SLOW = {"kind": "delay", "when": "after", "delay_s": 1.0}
KINDS: dict[str, Plan] = {
    "429": {"kind": "status", "status": 429},
    "423": {"kind": "status", "status": 423},
    "500": {"kind": "status", "status": 500},
    "502": {"kind": "status", "status": 502},
    "503": {"kind": "status", "status": 503},
    "reset before the write": {"kind": "reset"},
    "reset after the write": {"kind": "reset", "when": "after"},
    "truncated body": {"kind": "truncate", "when": "after"},
}
SURELY_NOT_APPLIED = ("429", "423")
"""Faults after which even a creation may be repeated at once."""


def at(places: tuple[Plan, ...], fault: Plan, times: int = 1) -> tuple[Plan, ...]:
    return tuple({**fault, **place, "times": times} for place in places)
