"""The routes of exports: asking, polling, and the file behind its signed link."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from cio_activation.sandbox.customerio.answers import Refusal, body, number, routes
from cio_activation.sandbox.customerio.exports import write_csv
from cio_activation.sandbox.customerio.workspace import Workspace


class ExportRoutes:
    """Exports over a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace, self._exports = workspace, workspace.exports

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return routes(
            [
                ("POST", "/v1/exports/customers", self._export_people),
                ("GET", "/v1/exports", self._list_exports),
                ("GET", "/v1/exports/{export_id}", self._get_export),
                ("GET", "/v1/exports/{export_id}/download", self._download),
                ("GET", "/export-files/customers-{number:int}.csv", self._file),
            ]
        )

    async def _export_people(self, request: Request) -> Response:
        given = await body(request, "filters", "attributes")
        if "filters" not in given:
            raise Refusal(400, "filters is required")
        attributes = given.get("attributes")
        if attributes is not None and (
            not isinstance(attributes, list) or not all(isinstance(name, str) and name for name in attributes)
        ):
            raise Refusal(400, "attributes must be a list of names")
        snapshot = await self._workspace.snapshot()
        wanted = self._workspace.filter(given["filters"], snapshot, "filters")
        content, rows = await asyncio.to_thread(write_csv, snapshot, wanted, attributes)
        export = self._exports.create(content, rows, self._workspace.now(), "People export through the API")
        return JSONResponse({"export": export.shown()})

    async def _list_exports(self, _request: Request) -> Response:
        return JSONResponse({"exports": self._exports.shown()})

    async def _get_export(self, request: Request) -> Response:
        export = self._exports.get(number(request, "export_id"))
        if export is None:
            raise Refusal(404, "export not found")
        return JSONResponse({"export": export.shown()})

    async def _download(self, request: Request) -> Response:
        export = self._exports.get(number(request, "export_id"))
        if export is None:
            raise Refusal(404, "export not found")
        if export.status != "done":
            raise Refusal(400, "export is not ready" if export.status == "pending" else "export failed")
        return JSONResponse({"url": self._exports.link(export, str(request.base_url), self._workspace.now())})

    async def _file(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return _storage_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        query = request.query_params
        export = self._exports.fetch(
            int(request.path_params["number"]),
            query.get("Expires", ""),
            query.get("Signature", ""),
            self._workspace.now(),
        )
        if export is None:
            return _storage_error(403, "AccessDenied", "Request has expired or its signature does not match")
        return Response(export.content, media_type="text/csv; charset=utf-8")


def _storage_error(status: int, code: str, message: str) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(body, status, media_type="application/xml")
