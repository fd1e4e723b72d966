"""What an HTTP status means, as data: one table for all vendors, read by the client and printed by the docs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """What the caller may conclude from a status."""

    OK = "ok"
    WAIT = "wait"  # not applied; wait as told, then send the same request again
    UNKNOWN = "unknown"  # may have been applied
    REJECT = "reject"  # never send this unchanged
    STOP = "stop"  # nothing more to this vendor in this run


@dataclass(frozen=True)
class Policy:
    """One row of the table."""

    meaning: Meaning
    why: str
    backoff_factor: float = 1.0
    """Times the usual backoff, where the vendor names no time."""


# HubSpot: 423 record lock, 477 data-centre move, 521-524 gateway, 525/526 certificates (its error page).
# Pipedrive: 402 account closed, 403 forbidden or plan cap, HTML 403 from its firewall (its status page).
STATUS: dict[int, Policy] = {
    301: Policy(Meaning.STOP, "it sends us to another address"),
    302: Policy(Meaning.STOP, "it sends us to another address"),
    307: Policy(Meaning.STOP, "it sends us to another address"),
    308: Policy(Meaning.STOP, "it sends us to another address"),
    400: Policy(Meaning.REJECT, "the request is malformed or breaks a rule of the vendor"),
    401: Policy(Meaning.STOP, "the credential is missing, wrong or revoked"),
    402: Policy(Meaning.STOP, "the account is closed or unpaid"),
    403: Policy(Meaning.STOP, "the credential lacks a scope or permission, or a plan limit is reached"),
    404: Policy(Meaning.REJECT, "there is no such record or path"),
    405: Policy(Meaning.REJECT, "the path does not take this method"),
    409: Policy(Meaning.REJECT, "it conflicts with what is there"),
    410: Policy(Meaning.REJECT, "it is gone"),
    413: Policy(Meaning.REJECT, "the request is too large"),
    414: Policy(Meaning.REJECT, "the address is too long"),
    415: Policy(Meaning.REJECT, "the feature is off for this account"),
    422: Policy(Meaning.REJECT, "the vendor could not process the values"),
    # HubSpot: wait 2 s or more; four times the usual first backoff of 0.5 s.
    423: Policy(Meaning.WAIT, "the record is locked", backoff_factor=4.0),
    429: Policy(Meaning.WAIT, "a rate limit was reached"),
    477: Policy(Meaning.WAIT, "the account is being moved"),
    500: Policy(Meaning.UNKNOWN, "the vendor failed"),
    502: Policy(Meaning.UNKNOWN, "the vendor's gateway failed"),
    503: Policy(Meaning.UNKNOWN, "the vendor is not available"),
    504: Policy(Meaning.UNKNOWN, "the vendor's gateway gave up waiting"),
    525: Policy(Meaning.STOP, "the vendor's certificate is broken"),
    526: Policy(Meaning.STOP, "the vendor's certificate is broken"),
}


def policy_for(status: int) -> Policy:
    """Return the policy of ``status``; an unlisted 4xx is a refusal, an unlisted 5xx is unknown."""
    if 200 <= status < 300:
        return Policy(Meaning.OK, "success")
    fallback = Meaning.UNKNOWN if status >= 500 else Meaning.REJECT
    return STATUS.get(status, Policy(fallback, "no document of the vendor has this answer"))
