"""A stand-in for Pipedrive: API v2 under ``/api/v2``, what is left of v1 under ``/v1`` and ``/api/v1``.

Built from the vendor's documents and OpenAPI files only. Costs are the specs' ``x-token-cost``.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cio_activation.sandbox.pipedrive.company import Company
from cio_activation.sandbox.pipedrive.desk import ActivityDesk
from cio_activation.sandbox.pipedrive.envelope import Call, Query, Refusal, reply
from cio_activation.sandbox.pipedrive.fields import Fields
from cio_activation.sandbox.pipedrive.limits import PLANS, correlation_id
from cio_activation.sandbox.pipedrive.manual_edits import ManualEdits, snapshot
from cio_activation.sandbox.server.agents import Agents
from cio_activation.sandbox.server.core import Shared, Vendor

Handler = Callable[[Call], Response]
_METHODS = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"]
_PREFIXES = (("/api/v2/", 2), ("/api/v1/", 1), ("/v1/", 1))
_RETIRED = ("persons", "deals", "activities", "organizations", "products", "pipelines", "stages", "itemSearch")
"""First parts of v1 paths whose v2 twins replaced them; out of support since 2026-08-01."""


@dataclass(frozen=True)
class Operation:
    """One endpoint with its price in tokens."""

    method: str
    parts: tuple[str, ...]
    cost: int
    handler: Handler
    search: bool = False


class Pipedrive(Vendor):
    """One Pipedrive company. ``search_lag_s`` is real time; ``limited=False`` lets any rate pass, still counting."""

    name = "pipedrive"

    def __init__(
        self,
        shared: Shared,
        seed: list[dict[str, Any]],
        *,
        plan: str = "growth",
        seats: int = 5,
        token: str = "sandbox-pipedrive-token",
        limited: bool = True,
        search_lag_s: float = 3.0,
        company_id: int = 7_700_001,
    ) -> None:
        super().__init__(shared)
        self._token = token
        self.company = Company(shared.clock, PLANS[plan], seats, limited=limited, search_lag_s=search_lag_s)
        self.company.account.company_id = company_id
        self.company.persons.seed(seed, self.now - 400 * 86_400)
        self.limits, self.search, self.fields = self.company.limits, self.company.search, self.company.fields
        self.agents = Agents(self.name, ActivityDesk(self.company), shared.clock.pinned)
        self._edits = ManualEdits(self.company)
        self._operations: dict[tuple[int, int], list[Operation]] = {}
        for version, table in ((2, self._v2()), (1, self._v1())):
            for operation in table:
                self._operations.setdefault((version, len(operation.parts)), []).append(operation)

    # -- the shell's side -------------------------------------------------------------------------------

    def routes(self) -> list[BaseRoute]:
        """Return one route that dispatches by the table of operations, so that every error has an envelope."""
        return [Route("/{path:path}", self._dispatch, methods=_METHODS)]

    def admit(self, request: Request) -> Response | None:
        """Refuse wrong tokens (401, header only), then bursts, empty budgets and hammering."""
        version, operation, path, refusal = self._find(request.method, request.scope["path"])
        request.scope["pipedrive"] = (version, operation, path, refusal)
        given = request.headers.get("x-api-token", "")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            # Neither spec declares ?api_token=, and a token in an address ends in logs: it is not looked at.
            request.scope["pipedrive.stranger"] = True
            text = {"success": False, "error": "unauthorized access", "errorCode": 401}
            return reply(text, 401)
        cost, search = (operation.cost, operation.search) if operation else (0, False)
        return self.limits.admit(cost, request.method, search=search)

    def decorate(self, request: Request, response: Response) -> None:
        """Add the rate headers and ``x-correlation-id``."""
        response.headers["x-correlation-id"] = correlation_id()
        if "pipedrive.stranger" not in request.scope:
            operation = request.scope["pipedrive"][1]
            self.limits.decorate(response, search=bool(operation and operation.search))

    def state(self) -> dict[str, Any]:
        """Return persons (by id), fields, activities, notes, deals, counts and tokens."""
        return snapshot(self.company)

    def hold_limits(self, on: bool) -> None:
        """Hold the rate windows from now on, or only count."""
        self.limits.limited = on

    def edit(self, change: dict[str, Any]) -> dict[str, Any]:
        """Apply an edit by hand; see :class:`ManualEdits` for the actions."""
        return self._edits.apply(change)

    # -- dispatch ---------------------------------------------------------------------------------------

    async def _dispatch(self, request: Request) -> Response:
        version, operation, path, refusal = request.scope["pipedrive"]
        try:
            if refusal is not None:
                raise refusal
            query = Query(request.query_params, strict=version == 2)
            body = await request.body()
            answer: Response = operation.handler(
                Call(version, path, query, body, request.headers.get("content-type", ""))
            )
            if answer.status_code == 201:
                answer.status_code = self.company.settings.created_status
            return answer
        except Refusal as refused:
            return refused.response(version)

    def _find(self, method: str, path: str) -> tuple[int, Operation | None, dict[str, str], Refusal | None]:
        prefix, version = next(((p, v) for p, v in _PREFIXES if path.startswith(p)), ("/", 1))
        parts = path[len(prefix) :].split("/")
        unknown = Refusal(404, "Unknown method", "ERR_NOT_FOUND")
        if prefix == "/":
            return version, None, {}, unknown
        known_path = False
        for operation in self._operations.get((version, len(parts)), ()):
            values = _match(operation.parts, parts)
            if values is None:
                continue
            if operation.method == method:
                return version, operation, values, None
            known_path = True
        if known_path:
            return version, None, {}, Refusal(405, "Method not allowed", "ERR_METHOD_NOT_ALLOWED")
        if version == 1 and parts[0] in _RETIRED and len(parts) <= 2:
            gone = "This API v1 endpoint is out of support; use its API v2 twin"
            return version, None, {}, Refusal(410, gone)
        return version, None, {}, unknown

    def _v2(self) -> list[Operation]:
        company, pipelines = self.company, self.company.pipelines
        persons, activities, deals, search = company.persons, company.activities, company.deals, company.search
        return [
            _op("GET persons", 10, persons.index),
            _op("POST persons", 5, persons.create),
            _op("GET persons/search", 20, search.persons, search=True),
            _op("GET persons/{id}", 1, persons.show),
            _op("PATCH persons/{id}", 5, persons.update),
            _op("DELETE persons/{id}", 3, persons.delete),
            _op("GET itemSearch", 20, search.items, search=True),
            _op("GET itemSearch/field", 20, search.by_field, search=True),
            *_field_operations("personFields", company.fields),
            *_field_operations("dealFields", deals.fields),
            _op("GET activityFields", 10, activities.fields.index),
            _op("GET activityFields/{code}", 1, activities.fields.show),
            _op("GET activities", 10, activities.index),
            _op("POST activities", 5, activities.create),
            _op("GET activities/{id}", 1, activities.show),
            _op("PATCH activities/{id}", 5, activities.update),
            _op("DELETE activities/{id}", 3, activities.delete),
            _op("GET deals", 10, deals.index),
            _op("POST deals", 5, deals.create),
            _op("GET deals/archived", 20, deals.index_archived),
            _op("GET deals/search", 20, search.deals, search=True),
            _op("GET deals/{id}", 1, deals.show),
            _op("PATCH deals/{id}", 5, deals.update),
            _op("DELETE deals/{id}", 3, deals.delete),
            _op("GET stages", 5, pipelines.list_stages),
            _op("GET stages/{id}", 1, pipelines.show_stage),
            _op("GET pipelines", 5, pipelines.list_pipelines),
            _op("GET pipelines/{id}", 1, pipelines.show_pipeline),
        ]

    def _v1(self) -> list[Operation]:
        company = self.company
        account, notes = company.account, company.notes
        return [
            _op("GET users", 20, account.list_users),
            _op("GET users/me", 2, account.me),
            _op("GET users/{id}", 2, account.show_user),
            _op("PUT users/{id}", 10, account.update_user),
            _op("GET activityTypes", 20, account.list_types),
            _op("POST activityTypes", 10, account.create_type),
            _op("GET personFields", 20, company.fields.index_v1),
            _op("GET dealFields", 20, company.deals.fields.index_v1),
            _op("PUT persons/{id}/merge", 40, company.persons.merge),
            _op("GET notes", 20, notes.index),
            _op("POST notes", 10, notes.create),
            _op("GET notes/{id}", 2, notes.show),
            _op("PUT notes/{id}", 10, notes.update),
            _op("DELETE notes/{id}", 6, notes.delete),
        ]


def _op(what: str, cost: int, handler: Handler, *, search: bool = False) -> Operation:
    method, _, path = what.partition(" ")
    return Operation(method, tuple(path.split("/")), cost, handler, search)


def _field_operations(name: str, fields: Fields) -> list[Operation]:
    return [
        _op(f"GET {name}", 10, fields.index),
        _op(f"POST {name}", 5, fields.create),
        _op(f"GET {name}/{{code}}", 1, fields.show),
        _op(f"PATCH {name}/{{code}}", 5, fields.rename),
        _op(f"DELETE {name}/{{code}}", 3, fields.delete),
        _op(f"POST {name}/{{code}}/options", 5, fields.add_options),
        _op(f"PATCH {name}/{{code}}/options", 5, fields.rename_options),
        _op(f"DELETE {name}/{{code}}/options", 3, fields.remove_options),
    ]


def _match(template: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    """Return the values of a template's placeholders, or None if the path is another one."""
    values: dict[str, str] = {}
    for wanted, part in zip(template, parts, strict=True):
        if wanted.startswith("{") and part:
            values[wanted[1:-1]] = part
        elif wanted != part:
            return None
    return values
