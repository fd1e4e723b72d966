"""What was decided of a person, in sentences: by the rules of that day, with the values and times it rested on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cio_activation.audience.codes import MEANING, Code
from cio_activation.why.facts import Asking, Fact, minute, parsed, span, told

ENDS: Mapping[str, str] = {
    "left_segment": "is in the segment no more",
    "gate": "the gate holds no more",
    "purchase": "bought",
    "expired": "was in for as long as one may be",
    "done": "was taken care of",
    "withdrawn": "a person of ours took the action back",
    "deleted": "Customer.io has the person no more",
    "suppressed": "takes no messages",
    "exclusive": "another audience of the group goes first",
    "new_version": "the audience has a new version",
    "audience_removed": "the activation has the audience no more",
}
_Told = Callable[[Asking, Mapping[str, Any]], str]
_DETAILS: Mapping[str, _Told] = {
    Code.GRACE: lambda _, d: f"until {minute(d['until'])}",
    Code.SPENT: lambda _, d: f"in the spell that began {minute(d['since'])}" if "since" in d else "",
    Code.STALE_INPUT: lambda _, d: ", ".join(d["stale"]) if isinstance(d["stale"], list) else str(d["stale"]),
    Code.STALE_MOMENT: lambda _, d: f"it happened {minute(d['occurred_at'])} and counted until {minute(d['until'])}",
    Code.COOLDOWN: lambda _, d: f"it ended {minute(d['ended'])}, so again from {minute(d['until'])}",
    Code.SNOOZED: lambda _, d: f"until {minute(d['until'])}",
    Code.EXCLUSIVE: lambda asking, d: f"{asking.label(d['had_by'])} has the person",
    Code.LAUNCH_LIMIT: lambda _, d: f"{d['max']} a day",
    Code.PERSON_CAP: lambda asking, d: (
        f"{d['touches']} of {d['max']} times, last for {asking.label(d['last'])} on {minute(d['at'])}"
    ),
    Code.BEING_HANDLED: lambda _, d: _handled(d),
    Code.CAPACITY: lambda _, d: _desk(d),
    Code.WORKING_TIME: lambda _, d: _desk(d),
    Code.NO_OWNER: lambda _, d: f"in {d['in']}; the record's owner there is {d.get('record_owner') or 'nobody'}",
    "done": lambda _, d: f"on {minute(d['handled_at'])}",
}  # fmt: skip
"""Code, or reason of an end -> what its detail says."""


def facts(asking: Asking, cio_id: str) -> list[Fact]:
    """Return every decision that was made of the person."""
    rows = asking.rows(f"SELECT * FROM outcome.why_decisions WHERE cio_id = ?{asking.until}", [cio_id])
    return [
        Fact(
            what=row["decision"],
            sentence=sentence(asking, row),
            as_of=row["as_of"],
            about=row["audience"],
            window_key=row["window_key"],
            run_id=row["run_id"],
            activation=row["activation"],
            values={
                name: value
                for name, value in {
                    "code": row["code"], "detail": parsed(row["detail"]), "version": row["version"],
                    "evidence": _evidence(asking, row),
                    "segment": row["segment"], "snapshot": row["snapshot"], "entry_id": row["entry_id"],
                }.items()
                if value not in (None, {})
            },
        )
        for row in rows
    ]  # fmt: skip


def sentence(asking: Asking, row: Mapping[str, Any]) -> str:
    """Return one decision in a sentence."""
    label, code = asking.label(row["audience"], row["activation"]), row["code"]
    match row["decision"]:
        case "entered":
            return f"entered {label}: {rested_on(asking, row)}"
        case "left":
            return f"left {label}: {ended(asking, row)}"
        case "dropped":
            return f"is no candidate for {label} any more: {ENDS.get(code, code)}"
        case _:
            return f"was kept out of {label}: {withheld(asking, code, row['detail'])}"


def withheld(asking: Asking, code: str, detail: str | None) -> str:
    """Return what a code means, with what it rested on."""
    meaning = MEANING[Code(code)] if code in set(Code) else code
    more = _detail(asking, code, detail)
    return f"{meaning} ({code}{f': {more}' if more else ''})"


def rested_on(asking: Asking, row: Mapping[str, Any]) -> str:
    """Return by which rule with which values and times an entry was made."""
    evidence, rule = parsed(row["evidence"]), asking.audience(row["audience"], row["activation"])
    if came := evidence.get("moment"):
        parts = [f"by “{came['name']}” at {minute(came['occurred_at'])}"]
        if fields := came.get("fields"):
            parts[0] += f" with {asking.listed(fields)}"
    else:
        name = f"“{row['segment_name']}” ({row['segment']})" if row["segment_name"] else evidence.get("segment")
        since = f", eligible since {minute(evidence['since'])}" if evidence.get("since") else ""
        parts = [f"in the segment {name}{since}"]
    inputs = evidence.get("inputs") or {}
    if gate := rule.get("gate"):
        counted = {f"times({asked})": f"{found['times']}" for asked, found in (evidence.get("moments") or {}).items()}
        parts.append(f"its gate `{gate}` held with {asking.listed(inputs | counted)}")
    elif inputs:
        parts.append(asking.listed(inputs))
    if grace := rule.get("grace"):
        parts += [f"for {span(grace)} without a break"] if span(grace) != "0m" else []
    if stale := evidence.get("stale"):
        parts.append(f"last good values: {', '.join(stale)}")
    return "; ".join(parts)


def ended(asking: Asking, row: Mapping[str, Any]) -> str:
    """Return why a stay ended."""
    code, rule = row["code"], asking.audience(row["audience"], row["activation"])
    meaning, more = ENDS.get(code, str(code)), _detail(asking, code, row["detail"])
    if code == "gate" and rule.get("gate"):
        meaning = f"the gate `{rule['gate']}` holds no more"
    if code == "expired" and rule.get("expires_after"):
        meaning += f", {span(rule['expires_after'])}"
    return f"{meaning}{f' ({more})' if more else ''}"


def _detail(asking: Asking, code: str | None, detail: str | None) -> str:
    values = parsed(detail)
    if not values or code is None:
        return ""
    if code in _DETAILS:
        return _DETAILS[code](asking, values)
    return ", ".join(f"{name} {told(value)}" for name, value in values.items())


def _evidence(asking: Asking, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an entry rested on; without personal data, unless that is asked for."""
    evidence = parsed(row["evidence"]) if row["decision"] == "entered" else {}
    inputs = evidence.get("inputs")
    if not inputs or asking.personal:
        return evidence
    return evidence | {"inputs": {k: v for k, v in inputs.items() if k not in asking.private}}


def _handled(detail: Mapping[str, Any]) -> str:
    when = f" since {minute(detail['at'])}" if detail.get("at") else ""
    return f"{str(detail['by']).replace('_', ' ')} in {detail.get('in') or 'a CRM'}{when}"


def _desk(detail: Mapping[str, Any]) -> str:
    return f"in {detail['in']}, {detail.get('owner') or 'nobody yet'}"
