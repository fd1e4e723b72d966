"""What became of actions, folded: made, brought up to date, taken back, or found in a human's hands."""

from __future__ import annotations

from cio_activation.destinations.common.actions.declared import ActionType
from cio_activation.destinations.common.actions.handing import fold_handing
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

ACTIONS = "delivery.actions"


def fold_actions(con: Connection, kind: ActionType, finished: str) -> None:
    """Lay what ended over ``delivery.actions``.

    ``observed`` of a delivered operation may say ``status`` (what a human had made of it before we came: it stands),
    ``owner_id`` (null: it has none, whoever was asked for), ``due_at`` (ISO, naive UTC) and ``shown``; of a creation,
    nothing more is needed.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE acted AS
        SELECT f.kind, f.cio_id, coalesce(f.result_record_id, f.record_id) AS record_id, f.target AS about,
            json_extract_string(f.payload, '$.entry_id') AS entry_id,
            json_extract_string(f.payload, '$.audience') AS audience,
            coalesce(CAST(json_extract_string(f.payload, '$.attempt') AS INTEGER), 1) AS attempt,
            json_extract_string(f.payload, '$.content') AS content,
            json_extract_string(f.payload, '$.reason') AS reason,
            json_extract_string(f.observed, '$.status') AS status,
            json_extract_string(CASE WHEN json_exists(f.observed, '$.owner_id') THEN f.observed ELSE f.payload END,
                '$.owner_id') AS owner_id,
            CAST(coalesce(json_extract_string(f.observed, '$.due_at'), json_extract_string(f.payload, '$.due_at'))
                AS TIMESTAMP) AS due_at,
            json_extract_string(f.observed, '$.shown') AS shown, f.intent_at, f.ended_at, f.window_end
        FROM {finished} AS f WHERE f."end" = 'delivered'"""
    )
    place, word = literal(kind.destination), literal(kind.word)
    con.execute(
        f"""INSERT INTO {ACTIONS} BY NAME
        SELECT {place} AS destination, {word} AS kind, entry_id, attempt, audience, cio_id, record_id, about,
            owner_id, due_at, content, shown, coalesce(status, 'open') AS status, intent_at AS opened_at
        FROM acted WHERE kind = {literal(kind.opens.name)}
            AND record_id NOT IN (
                SELECT record_id FROM {ACTIONS} WHERE destination = {place} AND kind = {word})
        QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY ended_at DESC) = 1"""
    )
    _note_acts(con, kind)
    set_apart = ", ".join(literal(one.name) for one in (kind.opens, kind.assigns, kind.raises))
    con.execute(
        f"""UPDATE {ACTIONS} AS x SET
            content = CASE WHEN a.kind = {literal(kind.changes.name)} THEN a.content ELSE x.content END,
            shown = coalesce(a.shown, x.shown),
            status = CASE WHEN a.status IS NOT NULL THEN a.status
                WHEN a.kind = {literal(kind.withdraws.name)}
                THEN CASE WHEN a.reason = 'expired' THEN 'expired' ELSE 'withdrawn' END
                ELSE x.status END,
            ended_at = CASE WHEN coalesce(a.status, '') IN ('open', 'taken_up') THEN NULL
                WHEN a.status IS NOT NULL OR a.kind = {literal(kind.withdraws.name)} THEN a.ended_at
                ELSE x.ended_at END,
            end_reason = CASE WHEN a.kind = {literal(kind.withdraws.name)} AND a.status IS NULL THEN a.reason
                ELSE x.end_reason END,
            told_end = x.told_end OR a.kind = {literal(kind.tells.name)}
        FROM (
            SELECT * FROM acted WHERE kind NOT IN ({set_apart})
            QUALIFY row_number() OVER (PARTITION BY record_id, kind ORDER BY ended_at DESC) = 1
        ) AS a
        WHERE x.destination = {place} AND x.kind = {word} AND x.record_id = a.record_id"""
    )
    # Which text it shows is not known where a change got no answer: it is compared anew, also if its reasons went back.
    con.execute(
        f"""UPDATE {ACTIONS} AS x SET content = NULL FROM {finished} AS f
        WHERE x.destination = {place} AND x.kind = {word} AND x.record_id = f.record_id AND f."end" = 'retry'
            AND f.kind = {literal(kind.changes.name)}"""
    )
    change_log.note(con, ACTIONS, "SELECT cio_id FROM acted")
    con.execute("DROP TABLE acted")
    if kind.assigned:
        fold_handing(con, kind, finished)


def _note_acts(con: Connection, kind: ActionType) -> None:
    """Keep what a write found a human to have done, as whoever asks about actions would: nothing else tells of it."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE found_done AS
        SELECT x.destination, x.kind, x.record_id, x.entry_id, x.audience, x.cio_id, a.status AS act,
            max(a.ended_at) AS happened_at, max(a.window_end) AS seen_at
        FROM acted AS a JOIN {ACTIONS} AS x ON x.record_id = a.record_id
        WHERE x.destination = {literal(kind.destination)} AND x.kind = {literal(kind.word)} AND x.ended_at IS NULL
            AND a.status IN ('done', 'deleted', 'taken_up') AND a.status <> x.status
        GROUP BY ALL"""
    )
    con.execute("INSERT INTO feedback.acts BY NAME SELECT * FROM found_done")
    change_log.note(con, "feedback.acts", "SELECT cio_id FROM found_done")
    con.execute("DROP TABLE found_done")
