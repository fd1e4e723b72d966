"""The table: what goes wrong, at which vendor, at which calls, and how the faulty run has to end."""

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


def _at(places: tuple[Plan, ...], fault: Plan, times: int = 1) -> tuple[Plan, ...]:
    return tuple({**fault, **place, "times": times} for place in places)


def _transient(vendor: str) -> list[Case]:
    """Return the rows of faults that pass: once at every call, and for the whole run."""
    cases: list[Case] = []
    for kind, fault in KINDS.items():
        safe = vendor == "hubspot" or kind in SURELY_NOT_APPLIED
        quota = vendor == "customerio" and kind == "429"  # without Retry-After it means a daily quota
        if vendor == "customerio":
            read = Ending.STOPPED if quota else Ending.RIDDEN
            cases.append(Case(vendor, f"{kind}, once at every read", read, _at(READS[vendor], fault)))
            if not quota:
                ending = Ending.RIDDEN if safe else Ending.HELD
                cases.append(Case(vendor, f"{kind}, export asked for", ending, _at(ASK_EXPORT, fault)))
                everywhere = _at(READS[vendor], fault, ALWAYS)
                cases.append(Case(vendor, f"{kind}, all the time", Ending.HELD, everywhere))
            continue
        ending = Ending.RIDDEN if safe else Ending.HELD
        cases.append(Case(vendor, f"{kind}, once at every write", ending, _at(WRITES[vendor], fault)))
        # Pipedrive takes a long row of 429 for an empty daily budget: its firewall would answer the next ones.
        lasting = Ending.STOPPED if vendor == "pipedrive" and kind == "429" else Ending.HELD
        cases.append(Case(vendor, f"{kind}, all the time", lasting, _at(WRITES[vendor], fault, ALWAYS)))
    return cases


def _patient(vendor: str) -> list[Case]:
    """Return the rows in which the vendor says how long to wait."""
    place = (READS[vendor] if vendor == "customerio" else WRITES[vendor])[:1]
    cases = []
    for status in (429, 503):
        asks = {"kind": "status", "status": status, "headers": {"retry-after": "1"}}
        cases.append(Case(vendor, f"{status} with Retry-After", Ending.RIDDEN, _at(place, asks), waits=1.0))
    long = {"kind": "status", "status": 503, "headers": {"retry-after": "7200"}}
    hold = Ending.HELD if vendor == "customerio" else Ending.STOPPED
    cases.append(Case(vendor, "503 with Retry-After of two hours", hold, _at(place, long)))
    return cases


def _common(vendor: str) -> list[Case]:
    reads, creations = READS[vendor], CREATIONS[vendor]
    places = reads if vendor == "customerio" else WRITES[vendor]
    late = Ending.RIDDEN if vendor == "hubspot" else Ending.HELD
    empty = {"kind": "status", "status": 200, "body": {"success": True}}
    page = {"kind": "html"}
    back = Case(vendor, "reset after the write, change taken back", Ending.HELD,
                _at(WRITES[vendor], KINDS["reset after the write"], ALWAYS), afterwards="take_back")  # fmt: skip
    return [
        *_transient(vendor),
        *_patient(vendor),
        *([back] if WRITES[vendor] else []),
        Case(vendor, "timeout after the write", late, _at(creations, SLOW), timeout_s=0.3),
        Case(vendor, "HTML 403", Ending.STOPPED, _at(places[:1], page, ALWAYS)),
        Case(vendor, "empty 2xx", Ending.HELD, _at(places, empty)),
    ]


def _hubspot() -> list[Case]:
    moved = {"kind": "status", "status": 477, "headers": {"retry-after": "86400"}}
    twice = {"category": "VALIDATION_ERROR", "message": "Duplicate IDs found in batch input"}
    duplicate = {"kind": "status", "status": 400, "body": twice}
    nothing = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": []}}
    vendor, writes, reads = "hubspot", WRITES["hubspot"], READS["hubspot"]
    lists = ({"method": "POST", "path": "/crm/lists/2026-09"},)
    fields = ({"path": "/crm/properties/*/batch/create"},)
    return [
        *_common(vendor),
        Case(vendor, "477 for a day", Ending.STOPPED, _at(writes[:1], moved, ALWAYS)),
        Case(vendor, "500 at the look-up, all the time", Ending.HELD, _at(reads, KINDS["500"], ALWAYS)),
        Case(vendor, "empty look-up", Ending.HELD, _at(reads, nothing)),
        Case(vendor, "empty results", Ending.HELD, _at(writes[:2], nothing)),
        Case(vendor, "duplicate-id 400", Ending.RIDDEN, _at((writes[0], writes[2]), duplicate)),
        Case(vendor, "duplicate-id 400 for one record", Ending.REJECTED, _at(writes[:1], duplicate, ALWAYS)),
        Case(vendor, "207 mixed", Ending.REJECTED, trouble="lose_option"),
        Case(vendor, "207 mixed, no trace ids back", Ending.REJECTED, trouble="lose_option_silently"),
        Case(vendor, "whole-batch 409", Ending.REJECTED, trouble="collide"),
        Case(vendor, "deleted records", Ending.REJECTED, trouble="delete"),
        Case(vendor, "merged records", Ending.REJECTED, trouble="merge"),
        Case(vendor, "unordered, lowercased", Ending.RIDDEN, trouble="mixed_case"),
        Case(vendor, "membership reply without empty lists", Ending.RIDDEN, trouble="omit_empty"),
        Case(vendor, "daily limit at 0", Ending.STOPPED, trouble="spend_budget"),
        Case(vendor, "index lag, answer lost", Ending.HELD, _at(writes[1:2], KINDS["502"] | {"when": "after"}, ALWAYS),
             trouble="lag"),
        Case(vendor, "list made, answer lost", Ending.HELD, _at(lists, KINDS["reset after the write"]), extends=True),
        Case(vendor, "fields made, answer lost", Ending.HELD, _at(fields, KINDS["truncated body"]), extends=True),
    ]  # fmt: skip


