"""The SELECT that decides an audience: for everybody eligible or known, who enters, stays, leaves or is withheld.

    (not eligible) --in segment, gate holds--> waiting --no code applies--> in --purchase, act, expiry--> spent
          ^--------------------- segment or gate lost, person deleted ------------------------------|

A person's place is a *stage* (``waiting``, ``in``, ``spent``); what keeps out who is not in is a *code*
(``audience.codes``), the first that applies. A spent person stays out until eligibility was lost once. A purchase while
waiting spends the spell as well. Where people come by a moment, each moment is a spell of its own.
"""

from __future__ import annotations

from datetime import timedelta

from cio_activation.activation.life_cycle import Baseline
from cio_activation.audience import by_moment, places, touch
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import BOUGHT_AT, IN_JOURNEY, MUTED, OUT_OF_SCOPE, STALE, Inputs, ranked_by
from cio_activation.audience.moments import MOMENT_AT, MOMENT_ID, over
from cio_activation.warehouse.sql import literal, timestamp
from cio_activation.warehouse.tables import PERSONS

_NEVER = "CAST(NULL AS TIMESTAMP)"


def decisions(inputs: Inputs) -> str:
    """Return the SELECT of everyone whose place in the audience changes, or what keeps them out of it.

    Columns: ``cio_id``, ``since``, ``bought_before``, ``spent_at``, ``baseline``, ``stage`` (NULL: not eligible any
    more), ``code``, ``detail`` (JSON), ``exit_reason`` (NULL: no interval to close), ``enters``, ``ghost``, ``before``
    and ``code_before`` (the last stage and code), ``entry_id`` (of the interval that is open), ``drop_reason`` (why
    somebody who was withheld is no candidate now). Of an audience that starts from a moment, also ``moment_id`` and
    ``moment_at`` of the newest one.
    """
    as_of, human, moment = timestamp(inputs.as_of), inputs.audience.touch, inputs.audience.moment is not None
    steps = _coded(inputs, _codes(inputs)) | (_places_given(inputs) if human else {})
    lost = "expired" if moment else "left_segment"
    held_out, code = ("held_out", _at_a_start(inputs, "final_code")) if human else ("FALSE", "first_code")
    steps["staged"] = f"""
        SELECT *, CASE
            WHEN {by_moment.no_candidate(inputs) if moment else "NOT eligible"} THEN NULL
            WHEN NOT outside THEN 'in'
            WHEN used_up THEN 'spent'
            WHEN {code} IS NULL THEN 'in'
            ELSE 'waiting' END AS stage,
        coalesce(stage = 'in' AND outside, FALSE) AS enters,
        CASE WHEN NOT eligible OR left_here OR exit_reason IS NOT NULL AND NOT enters THEN NULL
            {f"WHEN enters AND held_out OR NOT outside AND ghost_before THEN {_quoted(Code.HOLDOUT)}" if human else ""}
            WHEN outside THEN {code} END AS code,
        CASE WHEN stage <> 'spent' THEN NULL WHEN before = 'spent' THEN spent_before ELSE {as_of} END AS spent_at,
        {_baseline(inputs)} AS baseline
        FROM {"placed" if human else "coded"}"""
    return f"""
        WITH {", ".join(f"{name} AS ({select})" for name, select in steps.items())}
        SELECT cio_id, since, CASE WHEN again THEN bought_at ELSE bought_before END AS bought_before, baseline,
            spent_at, stage, code, exit_reason, enters, enters AND {held_out} AS ghost,
            before, code_before, entry_id,
            CASE WHEN NOT eligible AND before <> 'in' THEN
                CASE WHEN NOT present THEN 'deleted' WHEN NOT member THEN '{lost}' ELSE 'gate' END
            END AS drop_reason,
            {_detail(inputs)} AS detail{places.assigned(inputs)}{f", {by_moment.COLUMNS}" if moment else ""}
        FROM staged
        WHERE stage IS DISTINCT FROM before OR exit_reason IS NOT NULL OR code IS DISTINCT FROM code_before
            OR baseline IS DISTINCT FROM baseline_before{f" OR {by_moment.ANOTHER}" if moment else ""}"""


