"""The rows of what people are asked to do, and of what CRMs are asked about it."""

from __future__ import annotations

from cio_activation_tests.faults.cases import ALWAYS, KINDS, SLOW, SURELY_NOT_APPLIED, Case, Ending, at


def hubspot_tasks(vendor: str = "hubspot_tasks") -> list[Case]:
    """Return the rows of what humans are asked to do, or to know: a creation is never sent twice, so a lost answer holds it.

    Notes go the way of tasks at addresses of their own: of them the rows in which most calls get no answer.
    """
    kind_ = vendor.removeprefix("hubspot_")
    create, update, read = ({"path": f"/crm/objects/*/{kind_}/batch/{verb}"} for verb in ("create", "update", "read"))
    writes, lost = (create, update), KINDS["reset after the write"]
    lookup = {"path": f"*associations*{kind_}*"}
    empty = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": [], "errors": []}}
    cases = []
    if kind_ == "notes":
        return [
            Case(vendor, "truncated body, once at every write", Ending.HELD, at(writes, KINDS["truncated body"])),
            Case(vendor, "reset after the write, change taken back", Ending.HELD, at(writes, lost, ALWAYS),
                 afterwards="take_back"),
            Case(vendor, "empty results", Ending.HELD, at((create, update, read), empty)),
            Case(vendor, "index lag, answer lost", Ending.HELD, at((create,), lost), trouble="lag"),
        ]  # fmt: skip
    for kind, fault in KINDS.items():
        safe = Ending.RIDDEN if kind in SURELY_NOT_APPLIED else Ending.HELD
        cases.append(Case(vendor, f"{kind}, once at every write", safe, at(writes, fault)))
    return [
        *cases,
        Case(vendor, "reset after the write, all the time", Ending.HELD, at(writes, lost, ALWAYS)),
        Case(vendor, "reset after the write, change taken back", Ending.HELD, at(writes, lost, ALWAYS),
             afterwards="take_back"),
        Case(vendor, "500 at the read, all the time", Ending.HELD, at((read,), KINDS["500"], ALWAYS)),
        Case(vendor, "empty results", Ending.HELD, at((create, update, read), empty)),
        Case(vendor, "207 mixed", Ending.REJECTED, trouble="end_owner", afterwards="take_owner"),
        Case(vendor, "no trace ids back", Ending.RIDDEN, trouble="lose_trace_ids"),
        Case(vendor, "HTML 403", Ending.STOPPED, at((create,), {"kind": "html"}, ALWAYS)),
        Case(vendor, "made, answer lost, 500 at the look-up", Ending.HELD, at((lookup,), KINDS["500"], ALWAYS),
             trouble="lose_creation"),
        Case(vendor, "made, answer lost, nothing in a 2xx at the look-up", Ending.HELD, at((lookup,), {"kind": "status", "status": 200, "body": {"status": "COMPLETE"}}, ALWAYS),
             trouble="lose_creation"),
        Case(vendor, "index lag, answer lost", Ending.HELD, at((create,), lost), trouble="lag"),
    ]  # fmt: skip


def hubspot_handing() -> list[Case]:
    """Return the rows of tasks that go to somebody else, become urgent or are deleted."""
    vendor, rig = "hubspot_tasks", "hubspot handing"
    update, archive, read = ({"path": f"/crm/objects/*/tasks/batch/{verb}"} for verb in ("update", "archive", "read"))
    writes, lost = (update, archive), KINDS["reset after the write"]
    empty = {"kind": "status", "status": 200, "body": {"status": "COMPLETE", "results": [], "errors": []}}
    return [
        Case(vendor, "handing: 502 at every write", Ending.RIDDEN, at(writes, KINDS["502"], 2), rig=rig),
        Case(vendor, "handing: truncated body at every write", Ending.RIDDEN, at(writes, KINDS["truncated body"], 2), rig=rig),
        Case(vendor, "handing: answers lost, change taken back", Ending.HELD, at(writes, lost, ALWAYS),
             afterwards="take_back", rig=rig),
        Case(vendor, "handing: 500 at the read, all the time", Ending.HELD, at((read,), KINDS["500"], ALWAYS), rig=rig),
        Case(vendor, "handing: empty results", Ending.HELD, at((update, read), empty, 2), rig=rig),
        Case(vendor, "handing: to an owner who is none", Ending.REJECTED, trouble="end_owner", afterwards="take_owner", rig=rig),
    ]  # fmt: skip


