"""The SQL that the default activation comes to, for each lane's first window and for everybody."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.settings import Settings
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.step import statements as decision
from cio_activation.delivery.destination import Context, Destination, Step
from cio_activation.destinations import DESTINATIONS
from cio_activation.lanes.partitions import first_window
from cio_activation.state.sql import StateSql
from cio_activation.warehouse.sql_format import formatted


def texts(activation: Activation) -> dict[str, str]:
    """Return the texts ``sql/...``: one file a state table, an audience, and a step that plans anything."""
    return {path: formatted_all(selects) for path, selects in generated(activation).items()}


def formatted_all(selects: dict[str, str]) -> str:
    """Return the statements of one file, each under its name, formatted."""
    return "\n".join(f"-- {name}\n{formatted(select)};\n" for name, select in selects.items())


def generated(activation: Activation) -> dict[str, dict[str, str]]:
    """Return path -> name -> SELECT, as the code writes it."""
    return dict(_all(activation))


def _all(activation: Activation) -> Iterator[tuple[str, dict[str, str]]]:
    for lane in Lane:
        window = first_window(activation, lane)
        rows = StateSql.of(activation, lane, window.as_of).select()
        yield f"sql/state/{lane}_properties.sql", {"rows": rows}
        for audience in activation.lane_audiences(lane):
            yield f"sql/audience/{audience.name}.sql", decision(Inputs.of(activation, audience, window))
    for destination in DESTINATIONS:
        context = _after_the_schema_step(activation, destination)
        for step in destination.steps(activation):
            if (plan := _plan(step, activation, context)) is not None:
                yield f"sql/{destination.name}/{step.name}.sql", {"plan": plan}


def _plan(step: Step, activation: Activation, context: Context) -> str | None:
    """Return the step's SELECT. ``plan`` changes nothing and only writes it, so an empty database will do."""
    assert step.lane is not None
    window = first_window(activation, step.lane)
    with duckdb.connect() as con:
        return step.plan(con, Context(context.settings, activation, window, context.catalog))


def _after_the_schema_step(activation: Activation, destination: Destination) -> Context:
    """Return a context whose catalog holds every object that the destination's steps write to."""
    bare = Context(Settings(_env_file=None), activation, None)  # type: ignore[call-arg]
    made = {key: f"id of {key}" for step in destination.steps(activation) for key in step.objects(bare)}
    return Context(bare.settings, activation, None, made)