def candidates(inputs: Inputs) -> str:
    """Return the SELECT of the ``cio_id`` of whoever would enter a touch audience, as far as our own data tells.

    These are looked for in the CRMs before it is decided.
    """
    steps = ", ".join(f"{name} AS ({select})" for name, select in _coded(inputs, _whens(_own(inputs))).items())
    return f"WITH {steps} SELECT cio_id FROM coded WHERE outside AND first_code IS NULL"


def _coded(inputs: Inputs, codes: str) -> dict[str, str]:
    """Return the steps up to ``coded``: everybody known or eligible, with exit and the first of ``codes``."""
    return {
        **({"acts": touch.acts(inputs)} if inputs.audience.touch else {}),
        "joined": _joined(inputs),
        "ending": f"SELECT *, {_exit(inputs)} AS exit_reason FROM joined",
        "coded": f"""
            SELECT *, {_again(inputs)} AS again, {_used_up(inputs)} AS used_up,
                eligible AND (before IS DISTINCT FROM 'in' OR exit_reason IS NOT NULL) AS outside,
                CASE WHEN NOT outside THEN NULL {codes} END AS first_code
            FROM ending""",
    }


def _exit(inputs: Inputs) -> str:
    """Return SQL for why a stay ends now; NULL where it goes on, or there is none."""
    audience, as_of = inputs.audience, timestamp(inputs.as_of)
    expired = f"entered_at <= {timestamp(inputs.as_of - audience.expires_after)}" if audience.expires_after else "FALSE"
    bought = _bought(inputs) if inputs.ends_with_purchase else "FALSE"
    changed = f"version IS DISTINCT FROM {audience.version}"
    if audience.moment is not None:
        # Nobody leaves a moment, and a list entered anew would need another one.
        expired, changed = by_moment.expired(inputs), "FALSE"
        bought = by_moment.bought("used_at") if inputs.ends_with_purchase else "FALSE"
    if not audience.touch:
        return f"""CASE WHEN entered_at IS NULL THEN NULL
            WHEN NOT present THEN 'deleted' WHEN {bought} THEN 'purchase' WHEN NOT member THEN 'left_segment'
            WHEN NOT eligible THEN 'gate' WHEN {changed} THEN 'new_version' WHEN {expired} THEN 'expired' END"""
    said = "" if audience.outcomes is None else "WHEN outcome IS NOT NULL THEN 'outcome' "
    # A version changes rules, not the work in people's hands: an entry goes on through it.
    return f"""CASE WHEN entered_at IS NULL THEN NULL
        WHEN NOT present THEN 'deleted' WHEN {bought} THEN 'purchase' {said}WHEN handled_at IS NOT NULL THEN 'done'
        WHEN withdrawn_at IS NOT NULL THEN 'withdrawn'
        WHEN muted THEN 'suppressed' WHEN NOT member THEN 'left_segment' WHEN NOT eligible THEN 'gate'
        WHEN had_by IS NOT NULL THEN 'exclusive'
        WHEN {expired} AND coalesce(snoozed_until <= {as_of}, TRUE) THEN 'expired' END"""


def _again(inputs: Inputs) -> str:
    """Return SQL for: may come again in the same spell of eligibility."""
    again = inputs.audience.again_after
    if again is None:
        return "FALSE"
    over = f"coalesce(spent_before, since) <= {timestamp(inputs.as_of - again)}"
    return f"coalesce(before = 'spent' AND {over} AND NOT left_here, FALSE)"


