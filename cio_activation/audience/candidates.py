"""Who is about to enter a touch audience, as far as our own data tells: these are looked for in the CRMs first."""

from __future__ import annotations

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.judging import candidates
from cio_activation.audience.members import lane_inputs
from cio_activation.audience.step import ELIGIBLE, statements
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled

ENTRANTS = "entrants"


def find(con: Connection, activation: Activation, window: Window) -> str:
    """Fill the temporary table ``entrants`` (``cio_id``, once each) for the audiences of the lane; return its name.

    Of an audience that cannot be decided in this window (a newer one was, or something is not there yet) nobody.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ENTRANTS} (cio_id VARCHAR)")
    asking = [audience for audience in activation.lane_audiences(window.lane) if audience.touch]
    lane = lane_inputs(con, activation, window, asking, activation.fingerprint())
    for inputs in lane.inputs.values():
        if inputs.places:
            add(con, lane.scopes.narrow(con, inputs))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {ENTRANTS} AS SELECT DISTINCT cio_id FROM {ENTRANTS}")
    return ENTRANTS


def add(con: Connection, inputs: Inputs) -> None:
    """Add to ``entrants`` whoever is about to enter one audience."""
    if inputs.scope.size(con) == 0:
        return
    *read, known, _ = statements(inputs).items()
    rows = {table: filled(con, table, select) for table, select in read}
    if rows[ELIGIBLE]:  # nobody else enters
        filled(con, *known)
        con.execute(f"INSERT INTO {ENTRANTS} {candidates(inputs)}")
