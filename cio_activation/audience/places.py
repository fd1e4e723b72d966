"""Where an action goes, who does it and whether there is room: what a touch audience with an action asks of the CRMs.

Reads what the room ``feedback`` landed (``feedback.contexts``) and the temporary table ``desks``; calls no vendor.
"""

from __future__ import annotations

from cio_activation.audience.codes import Code
from cio_activation.audience.desks import TABLE, Chain
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse.sql import identifier, literal

NOWHERE = "CAST(NULL AS VARCHAR)"
COLUMNS = ("place", "record_owner", "on_it_by", "on_it_at", "on_it_in", "unseen")
"""What :func:`contexts` gives of a person, besides ``cio_id``."""


def contexts(inputs: Inputs) -> str:
    """Return the SELECT of ``cio_id`` and ``COLUMNS``: the CRM the action goes to, and who is on the person already.

    ``unseen``: places of which nothing is known of the person, as a list; NULL: none.
    """
    places = inputs.places
    by = {p: f"FILTER (destination = {literal(p)})" for p in places}
    place = " ".join(f"WHEN max(record_id) {by[p]} IS NOT NULL THEN {literal(p)}" for p in places)
    owner = " ".join(f"WHEN {literal(p)} THEN max(owner_id) {by[p]}" for p in places)
    unseen = ", ".join(f"CASE WHEN count(*) {by[p]} = 0 THEN {literal(p)} END" for p in places)
    borne = [
        f"destination = {literal(place)} AND handled_by IN ({', '.join(map(literal, ask.bears))})"
        for place, ask in inputs.audience.asks().items()
        if ask.bears
    ]
    on_it = f"FILTER (handled_by IS NOT NULL{''.join(f' AND NOT ({one})' for one in borne)})"
    return f"""
        SELECT cio_id, CASE {place} ELSE {literal(places[0])} END AS place,
            CASE place {owner} END AS record_owner,
            arg_min(handled_by, destination) {on_it} AS on_it_by,
            arg_min(handled_at, destination) {on_it} AS on_it_at, min(destination) {on_it} AS on_it_in,
            nullif(list_filter([{unseen}], lambda p: p IS NOT NULL), []) AS unseen
        FROM feedback.contexts WHERE lane = {literal(inputs.audience.lane.value)}{inputs.scope.condition()}
        GROUP BY cio_id"""


def in_hands(inputs: Inputs) -> str:
    """Return the SELECT of the ``cio_id`` of whoever an action of this audience is still open for."""
    return f"""SELECT DISTINCT cio_id FROM delivery.actions
        WHERE audience = {literal(inputs.audience.name)} AND kind IN ('task', 'activity') AND ended_at IS NULL
            {inputs.scope.condition()}"""


def stale_places(inputs: Inputs) -> str:
    """Return SQL of the list of places that could not be asked, NULL if all could."""
    if inputs.unread:
        return f"[{', '.join(map(literal, inputs.unread))}]"
    return f"CASE WHEN place IS NULL THEN [{', '.join(map(literal, inputs.places))}] ELSE unseen END"


def given(inputs: Inputs, held_out: str) -> dict[str, str]:
    """Return the steps after ``coded`` that find somebody for each who would enter, down the ranking.

    They end with ``walked``: as ``coded``, and ``held_out``, ``owner_id``, ``owner_from``, ``queue``, ``due_at``,
    ``asked_code`` (the code by then) and ``wants``. Who is held out takes nobody's time.
    """
    assert inputs.desks is not None
    chains = inputs.desks.chains
    order = f"ORDER BY {inputs.ranking()} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    record_owner = f"record_owner IN (SELECT owner_id FROM {TABLE} WHERE destination = place)"
    firsts = [literal(p) for p, chain in chains.items() if chain.record_owner]
    asks_owner = f"coalesce(place IN ({', '.join(firsts) or 'NULL'}) AND {record_owner}, FALSE)"
    cases = {
        "owner_id": [(p, _given_to(chain)) for p, chain in chains.items()],
        "owner_from": [(p, literal(chain.source) if chain.source else NOWHERE) for p, chain in chains.items()],
        "queue": [(p, literal(chain.queue) if chain.queue else NOWHERE) for p, chain in chains.items()],
    }
    rest = {
        column: f"CASE place {' '.join(f'WHEN {literal(p)} THEN {sql}' for p, sql in by)} END"
        for column, by in cases.items()
    }
    waits = ", ".join(literal(p) for p, chain in chains.items() if chain.wait_for_opening) or "NULL"
    full = _quoted(Code.CAPACITY)
    return {
        "drawn": f"SELECT *, outside AND first_code IS NULL AS eager, {held_out} AS held_out FROM coded",
        "offered": f"SELECT *, coalesce({asks_owner} AND eager, FALSE) AS by_record FROM drawn",
        "turned": f"""
            SELECT *, coalesce(count(*) FILTER (eager AND NOT held_out AND NOT by_record)
                OVER (PARTITION BY place {order}), 0) AS turn FROM offered""",
        "owned": f"""
            SELECT *, CASE WHEN by_record THEN record_owner ELSE {rest["owner_id"]} END AS owner_id,
                CASE WHEN by_record THEN 'record_owner' ELSE {rest["owner_from"]} END AS owner_from,
                CASE WHEN NOT by_record THEN {rest["queue"]} END AS queue
            FROM turned""",
        "desked": f"""
            SELECT o.*, d.due_at, d.email AS owner_email, d.free, coalesce(d.desk, o.cio_id) AS desk,
                CASE WHEN NOT eager THEN first_code
                    WHEN owner_from IS NULL THEN {_quoted(Code.NO_OWNER)}
                    WHEN NOT d.is_open AND o.place IN ({waits}) THEN {_quoted(Code.WORKING_TIME)}
                    WHEN owner_from = 'rotation' AND o.owner_id IS NULL THEN {full} END AS owned_code,
                eager AND owned_code IS NULL AS able
            FROM owned AS o LEFT JOIN {TABLE} AS d
                ON d.destination = o.place AND d.owner_id IS NOT DISTINCT FROM o.owner_id""",
        "seated": f"""
            SELECT *, coalesce(count(*) FILTER (able AND NOT held_out)
                OVER (PARTITION BY desk, able {order}), 0) AS before_me FROM desked""",
        "walked": f"""
            SELECT *, CASE WHEN able AND before_me >= free THEN {full} ELSE owned_code END AS asked_code,
                outside AND asked_code IS NULL AS wants
            FROM seated""",
    }


def _given_to(chain: Chain) -> str:
    """Return SQL of who is next where the record's owner is not asked."""
    if chain.source == "rotation":
        listed = f"[{', '.join(map(literal, chain.owners))}]"
        return f"{listed}[turn{f' % {len(chain.owners)}' if chain.again else ''} + 1]" if chain.owners else NOWHERE
    return literal(chain.owners[0]) if chain.owners else NOWHERE


def assigned(inputs: Inputs) -> str:
    """Return the columns of ``decided`` that ``audience.assignments`` keeps of who enters."""
    columns = ("place", "owner_id", "owner_email", "owner_from", "queue", "due_at")
    return "".join(f", {identifier(c)}" for c in columns) if inputs.desks is not None else ""


def _quoted(code: Code) -> str:
    return literal(str(code))