def _hubspot_tasks(vendor: str = "hubspot_tasks") -> list[Case]:
    """Return the rows of what humans are asked to do, or to know: a creation is never sent twice, so a lost answer holds it.

    Notes go the way of tasks at addresses of their own: of them the rows in which most calls get no answer.
    """
    kind_ = vendor.removeprefix("hubspot_")
    create, update, read = ({"path": f"/crm/objects/*/{kind_}/batch/{verb}"} for verb in ("create", "update", "read"))
    writes, lost = (create, update), KINDS["reset after the write"]
    empty = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": [], "errors": []}}
    cases = []
    if kind_ == "notes":
        return [
            Case(vendor, "truncated body, once at every write", Ending.HELD, _at(writes, KINDS["truncated body"])),
            Case(vendor, "reset after the write, change taken back", Ending.HELD, _at(writes, lost, ALWAYS),
                 afterwards="take_back"),
            Case(vendor, "empty results", Ending.HELD, _at((create, update, read), empty)),
            Case(vendor, "index lag, answer lost", Ending.HELD, _at((create,), lost), trouble="lag"),
        ]  # fmt: skip
    for kind, fault in KINDS.items():
        safe = Ending.RIDDEN if kind in SURELY_NOT_APPLIED else Ending.HELD
        cases.append(Case(vendor, f"{kind}, once at every write", safe, _at(writes, fault)))
    return [
        *cases,
        Case(vendor, "reset after the write, all the time", Ending.HELD, _at(writes, lost, ALWAYS)),
        Case(vendor, "reset after the write, change taken back", Ending.HELD, _at(writes, lost, ALWAYS),
             afterwards="take_back"),
        Case(vendor, "500 at the read, all the time", Ending.HELD, _at((read,), KINDS["500"], ALWAYS)),
        Case(vendor, "empty results", Ending.HELD, _at((create, update, read), empty)),
        Case(vendor, "207 mixed", Ending.REJECTED, trouble="end_owner", afterwards="take_owner"),
        Case(vendor, "no trace ids back", Ending.RIDDEN, trouble="lose_trace_ids"),
        Case(vendor, "HTML 403", Ending.STOPPED, _at((create,), {"kind": "html"}, ALWAYS)),
        Case(vendor, "index lag, answer lost", Ending.HELD, _at((create,), lost), trouble="lag"),
    ]  # fmt: skip


def _hubspot_handing() -> list[Case]:
    """Return the rows of tasks that go to somebody else, become urgent or are deleted."""
    vendor, rig = "hubspot_tasks", "hubspot handing"
    update, archive, read = ({"path": f"/crm/objects/*/tasks/batch/{verb}"} for verb in ("update", "archive", "read"))
    writes, lost = (update, archive), KINDS["reset after the write"]
    empty = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": [], "errors": []}}
    return [
        Case(vendor, "handing: 502 at every write", Ending.RIDDEN, _at(writes, KINDS["502"], 2), rig=rig),
        Case(vendor, "handing: truncated body at every write", Ending.RIDDEN, _at(writes, KINDS["truncated body"], 2), rig=rig),
        Case(vendor, "handing: answers lost, change taken back", Ending.HELD, _at(writes, lost, ALWAYS),
             afterwards="take_back", rig=rig),
        Case(vendor, "handing: 500 at the read, all the time", Ending.HELD, _at((read,), KINDS["500"], ALWAYS), rig=rig),
        Case(vendor, "handing: empty results", Ending.HELD, _at((update, read), empty, 2), rig=rig),
        Case(vendor, "handing: to an owner who is none", Ending.REJECTED, trouble="end_owner", afterwards="take_owner", rig=rig),
    ]  # fmt: skip


