"""HubSpot's association endpoints: default and labelled links between records, and the labels themselves."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import TYPE_IDS, Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import (
    batch_reply,
    missing_fields,
    no_content,
    not_found,
    reply,
)
from cio_activation.sandbox.hubspot.links import Kind, Link, Links, Node
from cio_activation.sandbox.hubspot.values import as_text

ASSOCIATE_MAX, READ_MAX = 100, 1_000
_FAR_ENDS = {**body_checks.ENDS, "to": body_checks.array(body_checks.record(body_checks.IDENTITY))}
_TYPES = body_checks.array(body_checks.record(body_checks.ASSOCIATION_TYPE))
_TYPED_ENDS = {**body_checks.ENDS, "types": _TYPES}
_LABEL = dict.fromkeys(("name", "label", "inverseLabel"), body_checks.text)


class AssociationDesk:
    """Serves associations between contacts, tasks, notes and deals."""

    def __init__(self, account: Account, links: Links) -> None:
        self._account, self._links = account, links

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/associations/{version}``."""
        return [
            ("POST", "/{type}/{to}/batch/associate/default", self._associate),
            ("POST", "/{type}/{to}/batch/create", self._create),
            ("POST", "/{type}/{to}/batch/read", self._read),
            ("POST", "/{type}/{to}/batch/archive", self._archive),
            ("POST", "/{type}/{to}/batch/labels/archive", self._archive_labels),
            ("GET", "/{type}/{to}/labels", self._labels),
            ("POST", "/{type}/{to}/labels", self._define),
        ]

    def object_routes(self) -> list[RouteRow]:
        """Return the single-record routes below ``/crm/objects/{version}``."""
        return [
            ("GET", "/{type}/{id}/associations/{to}", self._of_one),
            ("PUT", "/{type}/{id}/associations/default/{to}/{to_id}", self._associate_one),
            ("PUT", "/{type}/{id}/associations/{to}/{to_id}", self._create_one),
            ("DELETE", "/{type}/{id}/associations/{to}/{to_id}", self._archive_one),
        ]

    def _ends(self, call: Call) -> tuple[str, str]:
        near, far = (self._account.object_type(call.params[name]) for name in ("type", "to"))
        self._links.default(near, far)
        return near, far

    def _nodes(self, call: Call, from_id: str, to_id: str) -> tuple[Node, Node] | None:
        """Return the two records, if both exist."""
        near, far = self._ends(call)
        one, other = self._account.records[near].get(from_id), self._account.records[far].get(to_id)
        return None if one is None or other is None else ((near, one.id), (far, other.id))

    def _link(self, call: Call, from_id: str, to_id: str, kinds: tuple[Kind, ...]) -> tuple[Node, Node] | None:
        nodes = self._nodes(call, from_id, to_id)
        if nodes is not None:
            (near, one), (far, other) = nodes
            self._links.add(near, one, [Link(far, other, kinds)])
        return nodes

    def _associate(self, call: Call) -> Response:
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        kind = self._links.default(*self._ends(call))
        for item in call.inputs(body_checks.ENDS, ASSOCIATE_MAX):
            ends = _ids(item)
            if self._link(call, *ends, (kind,)):
                results.append(_default_row(*ends, kind))
            else:
                errors.append(not_found("One or both ends do not exist").as_item(ids=list(ends)))
        return batch_reply(results, errors, self._account.now)

    def _associate_one(self, call: Call) -> Response:
        kind, ends = self._links.default(*self._ends(call)), (call.params["id"], call.params["to_id"])
        if self._link(call, *ends, (kind,)) is None:
            raise not_found("One or both ends do not exist")
        return batch_reply([_default_row(*ends, kind)], [], self._account.now)

    def _create(self, call: Call) -> Response:
        """Link by the kinds that each input names; the labels come back."""
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        near, far = self._ends(call)
        wanted: list[tuple[tuple[str, str], tuple[Kind, ...]]] = []
        for item in call.inputs(_TYPED_ENDS, ASSOCIATE_MAX):
            if item.get("types") is None:
                raise missing_fields("types")
            wanted.append((_ids(item), self._links.named(near, far, item["types"])))
        for ends, kinds in wanted:
            nodes = self._link(call, *ends, kinds)
            if nodes is None:
                errors.append(not_found("One or both ends do not exist").as_item(ids=list(ends)))
            else:
                results.append(_labelled_row(nodes, kinds))
        return batch_reply(results, errors, self._account.now, status=201)

    def _create_one(self, call: Call) -> Response:
        given = call.body()
        _TYPES(given, "types")
        kinds = self._links.named(*self._ends(call), given)
        nodes = self._link(call, call.params["id"], call.params["to_id"], kinds)
        if nodes is None:
            raise not_found("One or both ends do not exist")
        return reply(_labelled_row(nodes, kinds), 201)

    def _archive_one(self, call: Call) -> Response:
        nodes = self._nodes(call, call.params["id"], call.params["to_id"])
        if nodes is not None:
            self._links.remove(*nodes)
        return no_content()

    def _rows(self, node: Node, far: str) -> list[dict[str, Any]]:
        return [
            {
                "toObjectId": str(other),
                "associationTypes": [kind.as_row() for kind in self._links.kinds_of(node, (far, other))],
            }
            for other in self._links.of(*node, far)
        ]

    def _read(self, call: Call) -> Response:
        near, far = self._ends(call)
        results: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for item in call.inputs({**body_checks.IDENTITY, "after": body_checks.text}, READ_MAX):
            wanted = as_text(item.get("id")) or ""
            record = self._account.records[near].get(wanted)
            found = self._rows((near, record.id), far) if record else []
            if found:
                results.append({"from": {"id": wanted}, "to": found})
                continue
            refusal = not_found(f"No {far[:-1]} is associated with {near[:-1]} {wanted}.")
            refusal.sub_category = "crm.associations.NO_ASSOCIATIONS_FOUND"
            errors.append(refusal.as_item(fromObjectId=[wanted], fromObjectType=[near[:-1]], toObjectType=[far[:-1]]))
        return batch_reply(results, errors, self._account.now)

    def _of_one(self, call: Call) -> Response:
        near, far = self._ends(call)
        record = self._account.records[near].get(call.params["id"])
        if record is None:
            raise not_found(f"Object not found: {call.params['id']}")
        return reply({"results": self._rows((near, record.id), far)})

    def _archive(self, call: Call) -> Response:
        near, far = self._ends(call)
        for item in call.inputs(_FAR_ENDS, ASSOCIATE_MAX):
            one = as_text((item.get("from") or {}).get("id")) or ""
            for end in item.get("to") or []:
                other = as_text(end.get("id")) or ""
                if one.isdecimal() and other.isdecimal():
                    self._links.remove((near, int(one)), (far, int(other)))
        return no_content()

    def _archive_labels(self, call: Call) -> Response:
        """Take the named kinds from links; the unlabelled one stays unless it is named."""
        near, far = self._ends(call)
        for item in call.inputs(_TYPED_ENDS, ASSOCIATE_MAX):
            nodes = self._nodes(call, *_ids(item))
            if nodes is not None:
                self._links.unlabel(*nodes, self._links.named(near, far, item.get("types") or []))
        return no_content()

    def _labels(self, call: Call) -> Response:
        return reply({"results": [kind.as_row() for kind in self._links.kinds[self._ends(call)].values()]})

    def _define(self, call: Call) -> Response:
        body = call.object(_LABEL)
        lacking = [name for name in ("name", "label") if not body.get(name)]
        if lacking:
            raise missing_fields(*lacking)
        made = self._links.define(*self._ends(call), body["label"], body.get("inverseLabel"))
        return reply({"results": [kind.as_row() for kind in made]})


def _ids(item: dict[str, Any]) -> tuple[str, str]:
    ends = [as_text((item.get(end) or {}).get("id")) for end in ("from", "to")]
    if not ends[0] or not ends[1]:
        raise missing_fields("from", "to")
    return ends[0], ends[1]


def _default_row(from_id: str, to_id: str, kind: Kind) -> dict[str, Any]:
    spec = {"associationCategory": kind.category, "associationTypeId": kind.type_id}
    return {"from": {"id": from_id}, "to": {"id": to_id}, "associationSpec": spec}


def _labelled_row(nodes: tuple[Node, Node], kinds: tuple[Kind, ...]) -> dict[str, Any]:
    (near, one), (far, other) = nodes
    return {
        "fromObjectTypeId": TYPE_IDS[near],
        "fromObjectId": str(one),
        "toObjectTypeId": TYPE_IDS[far],
        "toObjectId": str(other),
        "labels": [kind.label for kind in kinds if kind.label],
    }
