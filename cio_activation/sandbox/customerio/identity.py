"""By what a request names a person, and who that is."""

from __future__ import annotations

from starlette.requests import Request

from cio_activation.sandbox.customerio.answers import Refusal
from cio_activation.sandbox.customerio.workspace import Workspace
from cio_activation.sandbox.world.snapshot import Snapshot


def id_type(request: Request) -> str:
    """Return the kind of identifier that the query says: ``id`` by default."""
    kind = request.query_params.get("id_type", "id")
    if kind == "phone":
        raise Refusal(400, "phone is not enabled as an identifier in this workspace")
    if kind not in ("id", "email", "cio_id"):
        raise Refusal(400, "id_type must be id, email, phone or cio_id")
    return kind


def one_person(workspace: Workspace, request: Request, snapshot: Snapshot) -> str:
    """Return the ``cio_id`` of the person of the path; refuses one who is not there."""
    kind, given = id_type(request), str(request.path_params["customer_id"])
    if "id_type" not in request.query_params and given.startswith("cio_"):
        kind = "cio_id"
    found = workspace.world.find(kind, given, snapshot.at)
    if not found or found[0] not in snapshot.among(found[:1]):
        raise Refusal(404, "customer not found")
    return found[0]