def _pipedrive() -> list[Case]:
    vendor, (patch, post) = "pipedrive", WRITES["pipedrive"]
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    fields = ({"method": "POST", "path": "/api/v2/personFields"},)
    options = ({"method": "POST", "path": "/api/v2/personFields/*/options"},)
    lost = KINDS["reset after the write"]
    return [
        *_common(vendor),
        Case(vendor, "500 at the mirror, all the time", Ending.HELD, _at(READS[vendor], KINDS["500"], ALWAYS)),
        Case(vendor, "503 once at the mirror", Ending.RIDDEN, _at(READS[vendor], KINDS["503"])),
        Case(vendor, "400 for one record", Ending.RIDDEN, _at((patch, post), refused)),
        Case(vendor, "deleted records", Ending.REJECTED, trouble="delete"),
        Case(vendor, "merged records", Ending.RIDDEN, trouble="merge"),
        Case(vendor, "an option deleted in use", Ending.REJECTED, trouble="lose_option"),
        Case(vendor, "unordered, lowercased", Ending.RIDDEN, trouble="mixed_case"),
        Case(vendor, "token budget at 0", Ending.STOPPED, trouble="spend_budget"),
        Case(vendor, "token budget ends midway", Ending.HELD, trouble="leave_few_tokens"),
        Case(vendor, "index lag, answer lost", Ending.HELD, _at((post,), lost), trouble="lag"),
        Case(vendor, "field made, answer lost", Ending.HELD, _at(fields, lost), extends=True),
        Case(vendor, "option made, answer lost", Ending.HELD, _at(options, lost), extends=True),
    ]


def _pipedrive_activities() -> list[Case]:
    vendor, rig = "pipedrive", "pipedrive activities"
    post = {"method": "POST", "path": "/api/v2/activities"}
    writes = (post, {"method": "PATCH", "path": "/api/v2/activities/*"})
    reads = ({"method": "GET", "path": "/api/v2/activities/*"}, {"method": "GET", "path": "/api/v2/persons/*"})
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    lost = KINDS["reset after the write"]
    return [
        Case(vendor, "activities: 429 once at every write", Ending.RIDDEN, _at(writes, KINDS["429"]), rig=rig),
        Case(vendor, "activities: 502 once at every write", Ending.HELD, _at(writes, KINDS["502"]), rig=rig),
        Case(vendor, "activities: answers lost, all the time", Ending.HELD, _at(writes, lost, ALWAYS), rig=rig),
        Case(vendor, "activities: half an answer", Ending.HELD, _at(writes, KINDS["truncated body"]), rig=rig),
        Case(vendor, "activities: timeout after the write", Ending.HELD, _at((post,), SLOW), timeout_s=0.3, rig=rig),
        Case(vendor, "activities: 503 once at every read", Ending.RIDDEN, _at(reads, KINDS["503"]), rig=rig),
        Case(vendor, "activities: 400 once at every write", Ending.REJECTED, _at(writes, refused), rig=rig),
    ]


def _pipedrive_handing() -> list[Case]:
    """Return the rows of activities that go to somebody else, become urgent or are deleted."""
    vendor, rig, path = "pipedrive", "pipedrive handing", "/api/v2/activities/*"
    writes = ({"method": "PATCH", "path": path}, {"method": "DELETE", "path": path})
    read = ({"method": "GET", "path": path},)
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    return [
        Case(vendor, "handing: 502 once at every write", Ending.RIDDEN, _at(writes, KINDS["502"]), rig=rig),
        Case(vendor, "handing: answers lost, change taken back", Ending.HELD,
             _at(writes, KINDS["reset after the write"], ALWAYS), afterwards="take_back", rig=rig),
        Case(vendor, "handing: 503 all the time at the read", Ending.HELD, _at(read, KINDS["503"], ALWAYS), rig=rig),
        Case(vendor, "handing: 400 once at every write", Ending.REJECTED, _at(writes, refused), rig=rig),
    ]  # fmt: skip


def _pipedrive_notes(word: str = "note") -> list[Case]:
    """Return the rows of notes, or deals: they go the way of activities at addresses of their own."""
    vendor, rig = "pipedrive", f"pipedrive {word}s"
    where = {"note": "/v1/notes", "deal": "/api/v2/deals"}[word]
    change = "PUT" if word == "note" else "PATCH"
    post, one = {"method": "POST", "path": where}, f"{where}/*"
    writes = (post, {"method": change, "path": one}, *([{"method": "DELETE", "path": one}] if word == "note" else []))
    reads = ({"method": "GET", "path": f"{where}*"}, {"method": "GET", "path": "/api/v2/persons/*"})
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    lost = KINDS["reset after the write"]
    return [
        Case(vendor, f"{word}s: answers lost, all the time", Ending.HELD, _at(writes, lost, ALWAYS), rig=rig),
        Case(vendor, f"{word}s: half an answer", Ending.HELD, _at(writes, KINDS["truncated body"]), rig=rig),
        Case(vendor, f"{word}s: 503 once at every read", Ending.RIDDEN, _at(reads, KINDS["503"]), rig=rig),
        Case(vendor, f"{word}s: 400 once at every write", Ending.REJECTED, _at(writes, refused), rig=rig),
    ]