def _used_up(inputs: Inputs) -> str:
    """Return SQL for: bought, was handled or expired in this spell, and may not come again yet."""
    if inputs.audience.moment is not None:
        return by_moment.used_up(inputs)
    bought = _bought(inputs) if inputs.ends_with_purchase else "FALSE"
    ended, spent = "coalesce(exit_reason IN ('purchase', 'done', 'expired', 'withdrawn'), FALSE)", ""
    if inputs.audience.outcomes is not None:
        # Whom a human put off by an outcome comes again when that is over, without having lost eligibility.
        spent = " AND NOT coalesce(put_off, FALSE)"
        ended = f"({ended} OR coalesce(exit_reason = 'outcome', FALSE){spent})"
    return f"eligible AND ({ended} OR NOT again AND ({bought} OR coalesce(before = 'spent', FALSE){spent}))"


def _codes(inputs: Inputs) -> str:
    """Return the WHENs of what keeps somebody out who is eligible, in the order in which it is asked."""
    asked = _own(inputs)
    if inputs.places:
        handled = "on_it_by IS NOT NULL" if inputs.audience.respect_handled is not False else "FALSE"
        # The cap is asked before what is not known of the CRMs: who is at it is not looked for there.
        asked.insert(-1, (Code.BEING_HANDLED, handled))
        asked.append((Code.STALE_INPUT, f"{places.stale_places(inputs)} IS NOT NULL"))
    return _whens(asked)


def _whens(asked: list[tuple[Code, str]]) -> str:
    return " ".join(f"WHEN {condition} THEN {_quoted(code)}" for code, condition in asked if condition != "FALSE")


def _own(inputs: Inputs) -> list[tuple[Code, str]]:
    """Return the codes that our own data tells, each with its condition; of a touch audience the cap goes last."""
    audience, as_of = inputs.audience, timestamp(inputs.as_of)
    grace = f"since > {timestamp(inputs.as_of - audience.grace)}" if audience.grace else "FALSE"
    asked: list[tuple[Code, str]] = [(Code.GRACE, grace), (Code.SPENT, "used_up")]
    if audience.moment is not None:
        asked.insert(0, (Code.STALE_MOMENT, over(inputs, MOMENT_AT)))
    switched_off = (Code.PAUSED, "TRUE" if inputs.paused else "FALSE")
    if not audience.touch:
        return [*asked, switched_off]
    cooldown = timestamp(inputs.as_of - audience.cooldown) if audience.cooldown else None
    skipped = "FALSE" if inputs.first and audience.launch.backfill else "baseline_now"
    return [
        (Code.UNDELIVERABLE, "undeliverable"),
        (Code.SUPPRESSED, "muted"),
        (Code.STALE_INPUT, "stale IS NOT NULL"),
        *asked,
        (Code.COOLDOWN, _cooling(inputs, f"ended > {cooldown}" if cooldown else "FALSE")),
        (Code.SNOOZED, f"snoozed_until > {as_of}"),
        (Code.EXCLUSIVE, "had_by IS NOT NULL"),
        (Code.JOURNEY, "in_journey"),
        switched_off,
        (Code.LAUNCH_BASELINE, skipped),
        (Code.LAUNCH_SCOPE, "out_of_scope"),
        # One open action per person and audience: what a human took up outlives the entry it was made for.
        (Code.BEING_HANDLED, "in_hands" if audience.asks() else "FALSE"),
        (Code.PERSON_CAP, f"touches >= {inputs.activation.limits.human_touches_per_person.max}"),
    ]


def _cooling(inputs: Inputs, ended: str) -> str:
    """Return SQL for: the audience's cooldown is not over, or that of the outcome."""
    if inputs.audience.outcomes is None:
        return ended
    return f"({ended} OR coalesce(quiet_until > {timestamp(inputs.as_of)}, FALSE))"


