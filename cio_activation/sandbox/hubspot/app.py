"""The stand-in for HubSpot: one account in memory, at the paths of the real API (dated, v3 and v4).

Built from the vendor's documents and reported behaviour. Where those leave a question open, it does what is
harder for a client: ids a merge consumed are unknown to reads and lists, a batch that means one contact twice
(two spellings of an address, or a primary and an additional one) is refused, result rows come in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.account_desk import OwnerDesk
from cio_activation.sandbox.hubspot.associations import AssociationDesk
from cio_activation.sandbox.hubspot.batch import BatchDesk
from cio_activation.sandbox.hubspot.call import Handler, RouteRow, endpoint
from cio_activation.sandbox.hubspot.contacts import ObjectDesk
from cio_activation.sandbox.hubspot.desk import TaskDesk
from cio_activation.sandbox.hubspot.errors import CORRELATION_HEADER, correlation_id, not_found
from cio_activation.sandbox.hubspot.limits import ALL_SCOPES, Limits
from cio_activation.sandbox.hubspot.links import Links
from cio_activation.sandbox.hubspot.lists import ListDesk, Lists
from cio_activation.sandbox.hubspot.manual_edits import ManualEdits, snapshot
from cio_activation.sandbox.hubspot.members import FolderDesk, MemberDesk
from cio_activation.sandbox.hubspot.pipelines import PipelineDesk, first_pipelines
from cio_activation.sandbox.hubspot.properties import PropertyDesk
from cio_activation.sandbox.hubspot.records import Records
from cio_activation.sandbox.hubspot.search import SearchDesk
from cio_activation.sandbox.hubspot.seed import built_in_properties, seed_contacts
from cio_activation.sandbox.hubspot.settings import Settings
from cio_activation.sandbox.server.agents import Agents
from cio_activation.sandbox.server.core import Shared, Vendor

CONTACT_DEFAULTS = ("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname")
DEAL_DEFAULTS = (
    *("amount", "closedate", "createdate", "dealname", "dealstage", "hs_lastmodifieddate", "hs_object_id", "pipeline"),
)
_DEFAULTS = ("hs_createdate", "hs_lastmodifieddate", "hs_object_id")
_OBJECT_TYPES = (
    ("contacts", "CONTACT", 150_000_000_001, CONTACT_DEFAULTS),
    ("tasks", "TASK", 90_000_000_001, _DEFAULTS),
    ("notes", "NOTE", 80_000_000_001, _DEFAULTS),
    ("deals", "DEAL", 30_000_000_001, DEAL_DEFAULTS),
)
"""Name, label, first id, what reads answer unasked."""


class HubSpot(Vendor):
    """One HubSpot account.

    ``seed``: existing contacts, ``{"email", "first_name", "last_name", "phone", "additional_emails"?}``.
    ``limited=False`` lifts the rate windows. ``search_lag_s`` and ``property_lag_s`` (until a new definition can
    be read) are seconds of real time. ``echo_trace_ids`` and ``omit_empty_ids`` (of membership replies) switch
    between shapes that were both seen or left open.
    """

    name = "hubspot"

    def __init__(
        self,
        shared: Shared,
        seed: list[dict[str, Any]],
        *,
        tier: str = "professional",
        token: str = "sandbox-hubspot-token",
        limited: bool = True,
        scopes: Iterable[str] = ALL_SCOPES,
        search_lag_s: float = 3.0,
        property_lag_s: float = 0.3,
        property_limit: int = 1_000,
        echo_trace_ids: bool = True,
        omit_empty_ids: bool = False,
        portal_id: int = 48_000_123,
    ) -> None:
        super().__init__(shared)
        self.account = account = Account(
            shared.clock, Settings(search_lag_s, echo_trace_ids, omit_empty_ids), portal_id
        )
        self.limits = Limits(tier, token, frozenset(scopes), account.time_zone, limited=limited)
        account.properties = built_in_properties(property_limit, property_lag_s)
        account.pipelines = first_pipelines(self.now)
        account.records = {
            name: Records(
                shared.clock,
                account.settings,
                account.properties[name],
                object_type=name,
                label=label,
                first_id=first_id,
                defaults=defaults,
            )
            for name, label, first_id, defaults in _OBJECT_TYPES
        }
        self.lists, self.links = Lists(account), Links(account)
        account.records["contacts"].listeners.append(self.lists.records_gone)
        for name, records in account.records.items():
            records.listeners.append(self.links.gone(name))
        account.records["contacts"].derived["num_associated_deals"] = self._deals_of
        seed_contacts(account.records["contacts"], seed)
        self._owner_desk = OwnerDesk(account, "DEVELOPER_TEST" if tier == "free" else "STANDARD")
        self.agents = Agents(self.name, TaskDesk(account, self.links), shared.clock.pinned)
        self._edits = ManualEdits(account, self.lists, self.links, self.limits)

    def routes(self) -> list[BaseRoute]:
        """Return every family at its dated path and at its numbered one."""
        account = self.account
        association = AssociationDesk(account, self.links)
        search: RouteRow = ("POST", "/{type}/search", SearchDesk(account).search)
        objects = [
            *BatchDesk(account, self.links).routes(),
            search,
            *association.object_routes(),
            *ObjectDesk(account, self.links).routes(),
        ]
        lists = [*MemberDesk(self.lists).routes(), *FolderDesk(self.lists).routes(), *ListDesk(self.lists).routes()]
        properties = PropertyDesk(account)
        return [
            *_family("/crm/objects/{version}", "/crm/v3/objects", "v3", objects),
            *_family("/crm/lists/{version}", "/crm/v3/lists", "v3", lists),
            *_family("/crm/properties/{version}", "/crm/v3/properties", "v3", properties.routes()),
            *_family("/crm/associations/{version}", "/crm/v4/associations", "v4", association.routes()),
            *_family("/crm/objects/{version}", "/crm/v4/objects", "v4", association.object_routes()),
            *_family("/crm/owners/{version}", "/crm/v3/owners", "v3", self._owner_desk.routes()),
            *_family("/crm/pipelines/{version}", "/crm/v3/pipelines", "v3", PipelineDesk(account).routes()),
            _route("GET", "/account-info/v3/details", self._owner_desk.details, "v3"),
            _route("GET", "/account-info/{version}/details", self._owner_desk.details, None),
            _route("GET", "/crm/v3/limits/custom-properties", properties.limits, "v3"),
            _route("GET", "/crm/limits/{version}/custom-properties", properties.limits, None),
            Route("/{rest:path}", _unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def admit(self, request: Request) -> Response | None:
        """Refuse wrong tokens, calls above the rate windows and missing scopes."""
        return self.limits.admit(request, self.now)

    def decorate(self, request: Request, response: Response) -> None:
        """Add the correlation id, and the rate windows where HubSpot shows them."""
        if CORRELATION_HEADER not in response.headers:
            response.headers[CORRELATION_HEADER] = correlation_id()
        if response.status_code != 401:
            response.headers.update(self.limits.headers(request.url.path))

    def state(self) -> dict[str, Any]:
        """Return contacts, properties, lists, tasks, notes, deals and owners."""
        return snapshot(self.account, self.lists, self.links)

    def hold_limits(self, on: bool) -> None:
        """Hold the rate windows from now on, or only count."""
        self.limits.limited = on

    def _deals_of(self, contact: int) -> str | None:
        return str(len(self.links.of("contacts", contact, "deals")) or "") or None

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply an edit by hand; the actions are the methods of :class:`ManualEdits`."""
        return self._edits.apply(change)


def _family(dated: str, numbered: str, version: str, rows: list[RouteRow]) -> list[BaseRoute]:
    made = [_route(method, dated + path, handler, None) for method, path, handler in rows]
    return [*made, *(_route(method, numbered + path, handler, version) for method, path, handler in rows)]


def _route(method: str, path: str, handler: Handler, version: str | None) -> BaseRoute:
    return Route(path, endpoint(handler, version), methods=[method])


async def _unknown(request: Request) -> Response:
    return not_found(f"No route at {request.url.path}").response()
