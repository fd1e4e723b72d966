"""HubSpot's endpoints for owners and account details."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import not_found, reply


class OwnerDesk:
    """Serves owners and account details."""

    def __init__(self, account: Account, account_type: str) -> None:
        self._account, self._account_type = account, account_type

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/owners/{version}``."""
        return [("GET", "", self._list), ("GET", "/", self._list), ("GET", "/{id}", self._get)]

    def details(self, call: Call) -> Response:
        """Answer what account this is (no tier in it)."""
        del call
        offset = (
            datetime.fromtimestamp(self._account.now, UTC).astimezone(ZoneInfo(self._account.time_zone)).utcoffset()
        )
        minutes = int(offset.total_seconds() // 60) if offset else 0
        sign, rest = ("-" if minutes < 0 else "+"), abs(minutes)
        return reply(
            {
                "portalId": self._account.portal_id,
                "accountType": self._account_type,
                "timeZone": self._account.time_zone,
                "companyCurrency": "USD",
                "additionalCurrencies": [],
                "utcOffset": f"{sign}{rest // 60:02d}:{rest % 60:02d}",
                "utcOffsetMilliseconds": minutes * 60_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    def _list(self, call: Call) -> Response:
        limit, after = call.whole("limit", 100, 1, 500), call.whole("after", 0, 0, 2**53)
        email, archived = call.query("email").lower(), call.flag("archived")
        rows = [o for o in self._account.owners if o["archived"] == archived and email in ("", o["email"])]
        rows = [o for o in rows if int(o["id"]) > after]
        body: dict[str, Any] = {"results": rows[:limit]}
        if len(rows) > limit:
            body["paging"] = {"next": {"after": rows[limit - 1]["id"]}}
        return reply(body)

    def _get(self, call: Call) -> Response:
        archived = call.flag("archived")
        user = call.query("idProperty") == "userId"
        field = ("userIdIncludingInactive" if archived else "userId") if user else "id"
        for owner in self._account.owners:
            if str(owner[field]) == call.params["id"] and owner["archived"] == archived:
                return reply(owner)
        raise not_found(f"Owner {call.params['id']} does not exist")
