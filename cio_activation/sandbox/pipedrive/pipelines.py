"""Pipelines and their stages (v2, read only here): lists of one page, and one by its id."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive.envelope import Call, missing, ok, utc

_STAGES = {
    1: ("Qualified", "Contact made", "Demo scheduled", "Proposal made", "Negotiations started"),
    2: ("To contact", "In conversation", "Agreed"),
}
_PIPELINES = {1: "Sales", 2: "Retention"}
_SORTS = ("id", "update_time", "add_time")


class Pipelines:
    """Two pipelines. What is deleted leaves the lists and stays under its id."""

    def __init__(self, opened: float) -> None:
        at = utc(opened)
        self.pipelines = {i: _pipeline(i, name, at) for i, name in _PIPELINES.items()}
        pairs = [(p, name) for p, names in _STAGES.items() for name in names]
        self.stages = {i: _stage(i, pipeline, name, at) for i, (pipeline, name) in enumerate(pairs, 1)}

    def usable(self) -> dict[int, dict[str, Any]]:
        """Return the stages that deals may be put into."""
        pipelines = self.pipelines
        return {
            i: s
            for i, s in self.stages.items()
            if not s["is_deleted"] and not pipelines[s["pipeline_id"]]["is_deleted"]
        }

    def first_stage(self, pipeline: int) -> int:
        """Return where new deals of a pipeline begin."""
        return next(i for i, s in self.usable().items() if s["pipeline_id"] == pipeline)

    def add_stage(self, pipeline: int, name: str, now: float) -> dict[str, Any]:
        """Add a stage by hand."""
        number = max(self.stages) + 1
        self.stages[number] = _stage(number, pipeline, name, utc(now))
        return self.stages[number]

    def list_stages(self, call: Call) -> Response:
        """``GET /stages``."""
        pipeline = call.query.integer("pipeline_id")
        rows = [s for s in self.usable().values() if pipeline in (None, s["pipeline_id"])]
        return _short(call, rows, (*_SORTS, "order_nr"))

    def show_stage(self, call: Call) -> Response:
        """``GET /stages/{id}``."""
        return _one(call, self.stages, "Stage")

    def list_pipelines(self, call: Call) -> Response:
        """``GET /pipelines``."""
        return _short(call, [p for p in self.pipelines.values() if not p["is_deleted"]], _SORTS)

    def show_pipeline(self, call: Call) -> Response:
        """``GET /pipelines/{id}``."""
        return _one(call, self.pipelines, "Pipeline")


def _pipeline(number: int, name: str, at: str) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "order_nr": number,
        "is_deleted": False,
        "is_deal_probability_enabled": True,
        "add_time": at,
        "update_time": at,
    }


def _stage(number: int, pipeline: int, name: str, at: str) -> dict[str, Any]:
    return {
        "id": number,
        "order_nr": number,
        "name": name,
        "is_deleted": False,
        "deal_probability": 100,
        "pipeline_id": pipeline,
        "is_deal_rot_enabled": False,
        "days_to_rotten": None,
        "add_time": at,
        "update_time": at,
    }


def _one(call: Call, rows: dict[int, dict[str, Any]], what: str) -> Response:
    call.query.done()
    if call.id not in rows:
        raise missing(what)
    return ok(rows[call.id])


def _short(call: Call, rows: list[dict[str, Any]], sorts: tuple[str, ...]) -> Response:
    """Answer a list that always fits one page."""
    call.query.integer("limit", 100, 1, 500)
    sort = call.query.choice("sort_by", sorts, "id")
    down = call.query.choice("sort_direction", ("asc", "desc"), "asc") == "desc"
    call.query.text("cursor")
    call.query.done()
    return ok(sorted(rows, key=lambda r: (r[sort], r["id"]), reverse=down), next_cursor=None)