def _places_given(inputs: Inputs) -> dict[str, str]:
    """Return the steps that give places to those whom no code keeps out: who is held out, and who comes too late.

    Down the ranking each draws a coin, and it ends with the last place taken: who is held out takes none.
    """
    if inputs.desks is not None:
        before, code = places.given(inputs, touch.held_out(inputs)), "asked_code"
        last = "walked"
    else:
        wants = "outside AND first_code IS NULL AS wants"
        before, code = {"drawn": f"SELECT *, {wants}, {touch.held_out(inputs)} AS held_out FROM coded"}, "first_code"
        last = "drawn"
    limit = _places(inputs)
    if limit is None:
        return before | {"placed": f"SELECT *, {code} AS final_code FROM {last}"}
    full, free = limit
    earlier = f"PARTITION BY wants ORDER BY {inputs.ranking()} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
    ahead = f"coalesce(count(*) FILTER (wants AND NOT held_out) OVER ({earlier}), 0)"
    return before | {
        "ranked": f"SELECT *, {ahead} AS ahead FROM {last}",
        "placed": f"""
            SELECT *, CASE WHEN wants AND ahead >= {free} THEN {_quoted(full)} ELSE {code} END AS final_code
            FROM ranked""",
    }


def _places(inputs: Inputs) -> tuple[Code, int] | None:
    """Return the limit in force and how many places are free; None where there is no limit."""
    launch = inputs.audience.launch
    free = None if launch.max_entries_per_day is None else max(0, launch.max_entries_per_day - inputs.entered_today)
    if inputs.first and launch.baseline is Baseline.SKIP and launch.backfill:
        return Code.LAUNCH_BASELINE, launch.backfill if free is None else min(free, launch.backfill)
    return None if free is None else (Code.LAUNCH_LIMIT, free)


def _at_a_start(inputs: Inputs, code: str) -> str:
    """Return SQL for ``code`` as a start with a backfill has it: whoever is not let in now is skipped from now on.

    So the window decided again says the same, when it is the first no more.
    """
    launch = inputs.audience.launch
    if not (inputs.first and launch.baseline is Baseline.SKIP and launch.backfill):
        return code
    order = list(Code)
    asked_later = [c for c in order[order.index(Code.LAUNCH_BASELINE) :] if c is not Code.HOLDOUT]
    listed = ", ".join(map(_quoted, asked_later))
    unread = f"{code} = {_quoted(Code.STALE_INPUT)} AND stale IS NULL"
    return f"CASE WHEN {code} IN ({listed}) OR {unread} THEN {_quoted(Code.LAUNCH_BASELINE)} ELSE {code} END"


def _baseline(inputs: Inputs) -> str:
    """Return SQL for: eligible since before the start, and so skipped until eligibility was lost once."""
    if inputs.first and inputs.audience.launch.baseline is Baseline.SKIP:
        return "NOT enters"
    return "baseline_now"


def _detail(inputs: Inputs) -> str:
    """Return SQL for the JSON of what a code or an exit rests on: values and times, nobody's contact data."""
    audience, limits = inputs.audience, inputs.activation.limits
    told: list[tuple[str, str]] = [
        (f"code = {_quoted(Code.GRACE)}", f"'until', {_later('since', audience.grace)}"),
        (f"code = {_quoted(Code.SPENT)}", "'since', since"),
    ]
    if inputs.paused is not None:
        since = f"'since', {timestamp(inputs.paused.paused_at)}, 'by', {literal(inputs.paused.paused_by)}"
        told.append((f"code = {_quoted(Code.PAUSED)}", f"{since}, 'why', {literal(inputs.paused.why)}"))
    if audience.moment is not None:
        told.insert(0, (f"code = {_quoted(Code.STALE_MOMENT)}", by_moment.told(inputs)))
    if audience.touch:
        cooldown = audience.cooldown or timedelta(0)
        cap = f"'touches', touches, 'max', {limits.human_touches_per_person.max}, 'last', touched_by, 'at', touched_at"
        until = _later("ended", cooldown)
        if audience.outcomes is not None:
            until = f"greatest({until}, quiet_until)"
            told.append(("exit_reason = 'outcome'", "'outcome', outcome, 'at', outcome_at"))
        told += [
            ("exit_reason = 'done'", "'handled_at', handled_at"),
            ("exit_reason = 'exclusive'", "'had_by', had_by"),
            (f"code = {_quoted(Code.STALE_INPUT)}", f"'stale', {_stale(inputs)}"),
            (f"code = {_quoted(Code.COOLDOWN)}", f"'ended', ended, 'until', {until}"),
            (f"code = {_quoted(Code.SNOOZED)}", "'until', snoozed_until"),
            (f"code = {_quoted(Code.EXCLUSIVE)}", "'had_by', had_by"),
            (
                f"code = {_quoted(Code.LAUNCH_LIMIT)}",
                f"'max', {audience.launch.max_entries_per_day or 0}",
            ),
            (f"code = {_quoted(Code.PERSON_CAP)}", cap),
        ]
    if inputs.places:
        by = "CASE WHEN in_hands THEN 'our_action' ELSE on_it_by END" if audience.asks() else "on_it_by"
        on_it = f"'by', {by}, 'in', on_it_in, 'at', on_it_at"
        told.append((f"code = {_quoted(Code.BEING_HANDLED)}", on_it))
    if inputs.desks is not None:
        told.append(
            (f"code IN ({_quoted(Code.CAPACITY)}, {_quoted(Code.WORKING_TIME)})", "'in', place, 'owner', owner_id")
        )
        told.append((f"code = {_quoted(Code.NO_OWNER)}", "'in', place, 'record_owner', record_owner"))
    whens = " ".join(f"WHEN {condition} THEN json_object({pairs})" for condition, pairs in told)
    return f"CAST(CASE {whens} END AS VARCHAR)"


