"""What a rejection's codes mean, for people: a sentence and what to do, beside the codes and never instead of them.

A reason that is stored begins with the status, if there was one, then has the vendor's own codes and the fields it
blames: short, so that reasons group well. Codes: HubSpot's error page and its batch answers; Pipedrive's OpenAPI files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cio_activation.transport.policy import Meaning, policy_for

_CODES: Mapping[str, str] = {
    "INVALID_OPTION": "the value is none of the property's options; the next schema step adds ours",
    "INVALID_BOOLEAN_OPTION": "the property is a checkbox whose options are not true and false; give it these two",
    "PROPERTY_DOESNT_EXIST": "the property is not there; the next schema step makes it",
    "READ_ONLY_VALUE": "the property is read-only in HubSpot; let it be edited by integrations, or leave it out",
    "INVALID_EMAIL": "the address is none to HubSpot; mend it in Customer.io",
    "MISSING_REQUIRED_PROPERTY": "an admin made a property required that we do not write; make it optional",
    "MISSING_CONDITIONAL_REQUIRED_PROPERTY": "an admin's rule requires another property with this one; change the rule",
    "CONFLICT": "another record has this value already; merge the two, or mend one of them",
    "OBJECT_ALREADY_EXISTS": "another record has this value already; merge the two, or mend one of them",
    "CONFLICTING_UNIQUE_VALUE": "another record has this value already; merge the two, or mend one of them",
    "MISSING_SCOPES": "the credential lacks a scope; `cio-activation check` names it",
    "OBJECT_NOT_FOUND": "the record is not there any more; the next run looks for it anew",
    "ERR_SCHEMA_VALIDATION_FAILED": "Pipedrive takes no value of this kind in the field; see its type there",
    "VALIDATION_ERROR": "HubSpot does not take the value; see the property's type and rules there",
}
"""Vendor's code -> what it means and what to do. The first of these that a reason has tells most."""
_MENDS: Mapping[Meaning, str] = {
    Meaning.OK: "the answer said that it went well and cannot be read; what became of it is looked up by the next run",
    Meaning.UNKNOWN: "what became of it is looked up by the next run",
    Meaning.WAIT: "the next run tries again",
    Meaning.REJECT: "mend the value or the field's rules, then run `cio-activation rejected --retry`",
    Meaning.STOP: "`cio-activation check` says what to mend",
}


def told(reason: str) -> str:
    """Return ``reason`` with what it means and what to do; as it is, if it is a sentence of ours already."""
    meaning = meaning_of(reason)
    return f"{reason}: {meaning}" if meaning else reason


def meaning_of(reason: str) -> str | None:
    """Return what a reason's codes mean and what to do; None if it has none."""
    words = set(re.findall(r"[A-Z][A-Z_]+", reason))
    for code, sentence in _CODES.items():
        if code in words:
            return sentence
    status = re.match(r"([1-5][0-9]{2})\b", reason)
    if status:
        policy = policy_for(int(status[1]))
        return _MENDS[policy.meaning] if policy.meaning is Meaning.OK else f"{policy.why}; {_MENDS[policy.meaning]}"
    return "the call had no answer; " + _MENDS[Meaning.UNKNOWN] if reason.startswith("no answer") else None
