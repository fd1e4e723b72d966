"""Who is being asked about whom, as Customer.io should show it, and how that differs from what it was last told.

What is wanted of a person is a function of all their open actions, of both lanes and all CRMs, and what was told is one
row for both lanes: whichever lane's run comes first writes the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cio_activation.activation.models import Activation
from cio_activation.delivery.destination import EXIT
from cio_activation.destinations.customerio.config import AudienceText, settings_of
from cio_activation.destinations.customerio.track import ATTRIBUTES
from cio_activation.warehouse.sql import literal
from cio_activation.warehouse.tables import OUTREACH_FLAGS

KINDS = ("task", "activity")
"""Kinds of actions that somebody is busy with. A note asks nobody, and a deal is open for months."""
LONGEST_LABEL = 200
"""Characters of an audience's text; Customer.io takes 1,000 bytes in a value."""


def desired(activation: Activation) -> str:
    """Return the SELECT of ``cio_id, active, audience, until, outcome``.

    Active are people with an action that is open or taken up, and whom a human or a workflow marked on a CRM's record.
    The audience is that of the newest such action. It lasts until the latest of them ends: when its entry expires,
    which moves along where a human put the action off (as in ``audience.judging``), else when it is due. Who is marked
    by hand has neither. The outcome is what was said of a person's newest action; who has one stays, active or not.
    """
    asked = _asked(activation)
    return asked if activation.outreach_outcomes is None else _with_outcomes(asked)


def _asked(activation: Activation) -> str:
    """Return that SELECT of people with an action that is open or taken up."""
    kinds, spans, texts = ", ".join(map(literal, KINDS)), _spans(activation), _texts(activation)
    return f"""
        WITH asked AS (
            SELECT cio_id, entry_id, audience, due_at, opened_at, record_id FROM delivery.actions
            WHERE status IN ('open', 'taken_up') AND kind IN ({kinds})
        ), put_off AS (
            SELECT entry_id, arg_max(until, happened_at) AS until FROM feedback.acts
            WHERE act = 'snoozed' AND entry_id IN (SELECT entry_id FROM asked) GROUP BY entry_id
        ), entries AS (
            SELECT entry_id, any_value(entered_at) AS entered_at FROM audience.memberships
            WHERE entry_id IN (SELECT entry_id FROM asked) GROUP BY entry_id
        ), ending AS (
            SELECT o.*, coalesce(greatest(e.entered_at + CASE o.audience {spans} END, p.until), o.due_at) AS ends_at
            FROM asked AS o LEFT JOIN entries AS e USING (entry_id) LEFT JOIN put_off AS p USING (entry_id)
        ), newest AS (
            SELECT cio_id, max(ends_at) AS ends_at,
                   first(audience ORDER BY opened_at DESC, audience, record_id) AS audience
            FROM ending GROUP BY cio_id
        )
        SELECT cio_id, TRUE AS active, left(CASE audience {texts} ELSE audience END, {LONGEST_LABEL}) AS audience,
               CAST(floor(epoch(ends_at)) AS BIGINT) AS until, CAST(NULL AS VARCHAR) AS outcome
        FROM newest"""


def _with_outcomes(asked: str) -> str:
    """Return the SELECT ``asked`` with whom somebody is on by hand, and with what came of the newest action."""
    kinds = ", ".join(map(literal, KINDS))
    return f"""
        WITH asked AS ({asked}), marked AS (
            SELECT DISTINCT l.cio_id FROM feedback.outcome_fields AS f
            JOIN delivery.links AS l ON l.destination = f.destination AND l.record_id = f.record_id
            WHERE f.active
        ), said AS (
            SELECT destination, kind, record_id, arg_max(detail, happened_at) AS outcome
            FROM feedback.acts WHERE act = 'outcome' GROUP BY ALL
        ), told AS (
            SELECT x.cio_id, s.outcome FROM (
                SELECT * FROM delivery.actions WHERE kind IN ({kinds})
                QUALIFY row_number() OVER (PARTITION BY cio_id ORDER BY opened_at DESC, attempt DESC, record_id) = 1
            ) AS x JOIN said AS s USING (destination, kind, record_id)
        ), people AS (SELECT cio_id FROM asked UNION SELECT cio_id FROM marked UNION SELECT cio_id FROM told)
        SELECT p.cio_id, a.cio_id IS NOT NULL OR m.cio_id IS NOT NULL AS active, a.audience, a.until, t.outcome
        FROM people AS p LEFT JOIN asked AS a USING (cio_id) LEFT JOIN marked AS m USING (cio_id)
        LEFT JOIN told AS t USING (cio_id)"""


def attributes(activation: Activation) -> tuple[str, ...]:
    """Return the names of the attributes that are written, without their prefix; the outcome's where it is read."""
    return ATTRIBUTES if activation.outreach_outcomes is not None else ATTRIBUTES[:-1]


