"""HubSpot's property and group endpoints, and the limits of custom properties."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import TYPE_IDS, Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import Refusal, batch_reply, no_content, not_found, reply
from cio_activation.sandbox.hubspot.schema import Property, PropertySet

OVERALL_LIMIT = 10_000
_CHANGE = {**body_checks.PROPERTY_CHANGE, "hasUniqueValue": body_checks.flag}
"""No document has the last one here, but a real account took it with 200 and ignored it (fact sheet, section 5)."""


class PropertyDesk:
    """Serves ``/crm/properties/{version}/{type}`` and ``/crm/limits/{version}/custom-properties``."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/properties/{version}``."""
        return [
            ("POST", "/{type}/batch/create", self._batch_create),
            ("POST", "/{type}/batch/read", self._batch_read),
            ("POST", "/{type}/batch/archive", self._batch_archive),
            ("GET", "/{type}/groups", self._groups),
            ("POST", "/{type}/groups", self._create_group),
            ("GET", "/{type}/groups/{name}", self._group),
            ("PATCH", "/{type}/groups/{name}", self._update_group),
            ("DELETE", "/{type}/groups/{name}", self._archive_group),
            ("GET", "/{type}", self._list),
            ("POST", "/{type}", self._create),
            ("GET", "/{type}/{name}", self._get),
            ("PATCH", "/{type}/{name}", self._update),
            ("DELETE", "/{type}/{name}", self._archive),
        ]

    def limits(self, call: Call) -> Response:
        """Answer how many custom properties the account has and may have."""
        del call
        rows: list[dict[str, Any]] = []
        for type_, type_id in TYPE_IDS.items():
            definitions = self._account.properties[type_]
            usage = len(definitions.custom)
            rows.append(
                {
                    "objectTypeId": type_id,
                    "singularLabel": type_[:-1].capitalize(),
                    "pluralLabel": type_.capitalize(),
                    "limit": definitions.limit,
                    "usage": usage,
                    "percentage": round(100 * usage / definitions.limit, 2),
                }
            )
        total = sum(row["usage"] for row in rows)
        return reply(
            {
                "overallLimit": OVERALL_LIMIT,
                "overallUsage": total,
                "overallPercentage": round(100 * total / OVERALL_LIMIT, 2),
                "byObjectType": rows,
            }
        )

    def _set(self, call: Call) -> PropertySet:
        return self._account.properties[self._account.object_type(call.params["type"])]

    def _found(self, call: Call, name: str) -> Property:
        """Return a definition that reads see."""
        found = self._set(call).properties.get(name)
        wanted_archived = call.flag("archived")
        if found is None or not found.readable or (found.archived_at is not None) != wanted_archived:
            raise not_found(f"Property {name} does not exist", propertyName=[name])
        return found

    def _list(self, call: Call) -> Response:
        archived = call.flag("archived")
        shown = [
            p.as_body()
            for p in self._set(call).properties.values()
            if p.readable and (p.archived_at is not None) == archived
        ]
        return reply({"results": shown})

    def _get(self, call: Call) -> Response:
        return reply(self._found(call, call.params["name"]).as_body())

    def _create(self, call: Call) -> Response:
        made = self._set(call).create(call.object(body_checks.NEW_PROPERTY), self._account.now)
        self._index(call, made)
        return reply(made.as_body(), 201)

    def _update(self, call: Call) -> Response:
        definitions = self._set(call)
        found = definitions.live(call.params["name"])
        if found is None:
            raise not_found(f"Property {call.params['name']} does not exist")
        return reply(definitions.update(found, call.object(_CHANGE), self._account.now).as_body())

    def _archive(self, call: Call) -> Response:
        if self._set(call).live(call.params["name"]) is None:
            raise not_found(f"Property {call.params['name']} does not exist")
        self._set(call).archive(call.params["name"], self._account.now)
        return no_content()

    def _batch_create(self, call: Call) -> Response:
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for body in call.inputs(body_checks.NEW_PROPERTY):
            try:
                made = self._set(call).create(body, self._account.now)
                self._index(call, made)
                results.append(made.as_body())
            except Refusal as refusal:
                errors.append(refusal.as_item(name=[str(body.get("name"))]))
        status = self._account.settings.properties_created_status
        return batch_reply(results, errors, self._account.now, status=status)

    def _batch_read(self, call: Call) -> Response:
        inputs = call.inputs(body_checks.NAMED, beside={"archived": body_checks.flag})
        archived = bool(call.body().get("archived"))
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for item in inputs:
            found = self._set(call).properties.get(str(item.get("name")))
            if found is not None and found.readable and (found.archived_at is not None) == archived:
                results.append(found.as_body())
            else:
                refusal = not_found(f"Property {item.get('name')} does not exist")
                errors.append(refusal.as_item(name=[str(item.get("name"))]))
        return batch_reply(results, errors, self._account.now)

    def _batch_archive(self, call: Call) -> Response:
        for item in call.inputs(body_checks.NAMED):
            self._set(call).archive(str(item.get("name")), self._account.now)
        return no_content()

    def _index(self, call: Call, made: Property) -> None:
        """Give a new unique property its index; a restored one finds its old values again."""
        if made.unique:
            self._account.records[self._account.object_type(call.params["type"])].index_unique(made.name)

    def _groups(self, call: Call) -> Response:
        return reply({"results": list(self._set(call).groups.values())})

    def _create_group(self, call: Call) -> Response:
        return reply(self._set(call).add_group(call.object(body_checks.NEW_GROUP)), 201)

    def _found_group(self, call: Call) -> dict[str, Any]:
        found = self._set(call).groups.get(call.params["name"])
        if found is None:
            raise not_found(f"Property group {call.params['name']} does not exist")
        return found

    def _group(self, call: Call) -> Response:
        return reply(self._found_group(call))

    def _update_group(self, call: Call) -> Response:
        found = self._found_group(call)
        found.update(call.object(body_checks.GROUP_CHANGE))
        return reply(found)

    def _archive_group(self, call: Call) -> Response:
        self._set(call).archive_group(self._found_group(call)["name"])
        return no_content()