def _heard(crm: str) -> list[Case]:
    """Return the rows of what a CRM is asked before a window is decided: what a look lacks, the next one has."""
    vendor, rig = {"hubspot": "hubspot_tasks"}.get(crm, crm), f"{crm} heard"
    paths = {
        "hubspot": ("/crm/owners/*", "*/tasks/batch/read", "*/contacts/batch/read", "*/associations/*/batch/read"),
        "pipedrive": ("/v1/users", "/api/v2/activities", "/api/v2/persons"),
    }[crm]
    places = tuple({"path": path} for path in paths)
    actions, people = places[1], places[-1]
    empty = {"kind": "status", "status": 200, "body": {"success": True}}
    return [
        Case(vendor, "heard: 503 once at every read", Ending.RIDDEN, _at(places, KINDS["503"]), rig=rig),
        Case(vendor, "heard: 500 at the actions, all the time", Ending.HELD, _at((actions,), KINDS["500"], ALWAYS), rig=rig),
        Case(vendor, "heard: nothing of the people in a 2xx", Ending.HELD, _at((people,), empty), rig=rig),
        Case(vendor, "heard: HTML 403", Ending.HELD, _at(places[:1], {"kind": "html"}, ALWAYS), rig=rig),
    ]  # fmt: skip


def _customerio() -> list[Case]:
    vendor = "customerio"
    expired = {"kind": "status", "status": 403, "path": "/export-files/*"}
    return [
        *_common(vendor),
        Case(vendor, "export that fails", Ending.HELD, trouble="fail_export"),
        Case(vendor, "export that takes too long", Ending.HELD, trouble="slow_export"),
        Case(vendor, "link that expires", Ending.RIDDEN, ({**expired, "times": 2},)),
        Case(vendor, "link that is never valid", Ending.HELD, ({**expired, "times": ALWAYS},)),
        Case(vendor, "segment not finished", Ending.HELD, trouble="unfinished_segment"),
        Case(vendor, "deleted records", Ending.RIDDEN, trouble="delete"),
        Case(vendor, "daily quota at 0", Ending.STOPPED, trouble="spend_budget"),
    ]


def _write_back() -> list[Case]:
    """Return the rows of the way back; faults that fare alike at every write are told by the CRMs' rows."""
    vendor, writes = "write_back", WRITES["write_back"]
    lost = KINDS["reset after the write"]
    part = {"errors": [{"batch_index": 0, "reason": "too_many", "field": "attributes", "message": "300 at most"}]}
    whole = {"errors": [{"reason": "invalid", "field": "batch", "message": "cannot be read"}]}
    nothing = {"kind": "status", "status": 200, "body": {"success": True}}
    return [
        Case(vendor, "429, once at every write", Ending.RIDDEN, _at(writes, KINDS["429"])),
        Case(vendor, "502, all the time", Ending.HELD, _at(writes, KINDS["502"], ALWAYS)),
        Case(vendor, "reset after the write, once at every write", Ending.RIDDEN, _at(writes, lost)),
        Case(vendor, "reset after the write, change taken back", Ending.HELD, _at(writes, lost, ALWAYS),
             afterwards="take_back"),
        Case(vendor, "timeout after the write", Ending.RIDDEN, _at(writes, SLOW), timeout_s=0.3),
        Case(vendor, "503 with Retry-After of two hours", Ending.STOPPED,
             _at(writes, {"kind": "status", "status": 503, "headers": {"retry-after": "7200"}})),
        Case(vendor, "empty 2xx", Ending.HELD, _at(writes, nothing)),
        Case(vendor, "207 mixed", Ending.REJECTED, _at(writes, {"kind": "status", "status": 207, "when": "after", "body": part})),
        Case(vendor, "400 for the whole batch", Ending.RIDDEN,
             _at(writes, {"kind": "status", "status": 400, "body": whole})),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_hubspot(), *_hubspot_tasks(), *_hubspot_handing(), *_heard("hubspot"), *_hubspot_tasks("hubspot_notes"), *_pipedrive(), *_pipedrive_activities(), *_pipedrive_handing(), *_pipedrive_notes(), *_pipedrive_notes("deal"), *_heard("pipedrive"), *_customerio(), *_write_back(),
)  # fmt: skip