def changes(activation: Activation, kind: str) -> str:
    """Return the SELECT of the operations that bring Customer.io from what it was told to what is wanted.

    All attributes are written together. Of somebody about whom nobody is asked any more ``active`` becomes false and
    the others are removed, but for an outcome (an empty text removes an attribute); what stands under another prefix is
    removed whole. ``keys`` carries the instant of the last write, which the next one has to be later than. Whoever
    Customer.io does not know any more is left out, last, so that a plan of nothing does not look at everybody.
    """
    settings = settings_of(activation)
    removed = _removed("true" if settings.remove_attributes else f"s.prefix <> {literal(settings.attribute_prefix)}")
    parts = [removed] if settings.remove_attributes else [_marked(activation, settings.attribute_prefix), removed]
    return f"""
    SELECT {literal(kind)} AS kind, cio_id, cio_id AS record_id, CAST(NULL AS VARCHAR) AS target, payload,
           CASE WHEN written_at IS NULL THEN '{{}}'
                ELSE CAST(to_json({{after: CAST(written_at AS VARCHAR)}}) AS VARCHAR) END AS keys,
           CAST(NULL AS UBIGINT) AS row_hash, CASE WHEN wanted THEN 0 ELSE {EXIT} END AS priority,
           {literal(kind)} AS batch_group
    FROM ({" UNION ALL BY NAME ".join(parts)}) SEMI JOIN identity.persons USING (cio_id)"""


def _marked(activation: Activation, prefix: str) -> str:
    """Return the SELECT of those who are to be marked, marked otherwise or unmarked, with what is then written."""
    payload = _payload(activation, literal(prefix))
    return f"""
        SELECT w.cio_id, w.written_at, w.wanted, {payload} AS payload
        FROM (
            SELECT coalesce(d.cio_id, s.cio_id) AS cio_id, coalesce(d.active, false) AS wanted, d.audience, d.until,
                   d.outcome, s.outcome AS told, s.written_at,
                   CASE WHEN s.cio_id IS NULL OR coalesce(s.in_doubt, true) THEN true
                        WHEN d.cio_id IS NULL THEN s.active OR s.outcome IS NOT NULL
                        ELSE s.active IS DISTINCT FROM d.active OR s.audience IS DISTINCT FROM d.audience
                            OR s.until IS DISTINCT FROM d.until OR s.outcome IS DISTINCT FROM d.outcome
                   END AS differs
            FROM ({desired(activation)}) AS d
            FULL JOIN (SELECT * FROM {OUTREACH_FLAGS} WHERE prefix = {literal(prefix)}) AS s ON s.cio_id = d.cio_id
        ) AS w WHERE w.differs"""


def _removed(which: str) -> str:
    """Return the SELECT of those whose attributes are removed altogether."""
    gone = [("to_json('')") for _ in ATTRIBUTES]
    payload = f"CASE WHEN s.outcome IS NULL THEN {_object('s.prefix', gone[:-1])} ELSE {_object('s.prefix', gone)} END"
    return f"""
        SELECT s.cio_id, s.written_at, false AS wanted, {payload} AS payload FROM {OUTREACH_FLAGS} AS s WHERE {which}"""


def prefix_of(payload: str) -> str:
    """Return SQL for the prefix of the attributes in ``payload``, an expression."""
    return f"regexp_replace(json_keys({payload})[1], '({'|'.join(ATTRIBUTES)})$', '')"


def _payload(activation: Activation, prefix: str) -> str:
    """Return SQL for the JSON object of the attributes, in the types that Customer.io is to compare them by.

    An outcome that was told goes, where outcomes are not read any more.
    """
    values = ["to_json(w.wanted)", "to_json(coalesce(w.audience, ''))", "coalesce(to_json(w.until), to_json(''))"]
    whole = _object(prefix, [*values, "to_json(coalesce(w.outcome, ''))"])
    if activation.outreach_outcomes is not None:
        return whole
    return f"CASE WHEN w.told IS NULL THEN {_object(prefix, values)} ELSE {whole} END"


def _object(prefix: str, values: Sequence[str]) -> str:
    names = ATTRIBUTES[: len(values)]
    entries = ", ".join(
        f"{{k: {prefix} || {literal(name)}, v: {value}}}" for name, value in zip(names, values, strict=True)
    )
    return f"CAST(to_json(map_from_entries([{entries}])) AS VARCHAR)"


def _spans(activation: Activation) -> str:
    """Return the WHENs of how long an entry into each audience lasts at most; none for one without an end."""
    found = {a.name: a.expires_after for a in activation.audiences.values() if a.expires_after is not None}
    whens = [f"WHEN {literal(name)} THEN {_interval(span)}" for name, span in found.items()]
    return " ".join(whens) or "WHEN NULL THEN to_seconds(0)"


def _texts(activation: Activation) -> str:
    if settings_of(activation).audience is not AudienceText.LABEL or not activation.audiences:
        return "WHEN NULL THEN NULL"
    return " ".join(f"WHEN {literal(a.name)} THEN {literal(a.label)}" for a in activation.audiences.values())


def _interval(span: timedelta) -> str:
    return f"to_seconds({int(span.total_seconds())})"
