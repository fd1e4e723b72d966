"""The activation file that is written: YAML with a comment wherever something was guessed."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from cio_activation.onboarding.draft import OF_THE_WORKSPACE, Draft, first_day
from cio_activation.onboarding.inventory import inventory
from cio_activation.onboarding.meanings import Meaning

WIDTH = 118
PREFIX = "cio_"


def text_of(draft: Draft) -> str:
    """Return the whole file."""
    yaml = YAML()
    yaml.width = 4_000  # never folds an expression
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_file(draft), out)
    return f"{_commented(_head(draft))}\n{out.getvalue().rstrip()}\n\n{_commented(inventory(draft))}"


def _head(draft: Draft) -> list[str]:
    read, sample = draft.found, draft.found.sample
    lines = [
        f"The first activation, drafted by `cio-activation init` on {read.read_at:%Y-%m-%d} from what "
        "the accounts show. It passes "
        "`cio-activation check`; nothing is sent before you run something. Every key: "
        "docs/audiences.md, docs/actions.md.",
        "",
        f"Sample: {sample.people:,} people, drawn evenly from {_of(sample.drawn_from, sample.of)} people of segment "
        f"{sample.segment.id} ({_line(sample.segment.name)}). Shares and edges below are theirs.",
        "",
        "What you still have to decide",
    ]
    return [*lines, *(f"{n}. {text}" for n, text in enumerate(draft.undecided, 1))]


def _of(drawn: int, people: int) -> str:
    return f"all {people:,}" if drawn >= people else f"the first {drawn:,} of {people:,}"


def _file(draft: Draft) -> CommentedMap:
    whole = CommentedMap()
    whole["workspace"] = _workspace(draft)
    whole["match"] = _flow({"keys": _list(["external_id", "email"])})
    whole["attributes"] = _attributes(draft)
    whole["properties"] = _properties(draft)
    whole["audiences"] = _audiences(draft)
    whole["limits"] = _limits(draft)
    whole["destinations"] = _destinations(draft)
    sections = {
        "match": ["How a person is found in a CRM, in order of trust (docs/matching.md)."],
        "attributes": [
            "Customer.io's attributes that something below reads. `from` is the name there, where it is another one.",
            *([] if draft.meant.by_meaning else ["None was recognised by its name; what there is stands at the end."]),
        ],
        "properties": ["States, not events: few, in buckets, each with an owner. Each becomes a field cio_<name>."],
        "audiences": ["Who is in now. One source segment each; the gate narrows it where a person's time is at stake."],
        "limits": ["What no run may exceed."],
        "destinations": [
            "Where it goes.",
            *(f"{name} is left out: {why}" for name, why in draft.found.missing.items()),
        ],
    }
    for key, lines in sections.items():
        whole.yaml_set_comment_before_after_key(key, before="\n" + _wrapped(lines))
    return whole


def _workspace(draft: Draft) -> CommentedMap:
    said = CommentedMap(timezone=draft.timezone, currency=draft.currency, prefix=PREFIX, start=_date(draft))
    for key, meaning in OF_THE_WORKSPACE.items():
        if draft.meant.has(meaning):
            said[key] = str(meaning)
    return said


def _date(draft: Draft) -> Any:
    from datetime import date

    return date.fromisoformat(first_day(draft))


def _attributes(draft: Draft) -> CommentedMap:
    said = CommentedMap()
    for meaning in (m for m in Meaning if m in draft.used):
        attribute = draft.meant.by_meaning[meaning]
        source = {} if attribute.name == meaning else {"from": attribute.name}
        said[str(meaning)] = _flow({**source, "type": str(attribute.type)})
        said.yaml_add_eol_comment(f"{attribute.filled:.0%} of the sample have it", str(meaning))
    return said


def _properties(draft: Draft) -> CommentedMap:
    said = CommentedMap()
    scarce = [name for name, survey in draft.found.surveys.items() if survey.fields_are_scarce]
    ample = [name for name in draft.found.surveys if name not in scarce]
    for one in draft.properties:
        body = CommentedMap((key, _value(value)) for key, value in one.rule.items())
        body["lane"], body["owner"] = one.lane, draft.owner
        if scarce and ample and not one.scarce:
            body["deliver"] = _list(ample)
        said[one.name] = body
        _before(said, one.name, *one.why)
    return said


def _audiences(draft: Draft) -> CommentedMap:
    said = CommentedMap()
    for one in draft.audiences:
        purpose, people = one.purpose, one.source.people
        body = CommentedMap(
            label=purpose.label,
            description=purpose.description,
            version=1,
            owner=draft.owner,
            segment=one.source.segment.id,
            lane=str(purpose.lane),
        )
        if one.gate:
            body["gate"] = one.gate
        if purpose.expires_after:
            body["expires_after"] = purpose.expires_after
        bought = ["purchase"] if draft.meant.has(Meaning.LAST_ORDER) and purpose.name != "recent_refund" else []
        body["exit_on"] = _list(["left_segment", *bought])
        if one.asks:
            body["launch"] = _flow({"backfill": 10, "max_entries_per_day": 20})
        body["deliver"] = _nested(draft.deliveries[purpose.name])
        said[purpose.name] = body
        named = f"Segment {one.source.segment.id}, {_line(one.source.segment.name)}"
        told = f"{named}: {people or 0:,} people now. Chosen {one.why}."
        _before(said, purpose.name, told)
    return said


def _limits(draft: Draft) -> CommentedMap:
    said = CommentedMap()
    if any(one.asks for one in draft.audiences):
        said["human_touches_per_person"] = _flow({"max": 1, "per": "7d"})
        hours = {"days": "mon-fri", "from": DoubleQuotedScalarString("09:00"), "to": DoubleQuotedScalarString("17:00")}
        said["working_time"] = _flow(hours)
        said["capacity"] = _flow({"open_per_owner": 30, "new_per_owner_per_day": 20})
        _before(
            said, "working_time", "Of whoever acts, in the workspace's time zone; `holidays: US` leaves those days out."
        )
    said["guards"] = _flow({"max_exit_share": 0.5, "max_entry_share": 0.5, "share_floor": 20})
    _before(said, "guards", "A plan that moves more people at once is held until somebody releases it.")
    return said


def _destinations(draft: Draft) -> CommentedMap:
    said = CommentedMap()
    for name, survey in draft.found.surveys.items():
        said[name] = _flow({})
        said.yaml_add_eol_comment(survey.account, name)
    if any(one.asks for one in draft.audiences):
        for name in draft.found.also:
            said[name] = _flow({})
            said.yaml_add_eol_comment("the way back: while a human is on somebody, their profile says so", name)
    return said


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _flow(dict(value))
    return _list(value) if isinstance(value, list) else value


def _nested(value: Any) -> Any:
    """Return options as they are read best: a mapping of plain values on one line, the rest below each other."""
    if isinstance(value, Mapping):
        plain = all(not isinstance(v, Mapping) for v in value.values()) and len(value) <= 2
        return _flow(dict(value)) if plain else CommentedMap((k, _nested(v)) for k, v in value.items())
    if isinstance(value, list) and any(isinstance(v, Mapping) for v in value):
        return CommentedSeq(_nested(v) for v in value)  # a mapping in a list on one line is hard to read
    return _value(value)


def _before(said: CommentedMap, key: str, *lines: str) -> None:
    said.yaml_set_comment_before_after_key(key, before=_wrapped(lines, 2), indent=2)


def _flow(values: Mapping[str, Any]) -> CommentedMap:
    made = CommentedMap((key, _value(value)) for key, value in values.items())
    made.fa.set_flow_style()
    return made


def _list(values: Iterable[Any]) -> CommentedSeq:
    made = CommentedSeq(values)
    made.fa.set_flow_style()
    return made


def _line(text: str) -> str:
    """Return a name of somebody's as one line of a comment."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _wrapped(lines: Sequence[str], indent: int = 0) -> str:
    return "\n".join(
        part for line in lines for part in (textwrap.wrap(_line(line), WIDTH - indent, break_on_hyphens=False) or [""])
    )


def _commented(lines: Sequence[str]) -> str:
    """Return lines as comments, wrapped; what goes on is put under where it began."""
    told: list[str] = []
    for line in lines:
        depth = len(line) - len(line.lstrip())
        mark = " " * (depth + (3 if line.lstrip()[:1].isdigit() else 2 if depth else 0))
        told += textwrap.wrap(
            _line(line),
            WIDTH,
            initial_indent=" " * depth,
            subsequent_indent=mark,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "".join(f"# {line}".rstrip() + "\n" for line in told)