def _stale(inputs: Inputs) -> str:
    """Return SQL of what is stale: columns, else the CRMs that could not be asked."""
    return f"coalesce(stale, {places.stale_places(inputs)})" if inputs.places else "stale"


def _later(instant: str, span: timedelta) -> str:
    return f"{instant} + to_microseconds({span // timedelta(microseconds=1)})"


def _bought(inputs: Inputs) -> str:
    """Return SQL for: the purchase moved since the spell began.

    Not "is later than the spell": a real-time window is decided many times before its end, which is the spell's
    begin. Where nothing was known then, anything from that window on is a purchase.
    """
    whole = inputs.window.end - inputs.window.start
    return f"""known AND bought_at IS NOT NULL AND CASE WHEN bought_before IS NULL
        THEN bought_at >= since - to_microseconds({whole // timedelta(microseconds=1)})
        ELSE bought_at > bought_before END"""


def _joined(inputs: Inputs) -> str:
    """Return everyone eligible or known, with what tells why a known one is not eligible any more.

    Of a touch audience with all that its codes rest on.
    """
    found = f"""
        SELECT f.*, l.cio_id IS NOT NULL AS left_here FROM ({_known_or_eligible(inputs)}) AS f
        LEFT JOIN ({_left_here(inputs)}) AS l ON l.cio_id = f.cio_id"""
    same = "baseline_before"
    if inputs.audience.moment is not None:
        found = by_moment.joined(inputs, found)
        same = f"baseline_before AND NOT ({by_moment.ANOTHER})"
    if not inputs.audience.touch:
        return f"SELECT *, FALSE AS baseline_now, {_NEVER} AS ended FROM ({found})"
    skips = inputs.first and inputs.audience.launch.baseline is not Baseline.INCLUDE
    on_them = f"LEFT JOIN ({places.contexts(inputs)}) AS x ON x.cio_id = j.cio_id" if inputs.places else ""
    seen = "".join(f", x.{column}" for column in places.COLUMNS) if inputs.places else ""
    if inputs.audience.asks():
        on_them += f" LEFT JOIN ({places.in_hands(inputs)}) AS y ON y.cio_id = j.cio_id"
        seen += ", y.cio_id IS NOT NULL AS in_hands"
    return f"""
        SELECT j.*, {"TRUE" if skips else same} AS baseline_now, a.handled_at, a.withdrawn_at,
            p.ended, p.snoozed_until,{_said(inputs)}
            coalesce(t.touches, 0) AS touches, t.touched_by, t.touched_at, h.had_by,
            coalesce(NOT i.deliverable, FALSE) AS undeliverable{seen}
        FROM ({found}) AS j
        LEFT JOIN acts AS a ON a.entry_id = j.entry_id
        LEFT JOIN ({touch.past(inputs)}) AS p ON p.cio_id = j.cio_id
        LEFT JOIN ({touch.touches(inputs)}) AS t ON t.cio_id = j.cio_id
        LEFT JOIN ({touch.above(inputs)}) AS h ON h.cio_id = j.cio_id
        LEFT JOIN {inputs.rows_of(PERSONS)} AS i ON i.cio_id = j.cio_id
        {on_them}"""


