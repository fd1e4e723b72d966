"""The table: what goes wrong, at which vendor, at which calls, and how the faulty run has to end."""

from __future__ import annotations

from cio_activation_tests.faults.action_cases import (
    heard,
    hubspot_handing,
    hubspot_tasks,
    pipedrive_activities,
    pipedrive_handing,
    pipedrive_notes,
)
from cio_activation_tests.faults.cases import (
    ALWAYS,
    ASK_EXPORT,
    CREATIONS,
    KINDS,
    READS,
    SLOW,
    SURELY_NOT_APPLIED,
    WRITES,
    Case,
    Ending,
    at,
)


def _transient(vendor: str) -> list[Case]:
    """Return the rows of faults that pass: once at every call, and for the whole run."""
    cases: list[Case] = []
    for kind, fault in KINDS.items():
        safe = vendor == "hubspot" or kind in SURELY_NOT_APPLIED
        quota = vendor == "customerio" and kind == "429"  # without Retry-After it means a daily quota
        if vendor == "customerio":
            read = Ending.STOPPED if quota else Ending.RIDDEN
            cases.append(Case(vendor, f"{kind}, once at every read", read, at(READS[vendor], fault)))
            if not quota:
                ending = Ending.RIDDEN if safe else Ending.HELD
                cases.append(Case(vendor, f"{kind}, export asked for", ending, at(ASK_EXPORT, fault)))
                everywhere = at(READS[vendor], fault, ALWAYS)
                cases.append(Case(vendor, f"{kind}, all the time", Ending.HELD, everywhere))
            continue
        ending = Ending.RIDDEN if safe else Ending.HELD
        cases.append(Case(vendor, f"{kind}, once at every write", ending, at(WRITES[vendor], fault)))
        # Pipedrive takes a long row of 429 for an empty daily budget: its firewall would answer the next ones.
        lasting = Ending.STOPPED if vendor == "pipedrive" and kind == "429" else Ending.HELD
        cases.append(Case(vendor, f"{kind}, all the time", lasting, at(WRITES[vendor], fault, ALWAYS)))
    return cases


def _patient(vendor: str) -> list[Case]:
    """Return the rows in which the vendor says how long to wait."""
    place = (READS[vendor] if vendor == "customerio" else WRITES[vendor])[:1]
    cases = []
    for status in (429, 503):
        asks = {"kind": "status", "status": status, "headers": {"retry-after": "1"}}
        cases.append(Case(vendor, f"{status} with Retry-After", Ending.RIDDEN, at(place, asks), waits=1.0))
    long = {"kind": "status", "status": 503, "headers": {"retry-after": "7200"}}
    hold = Ending.HELD if vendor == "customerio" else Ending.STOPPED
    cases.append(Case(vendor, "503 with Retry-After of two hours", hold, at(place, long)))
    return cases


def _common(vendor: str) -> list[Case]:
    reads, creations = READS[vendor], CREATIONS[vendor]
    places = reads if vendor == "customerio" else WRITES[vendor]
    late = Ending.RIDDEN if vendor == "hubspot" else Ending.HELD
    empty = {"kind": "status", "status": 200, "body": {"success": True}}
    page = {"kind": "html"}
    back = Case(vendor, "reset after the write, change taken back", Ending.HELD,
                at(WRITES[vendor], KINDS["reset after the write"], ALWAYS), afterwards="take_back")  # fmt: skip
    return [
        *_transient(vendor),
        *_patient(vendor),
        *([back] if WRITES[vendor] else []),
        Case(vendor, "timeout after the write", late, at(creations, SLOW), timeout_s=0.3),
        Case(vendor, "HTML 403", Ending.STOPPED, at(places[:1], page, ALWAYS)),
        Case(vendor, "empty 2xx", Ending.HELD, at(places, empty)),
    ]


