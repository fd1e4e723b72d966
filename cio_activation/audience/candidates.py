"""Who is about to enter a touch audience, as far as our own data tells: these are looked for in the CRMs first."""

from __future__ import annotations

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.judging import candidates
from cio_activation.audience.members import narrowed
from cio_activation.audience.step import ELIGIBLE, statements
from cio_activation.warehouse import published
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import columns, filled

ENTRANTS = "entrants"


def find(con: Connection, activation: Activation, window: Window) -> str:
    """Fill the temporary table ``entrants`` (``cio_id``, once each) for the audiences of the lane; return its name.

    Of an audience that cannot be decided in this window (a newer one was, or something is not there yet) nobody.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ENTRANTS} (cio_id VARCHAR)")
    there = columns(con)
    for audience in activation.lane_audiences(window.lane):
        inputs = Inputs.of(activation, audience, window)
        if not inputs.places or published.superseded(con, f"audience.{audience.name}", window) or inputs.missing(there):
            continue
        inputs = narrowed(con, inputs)
        if inputs.scope.size(con) == 0:
            continue
        *read, known, _ = statements(inputs).items()
        rows = {table: filled(con, table, select) for table, select in read}
        if rows[ELIGIBLE]:  # nobody else enters
            filled(con, *known)
            con.execute(f"INSERT INTO {ENTRANTS} {candidates(inputs)}")
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ENTRANTS} AS SELECT DISTINCT cio_id FROM {ENTRANTS}")
    return ENTRANTS