def _said(inputs: Inputs) -> str:
    """Return the columns of what humans said came of it."""
    return "" if inputs.audience.outcomes is None else " a.outcome, a.outcome_at, p.quiet_until, p.put_off,"


def _left_here(inputs: Inputs) -> str:
    """Return the SELECT of who left in this very window, in an earlier run of it: what is decided of them stands."""
    here = f"exit_window = {literal(inputs.window.key)} AND exited_at = {timestamp(inputs.as_of)}"
    name = literal(inputs.audience.name)
    return f"""SELECT DISTINCT cio_id FROM audience.memberships
        WHERE audience = {name} AND {here}{inputs.scope.condition()}"""


def _known_or_eligible(inputs: Inputs) -> str:
    as_of = timestamp(inputs.as_of)
    lost = "SELECT k.cio_id FROM known AS k ANTI JOIN eligible_now AS e ON e.cio_id = k.cio_id"
    carried = "k.entered_at, k.version, k.entry_id, k.code AS code_before, k.spent_at AS spent_before"
    flags = "coalesce(k.ghost, FALSE) AS ghost_before, coalesce(k.baseline, FALSE) AS baseline_before"
    here, gone = [], []
    since = f"coalesce(k.since, {as_of})"
    if inputs.audience.moment is not None:
        since = f"coalesce(e.{MOMENT_AT}, k.since, {as_of})"
        here += [f"e.{MOMENT_ID}", f"e.{MOMENT_AT}", "k.since AS since_before"]
        gone += ["NULL", _NEVER, "k.since"]
    if inputs.audience.touch:
        here += [f"e.{IN_JOURNEY} AS in_journey", f"e.{OUT_OF_SCOPE} AS out_of_scope", f"e.{MUTED} AS muted"]
        here += [f"e.{ranked_by(index)}" for index in range(len(inputs.ranks))]
        gone += ["FALSE", "FALSE", "FALSE", *["NULL"] * len(inputs.ranks)]
    return f"""
        SELECT e.cio_id, TRUE AS eligible, TRUE AS present, TRUE AS member, e.{BOUGHT_AT} AS bought_at,
            k.cio_id IS NOT NULL AS known, k.stage AS before, {since} AS since,
            CASE WHEN k.cio_id IS NULL THEN e.{BOUGHT_AT} ELSE k.bought_before END AS bought_before,
            {carried}, {flags}, {", ".join([f"e.{STALE} AS stale", *here])}
        FROM eligible_now AS e LEFT JOIN known AS k ON k.cio_id = e.cio_id
        UNION ALL
        SELECT k.cio_id, FALSE, p.cio_id IS NOT NULL, m.cio_id IS NOT NULL, p.bought_at,
            TRUE, k.stage, k.since, k.bought_before, {carried}, {flags}, {", ".join(["NULL", *gone])}
        FROM known AS k
        JOIN ({lost}) AS l ON l.cio_id = k.cio_id
        LEFT JOIN (SELECT DISTINCT cio_id FROM ({inputs.members()})) AS m ON m.cio_id = k.cio_id
        LEFT JOIN (
            SELECT cio_id, {inputs.bought_at()} AS bought_at FROM {inputs.rows_of(inputs.people)}
            WHERE cio_id IN ({lost})
        ) AS p ON p.cio_id = k.cio_id"""


def _quoted(code: Code) -> str:
    return literal(str(code))
