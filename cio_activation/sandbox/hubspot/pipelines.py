"""HubSpot's pipelines and their stages, of deals; ids are texts, stage metadata are texts too."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.hubspot import body_checks
from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.call import Call, RouteRow
from cio_activation.sandbox.hubspot.errors import invalid_input, missing_fields, no_content, not_found, reply, stamp

_STAGE_CHANGE: body_checks.Shape = {
    "label": body_checks.text,
    "displayOrder": body_checks.whole,
    "metadata": body_checks.values,
    "archived": body_checks.flag,
}
_STAGE = {name: check for name, check in _STAGE_CHANGE.items() if name != "archived"}
_CHANGE: body_checks.Shape = {
    "label": body_checks.text,
    "displayOrder": body_checks.whole,
    "archived": body_checks.flag,
}
_PIPELINE: body_checks.Shape = {
    "label": body_checks.text,
    "displayOrder": body_checks.whole,
    "stages": body_checks.array(body_checks.record(_STAGE)),
}
_SALES = (
    ("appointmentscheduled", "Appointment scheduled", "0.2"),
    ("qualifiedtobuy", "Qualified to buy", "0.4"),
    ("contractsent", "Contract sent", "0.9"),
    ("closedwon", "Closed won", "1.0"),
    ("closedlost", "Closed lost", "0.0"),
)


def first_pipelines(now: float) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the pipelines of a new account: HubSpot's own for deals."""
    at = stamp(now)
    stages = [_stage(i, number, label, order, at) for order, (i, label, number) in enumerate(_SALES)]
    made = _frame("default", "Sales pipeline", 0, at) | {"stages": stages}
    return {"deals": {"default": made}}


class PipelineDesk:
    """Serves ``/crm/pipelines/{version}/{type}``."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._next = 90_001

    def routes(self) -> list[RouteRow]:
        """Return the routes below ``/crm/pipelines/{version}``."""
        return [
            ("GET", "/{type}", self._list),
            ("POST", "/{type}", self._create),
            ("GET", "/{type}/{id}", self._get),
            ("PATCH", "/{type}/{id}", self._update),
            ("DELETE", "/{type}/{id}", self._archive),
            ("GET", "/{type}/{id}/stages", self._stages),
            ("POST", "/{type}/{id}/stages", self._create_stage),
            ("GET", "/{type}/{id}/stages/{stage}", self._stage),
            ("PATCH", "/{type}/{id}/stages/{stage}", self._update_stage),
            ("DELETE", "/{type}/{id}/stages/{stage}", self._archive_stage),
        ]

    def _all(self, call: Call) -> dict[str, dict[str, Any]]:
        type_ = self._account.object_type(call.params["type"])
        found = self._account.pipelines.get(type_)
        if found is None:
            raise invalid_input(f"{type_} have no pipelines here")
        return found

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._all(call).get(call.params["id"])
        if found is None or found["archived"]:
            raise not_found(f"Pipeline {call.params['id']} does not exist")
        return found

    def _found_stage(self, call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
        pipeline = self._found(call)
        for stage in pipeline["stages"]:
            if stage["id"] == call.params["stage"]:
                return pipeline, stage
        raise not_found(f"Stage {call.params['stage']} does not exist")

    def _list(self, call: Call) -> Response:
        return reply({"results": [p for p in self._all(call).values() if not p["archived"]]})

    def _get(self, call: Call) -> Response:
        return reply(self._found(call))

    def _stages(self, call: Call) -> Response:
        return reply({"results": self._found(call)["stages"]})

    def _stage(self, call: Call) -> Response:
        return reply(self._found_stage(call)[1])

    def _create(self, call: Call) -> Response:
        body, at = call.object(_PIPELINE), stamp(self._account.now)
        _need(body, "label", "displayOrder", "stages")
        if not body["stages"]:
            raise invalid_input("A pipeline needs at least one stage")
        stages = [self._new_stage(stage, at) for stage in body["stages"]]
        made = _frame(self._take_id(), body["label"], body["displayOrder"], at) | {"stages": stages}
        self._all(call)[made["id"]] = made
        return reply(made, 201)

    def _create_stage(self, call: Call) -> Response:
        pipeline = self._found(call)
        made = self._new_stage(call.object(_STAGE), stamp(self._account.now))
        pipeline["stages"].append(made)
        return reply(made, 201)

    def _new_stage(self, body: dict[str, Any], at: str) -> dict[str, Any]:
        _need(body, "label", "displayOrder")
        number = (body.get("metadata") or {}).get("probability")
        if number is None:
            raise invalid_input("A stage of a deal pipeline needs metadata.probability between 0.0 and 1.0")
        return _stage(self._take_id(), number, body["label"], body["displayOrder"], at)

    def _update(self, call: Call) -> Response:
        return reply(self._changed(self._found(call), call.object(_CHANGE)))

    def _update_stage(self, call: Call) -> Response:
        return reply(self._changed(self._found_stage(call)[1], call.object(_STAGE_CHANGE)))

    def _changed(self, row: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        row |= {**body, "updatedAt": stamp(self._account.now)}
        return row

    def _archive(self, call: Call) -> Response:
        found = self._found(call)
        if any(r.values.get("pipeline") == found["id"] for r in self._account.records["deals"].live.values()):
            raise invalid_input(f"Pipeline {found['id']} has records and cannot be deleted")
        self._changed(found, {"archived": True})
        return no_content()

    def _archive_stage(self, call: Call) -> Response:
        pipeline, stage = self._found_stage(call)
        if any(r.values.get("dealstage") == stage["id"] for r in self._account.records["deals"].live.values()):
            raise invalid_input(f"Stage {stage['id']} has records and cannot be deleted")
        pipeline["stages"].remove(stage)
        return no_content()

    def _take_id(self) -> str:
        taken, self._next = self._next, self._next + 1
        return str(taken)


def _need(body: dict[str, Any], *names: str) -> None:
    lacking = [name for name in names if body.get(name) is None]
    if lacking:
        raise missing_fields(*lacking)


def _frame(number: str, label: str, order: int, at: str) -> dict[str, Any]:
    return {"id": number, "label": label, "displayOrder": order, "archived": False, "createdAt": at, "updatedAt": at}


def _stage(number: str, probability: str, label: str, order: int, at: str) -> dict[str, Any]:
    closed = "true" if probability in ("0.0", "1.0") else "false"
    metadata = {"isClosed": closed, "probability": probability}
    return _frame(number, label, order, at) | {"metadata": metadata, "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT"}