def pipedrive_activities() -> list[Case]:
    vendor, rig = "pipedrive", "pipedrive activities"
    post = {"method": "POST", "path": "/api/v2/activities"}
    writes = (post, {"method": "PATCH", "path": "/api/v2/activities/*"})
    lookup = ({"method": "GET", "path": "/api/v2/activities"},)
    reads = ({"method": "GET", "path": "/api/v2/activities/*"}, {"method": "GET", "path": "/api/v2/persons/*"})
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    lost = KINDS["reset after the write"]
    return [
        Case(vendor, "activities: 429 once at every write", Ending.RIDDEN, at(writes, KINDS["429"]), rig=rig),
        Case(vendor, "activities: 502 once at every write", Ending.HELD, at(writes, KINDS["502"]), rig=rig),
        Case(vendor, "activities: answers lost, all the time", Ending.HELD, at(writes, lost, ALWAYS), rig=rig),
        Case(vendor, "activities: half an answer", Ending.HELD, at(writes, KINDS["truncated body"]), rig=rig),
        Case(vendor, "activities: timeout after the write", Ending.HELD, at((post,), SLOW), timeout_s=0.3, rig=rig),
        Case(
            vendor,
            "activities: made, answer lost, 500 at the look-up",
            Ending.HELD,
            at(lookup, KINDS["500"], ALWAYS),
            trouble="lose_creation",
            rig=rig,
        ),
        Case(
            vendor,
            "activities: made, answer lost, nothing in a 2xx at the look-up",
            Ending.HELD,
            at(lookup, {"kind": "status", "status": 200, "body": {"success": True}}, ALWAYS),
            trouble="lose_creation",
            rig=rig,
        ),
        Case(vendor, "activities: 503 once at every read", Ending.RIDDEN, at(reads, KINDS["503"]), rig=rig),
        Case(vendor, "activities: 400 once at every write", Ending.REJECTED, at(writes, refused), rig=rig),
    ]


def pipedrive_handing() -> list[Case]:
    """Return the rows of activities that go to somebody else, become urgent or are deleted."""
    vendor, rig, path = "pipedrive", "pipedrive handing", "/api/v2/activities/*"
    writes = ({"method": "PATCH", "path": path}, {"method": "DELETE", "path": path})
    read = ({"method": "GET", "path": path},)
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    return [
        Case(vendor, "handing: 502 once at every write", Ending.RIDDEN, at(writes, KINDS["502"]), rig=rig),
        Case(vendor, "handing: answers lost, change taken back", Ending.HELD,
             at(writes, KINDS["reset after the write"], ALWAYS), afterwards="take_back", rig=rig),
        Case(vendor, "handing: 503 all the time at the read", Ending.HELD, at(read, KINDS["503"], ALWAYS), rig=rig),
        Case(vendor, "handing: 400 once at every write", Ending.REJECTED, at(writes, refused), rig=rig),
    ]  # fmt: skip


def pipedrive_notes(word: str = "note") -> list[Case]:
    """Return the rows of notes, or deals: they go the way of activities at addresses of their own."""
    vendor, rig = "pipedrive", f"pipedrive {word}s"
    where = {"note": "/v1/notes", "deal": "/api/v2/deals"}[word]
    change = "PUT" if word == "note" else "PATCH"
    post, one = {"method": "POST", "path": where}, f"{where}/*"
    writes = (post, {"method": change, "path": one}, *([{"method": "DELETE", "path": one}] if word == "note" else []))
    reads = ({"method": "GET", "path": f"{where}*"}, {"method": "GET", "path": "/api/v2/persons/*"})
    refused = {"kind": "status", "status": 400, "body": {"success": False, "code": "ERR_SCHEMA_VALIDATION_FAILED"}}
    lost = KINDS["reset after the write"]
    lookup = ({"method": "GET", "path": where},)
    return [
        Case(
            vendor,
            f"{word}s: made, answer lost, 500 at the look-up",
            Ending.HELD,
            at(lookup, KINDS["500"], ALWAYS),
            trouble="lose_creation",
            rig=rig,
        ),
        Case(vendor, f"{word}s: answers lost, all the time", Ending.HELD, at(writes, lost, ALWAYS), rig=rig),
        Case(vendor, f"{word}s: half an answer", Ending.HELD, at(writes, KINDS["truncated body"]), rig=rig),
        Case(vendor, f"{word}s: 503 once at every read", Ending.RIDDEN, at(reads, KINDS["503"]), rig=rig),
        Case(vendor, f"{word}s: 400 once at every write", Ending.REJECTED, at(writes, refused), rig=rig),
    ]


def heard(crm: str) -> list[Case]:
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
        Case(vendor, "heard: 503 once at every read", Ending.RIDDEN, at(places, KINDS["503"]), rig=rig),
        Case(vendor, "heard: 500 at the actions, all the time", Ending.HELD, at((actions,), KINDS["500"], ALWAYS), rig=rig),
        Case(vendor, "heard: nothing of the people in a 2xx", Ending.HELD, at((people,), empty), rig=rig),
        Case(vendor, "heard: HTML 403", Ending.HELD, at(places[:1], {"kind": "html"}, ALWAYS), rig=rig),
    ]  # fmt: skip