def _hubspot() -> list[Case]:
    moved = {"kind": "status", "status": 477, "headers": {"retry-after": "86400"}}
    twice = {"category": "VALIDATION_ERROR", "message": "Duplicate IDs found in batch input"}
    duplicate = {"kind": "status", "status": 400, "body": twice}
    nothing = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": []}}
    vendor, writes, reads = "hubspot", WRITES["hubspot"], READS["hubspot"]
    lists = ({"method": "POST", "path": "/crm/lists/2026-09"},)
    renames = ({"method": "PUT", "path": "/crm/lists/*/update-list-name"},)
    deletions = ({"method": "DELETE", "path": "/crm/lists/*"},)
    fields = ({"path": "/crm/properties/*/batch/create"},)
    return [
        *_common(vendor),
        Case(vendor, "477 for a day", Ending.STOPPED, at(writes[:1], moved, ALWAYS)),
        Case(vendor, "500 at the look-up, all the time", Ending.HELD, at(reads, KINDS["500"], ALWAYS)),
        Case(vendor, "empty look-up", Ending.HELD, at(reads, nothing)),
        Case(vendor, "empty results", Ending.HELD, at(writes[:2], nothing)),
        Case(vendor, "duplicate-id 400", Ending.RIDDEN, at((writes[0], writes[2]), duplicate)),
        Case(vendor, "duplicate-id 400 for one record", Ending.REJECTED, at(writes[:1], duplicate, ALWAYS)),
        Case(vendor, "207 mixed", Ending.REJECTED, trouble="lose_option"),
        Case(vendor, "207 mixed, no trace ids back", Ending.REJECTED, trouble="lose_option_silently"),
        Case(vendor, "whole-batch 409", Ending.REJECTED, trouble="collide"),
        Case(vendor, "deleted records", Ending.REJECTED, trouble="delete"),
        Case(vendor, "merged records", Ending.REJECTED, trouble="merge"),
        Case(vendor, "unordered, lowercased", Ending.RIDDEN, trouble="mixed_case"),
        Case(vendor, "membership reply without empty lists", Ending.RIDDEN, trouble="omit_empty"),
        Case(vendor, "daily limit at 0", Ending.STOPPED, trouble="spend_budget"),
        Case(vendor, "index lag, answer lost", Ending.HELD, at(writes[1:2], KINDS["502"] | {"when": "after"}, ALWAYS),
             trouble="lag"),
        Case(vendor, "list made, answer lost", Ending.HELD, at(lists, KINDS["reset after the write"]), extends=True),
        Case(vendor, "list renamed, answer lost", Ending.HELD, at(renames, KINDS["reset after the write"], ALWAYS),
             trouble="rename_list"),
        Case(vendor, "list to be deleted, answer lost", Ending.HELD, at(deletions, KINDS["reset after the write"], ALWAYS),
             trouble="retire_list"),
        Case(vendor, "fields made, answer lost", Ending.HELD, at(fields, KINDS["truncated body"]), extends=True),
    ]  # fmt: skip


def _pipedrive() -> list[Case]:
    vendor, (patch, post) = "pipedrive", WRITES["pipedrive"]
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    fields = ({"method": "POST", "path": "/api/v2/personFields"},)
    options = ({"method": "POST", "path": "/api/v2/personFields/*/options"},)
    lost = KINDS["reset after the write"]
    return [
        *_common(vendor),
        Case(vendor, "500 at the mirror, all the time", Ending.HELD, at(READS[vendor], KINDS["500"], ALWAYS)),
        Case(vendor, "503 once at the mirror", Ending.RIDDEN, at(READS[vendor], KINDS["503"])),
        Case(vendor, "400 for one record", Ending.RIDDEN, at((patch, post), refused)),
        Case(vendor, "deleted records", Ending.REJECTED, trouble="delete"),
        Case(vendor, "merged records", Ending.RIDDEN, trouble="merge"),
        Case(vendor, "an option deleted in use", Ending.REJECTED, trouble="lose_option"),
        Case(vendor, "unordered, lowercased", Ending.RIDDEN, trouble="mixed_case"),
        Case(vendor, "token budget at 0", Ending.STOPPED, trouble="spend_budget"),
        Case(vendor, "token budget ends midway", Ending.HELD, trouble="leave_few_tokens"),
        Case(vendor, "index lag, answer lost", Ending.HELD, at((post,), lost), trouble="lag"),
        Case(vendor, "field made, answer lost", Ending.HELD, at(fields, lost), extends=True),
        Case(vendor, "option made, answer lost", Ending.HELD, at(options, lost), extends=True),
    ]


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
        Case(vendor, "429, once at every write", Ending.RIDDEN, at(writes, KINDS["429"])),
        Case(vendor, "502, all the time", Ending.HELD, at(writes, KINDS["502"], ALWAYS)),
        Case(vendor, "reset after the write, once at every write", Ending.RIDDEN, at(writes, lost)),
        Case(vendor, "reset after the write, change taken back", Ending.HELD, at(writes, lost, ALWAYS),
             afterwards="take_back"),
        Case(vendor, "timeout after the write", Ending.RIDDEN, at(writes, SLOW), timeout_s=0.3),
        Case(vendor, "503 with Retry-After of two hours", Ending.STOPPED,
             at(writes, {"kind": "status", "status": 503, "headers": {"retry-after": "7200"}})),
        Case(vendor, "empty 2xx", Ending.HELD, at(writes, nothing)),
        Case(vendor, "207 mixed", Ending.REJECTED, at(writes, {"kind": "status", "status": 207, "when": "after", "body": part})),
        Case(vendor, "400 for the whole batch", Ending.RIDDEN,
             at(writes, {"kind": "status", "status": 400, "body": whole})),
        Case(vendor, "500 at what was not applied, all the time", Ending.RIDDEN,
             at(({"path": "/v1/activities"},), KINDS["500"], ALWAYS)),
    ]  # fmt: skip


CASES: tuple[Case, ...] = (
    *_hubspot(), *hubspot_tasks(), *hubspot_handing(), *heard("hubspot"), *hubspot_tasks("hubspot_notes"), *_pipedrive(), *pipedrive_activities(), *pipedrive_handing(), *pipedrive_notes(), *pipedrive_notes("deal"), *heard("pipedrive"), *_customerio(), *_write_back(),
)  # fmt: skip
