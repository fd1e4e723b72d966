"""Reads back from the stand-ins what arrived there; never from our own tables."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.request import urlopen

READS = ("/batch/read", "/search", "/memberships/batch/read")
"""POST paths that change nothing."""


def control(url: str, path: str) -> Any:
    """Return one answer of a stand-in's control surface."""
    with urlopen(f"{url}/_sandbox/{path}", timeout=30) as answer:
        return json.load(answer)


def write_calls(urls: dict[str, str]) -> dict[str, int]:
    """Return write calls per vendor, method and path template so far, at both destinations."""
    calls = control(urls["hubspot"], "log?entries=0")["calls"]
    return {
        f"{vendor} {call}": count
        for vendor in ("hubspot", "pipedrive")
        for call, count in calls[vendor].items()
        if not call.startswith("GET ") and not call.endswith(READS)
    }


def read_back(urls: dict[str, str], prefix: str) -> dict[str, Any]:
    """Return what HubSpot and Pipedrive hold and how they were called, in the demo's form."""
    log = control(urls["hubspot"], "log?entries=0")
    hubspot = control(urls["hubspot"], "state?vendor=hubspot")["hubspot"]
    pipedrive = control(urls["pipedrive"], "state?vendor=pipedrive")["pipedrive"]
    return {
        "hubspot": {
            "contacts": len(hubspot["contacts"]),
            "properties": _values(hubspot["contacts"].values(), prefix),
            "lists": {one["name"]: len(one["members"]) for one in hubspot["lists"] if not one["deleted"]},
            "calls": log["calls"]["hubspot"],
            "throttled": log["throttled"]["hubspot"],
        },
        "pipedrive": {
            "persons": len(pipedrive["persons"]),
            "fields": _values((p["custom_fields"] for p in pipedrive["persons"].values()), prefix),
            "calls": log["calls"]["pipedrive"],
            "throttled": log["throttled"]["pipedrive"],
        },
        "customerio": {"calls": log["calls"]["customerio"], "throttled": log["throttled"]["customerio"]},
    }


def _values(records: Any, prefix: str) -> dict[str, dict[str, int]]:
    """Return counts per value of each of our enumerated fields; fields with many values are summed up."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        for name, value in record.items():
            if name.startswith(prefix) and name != f"{prefix}id":
                for single in value if isinstance(value, list) else [value]:
                    if single not in (None, ""):
                        found.setdefault(name, Counter())[str(single)] += 1
    return {
        name: dict(sorted(counts.items())) if len(counts) <= 40 else {"(any value)": counts.total()}
        for name, counts in sorted(found.items())
    }
