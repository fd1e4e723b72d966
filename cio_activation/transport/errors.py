"""Vendor errors, named by what the caller should do.

VendorError                 vendor, operation, status, request id; never a body with attributes
│                           ``retry_after_s``: how long the vendor asks to wait, if it said so
├── Retryable               surely not applied (connection refused, 429, 423, 477): try again
│   └── RateLimited         a 429
├── OutcomeUnknown          sent, no answer (reset, timeout, 5xx, truncated): look before sending again
├── Rejected                a permanent refusal of this request (400, 404, 409, 422)
└── Stop                    nothing more to this vendor in this run: 401, 403, HTML 403, daily budget spent
    └── BudgetSpent         our own part of the vendor's day is used up; what is deferred goes first tomorrow
"""

from __future__ import annotations

from typing import Any

from cio_activation.errors import CioActivationError


class VendorError(CioActivationError):
    """A vendor call did not end in success."""

    def __init__(
        self,
        message: str,
        *,
        vendor: str,
        operation: str,
        status: int | None = None,
        request_id: str | None = None,
        body: Any = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.vendor = vendor
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.body = body  # parsed error body for the vendor's own code to read; never printed
        self.retry_after_s = retry_after_s  # seconds the vendor asks to wait; None if it said nothing
        where = f"{vendor} {operation}" + (f" answered {status}" if status else "")
        super().__init__(f"{where}: {message}" + (f" (request {request_id})" if request_id else ""))


class Retryable(VendorError):
    """The request was surely not applied; the same request may be sent again."""

    passes_by_itself = True


class RateLimited(Retryable):
    """A 429."""


class OutcomeUnknown(VendorError):
    """The request went out and no trustworthy answer came back: it may or may not have been applied."""

    passes_by_itself = True


class Rejected(VendorError):
    """The vendor refused this request for good; sending it unchanged cannot succeed."""


class Stop(VendorError):
    """Nothing more may be sent to this vendor in this run (credentials, permissions, budget, firewall)."""


class BudgetSpent(Stop):
    """What we may use of the vendor's day is used up. Not a fault: the rest is deferred, and first tomorrow."""
