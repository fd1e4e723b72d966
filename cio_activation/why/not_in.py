"""Why somebody is not in an audience: the first thing that failed, by the SQL that decides, as of the newest window."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cio_activation.activation.expressions import Expression, gate_conditions
from cio_activation.activation.models import Activation, Audience
from cio_activation.audience import moments
from cio_activation.audience.codes import Code
from cio_activation.audience.inputs import Inputs
from cio_activation.audience.scoping import rules_of
from cio_activation.errors import ConfigError
from cio_activation.state.columns import source
from cio_activation.state.rules import derive_property
from cio_activation.warehouse.scope import narrowed_to
from cio_activation.warehouse.sql import columns, identifier, literal, scalar
from cio_activation.why import then
from cio_activation.why.decisions import withheld
from cio_activation.why.facts import HIDDEN, Asking, told
from cio_activation.why.windows import window_of


@dataclass(frozen=True, kw_only=True)
class WhyNot:
    """The answer. ``because``: ``in``, ``unknown``, ``source``, ``condition``, ``code``, ``undecided`` or ``then``."""

    cio_id: str
    audience: str
    because: str
    sentence: str
    is_in: bool = False
    condition: str | None = None
    """The first part of the gate that did not hold, as it is written."""
    values: dict[str, Any] = field(default_factory=dict)
    """What that read."""
    code: str | None = None
    window_key: str | None = None
    as_of: datetime | None = None
    activation: str | None = None
    notes: tuple[str, ...] = ()


def why_not_in(asking: Asking, cio_id: str, audience: str) -> WhyNot:
    """Return why ``cio_id`` is not in ``audience``, or that it is; as of an instant, if that is asked for."""
    if audience not in asking.activation.audiences:
        there = ", ".join(asking.activation.audiences) or "none"
        raise ConfigError(f"no audience is named {audience}; there are: {there}")
    if asking.as_of is not None:
        because, sentence, code = then.place(asking, cio_id, audience)
        is_in = because == "in"
        return WhyNot(
            cio_id=cio_id, audience=audience, because=because, sentence=sentence, is_in=is_in, code=code,
            as_of=asking.as_of,
        )  # fmt: skip
    found = asking.rows("SELECT * FROM meta.published WHERE name = ?", [f"audience.{audience}"])
    label = asking.label(audience)
    if not found:
        return WhyNot(
            cio_id=cio_id, audience=audience, because="undecided", sentence=f"{label} was not decided yet"
        )  # fmt: skip
    return _Question(asking, cio_id, audience, found[0]).answer()


class _Question:
    """One person, one audience, and the newest window that decided it."""

    def __init__(self, asking: Asking, cio_id: str, audience: str, published: dict[str, Any]) -> None:
        self.asking, self.cio_id, self.published = asking, cio_id, published
        self.rules = rules_of(published["basis"])
        self.activation, self.notes = _of_the_day(asking, audience, self.rules)
        self.audience = self.activation.audiences[audience]
        self.label = asking.label(audience, self.rules)

    def answer(self) -> WhyNot:
        """Return the first thing that failed, in the order in which a window asks."""
        return self._inside() or self._undecidable() or self._source() or self._condition() or self._code()

    def _told(self, because: str, sentence: str, **more: Any) -> WhyNot:
        return WhyNot(
            cio_id=self.cio_id, audience=self.audience.name, because=because, sentence=sentence, notes=self.notes,
            window_key=self.published["window_key"], as_of=self.published["window_end"],
            activation=self.rules, **more,
        )  # fmt: skip

    def _inside(self) -> WhyNot | None:
        stays = self.asking.rows(
            "SELECT * FROM audience.memberships WHERE cio_id = ? AND audience = ? AND exited_at IS NULL",
            [self.cio_id, self.audience.name],
        )
        if not stays:
            return None
        since = f"since {told(stays[0]['entered_at'])}"
        if stays[0]["ghost"]:
            meaning = withheld(self.asking, "holdout", None)
            return self._told("code", f"was kept out of {self.label} {since}: {meaning}", code="holdout")
        return self._told("in", f"is in {self.label} {since}", is_in=True)

    def _undecidable(self) -> WhyNot | None:
        """Prepare what the conditions read; answer, if it is not there."""
        window = window_of(self.activation, self.published["lane"], self.published["window_key"])
        if window is None:
            return self._told("undecided", f"the window {self.published['window_key']} is none of the lane's any more")
        self.inputs = replace(Inputs.of(self.activation, self.audience, window), there=columns(self.asking.con))
        if lacking := self.inputs.missing():
            return self._told("undecided", f"{self.label} cannot be decided: {lacking}")
        scope = narrowed_to(self.asking.con, f"SELECT {literal(self.cio_id)} AS cio_id")
        self.inputs = replace(self.inputs, scope=scope)
        for table, select in moments.statements(self.inputs).items():
            self.asking.con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}")
        return None

    def _source(self) -> WhyNot | None:
        """Return that the person is not among whom the audience takes its people from."""
        con, audience = self.asking.con, self.audience
        there = f"SELECT count(*) FROM {self.inputs.people} WHERE cio_id = ?"
        if not scalar(con, there, [self.cio_id]):
            return self._told(
                "unknown", f"is not in {self.label}: Customer.io had no such person when it was last read"
            )
        if scalar(con, f"SELECT count(*) FROM ({self.inputs.members()})"):
            return None
        if audience.moment is not None:
            return self._told("source", f"is not in {self.label}: {self._last_of_kind(audience)}")
        names = self.asking.rows(
            "SELECT max(name) AS name FROM raw.segments WHERE segment_id = ?", [audience.segment]
        )  # fmt: skip
        named = f"“{names[0]['name']}” ({audience.segment})" if names[0]["name"] else f"{audience.segment}"
        return self._told("source", f"is not in {self.label}: not in Customer.io's segment {named}")

    def _last_of_kind(self, audience: Audience) -> str:
        name = audience.moment.name if audience.moment is not None else ""
        last = self.asking.rows(
            "SELECT max(occurred_at) AS at FROM raw.moments WHERE cio_id = ? AND kind = ?", [self.cio_id, name]
        )[0]["at"]
        if last is None:
            return f"there was no “{name}”"
        return f"no “{name}” that counts; the last one happened {told(last)}"

    def _condition(self) -> WhyNot | None:
        """Return the first part of the gate that does not hold, with what it read."""
        conditions = gate_conditions(self.activation, self.audience)
        if not conditions:
            return None
        asked = ", ".join(f"{one.sql} AS {identifier(f'holds:{n}')}" for n, one in enumerate(conditions))
        rows = self.asking.rows(f"SELECT *, {asked} FROM ({self.inputs.rows(self.inputs.members())})")
        for n, one in enumerate(conditions):
            if any(row[f"holds:{n}"] for row in rows):
                continue
            values = self._read(one, rows[0])
            shown = {
                k: HIDDEN if k in self.asking.private and not self.asking.personal else v for k, v in values.items()
            }
            listed = "; ".join(self._explained(name, value) for name, value in values.items())
            failed = "is not known" if rows[0][f"holds:{n}"] is None else "does not hold"
            sentence = f"is not in {self.label}: `{one.text}` {failed}: {listed}"
            return self._told("condition", sentence, condition=one.text, values=shown)
        return None

    def _read(self, condition: Expression, row: dict[str, Any]) -> dict[str, Any]:
        values = {name: row[name] for name in sorted(condition.columns)}
        return values | {f"times({count})": row[count.column] for count in condition.moments}

    def _explained(self, name: str, value: Any) -> str:
        """Return a value with what it was derived from, if it is a property's."""
        said = self.asking.shown(name, value)
        prop = self.activation.properties.get(name)
        if prop is None:
            return said
        read = derive_property(self.activation, prop, self.inputs.as_of).attributes
        columns = ", ".join(map(identifier, dict.fromkeys(read)))
        rows = self.asking.rows(f"SELECT {columns} FROM {source(prop.lane)} WHERE cio_id = ?", [self.cio_id])
        return f"{said} (from {self.asking.listed(rows[0])})" if rows else said

    def _code(self) -> WhyNot:
        """Return what withholds somebody whom the source has and the gate lets pass."""
        found = self.asking.rows(
            "SELECT code, stage FROM audience.eligibility WHERE cio_id = ? AND audience = ?",
            [self.cio_id, self.audience.name],
        )
        code = found[0]["code"] if found else None
        if code is None and found and found[0]["stage"] == "spent":
            # Who left in this very window has no code in it; the next one gives it.
            ended = then.newest(self.asking, self.cio_id, self.audience.name)
            return self._told("code", f"is kept out of {self.label}, though eligible: {ended}", code=str(Code.SPENT))
        if code is None:
            return self._told(
                "undecided", f"nothing keeps the person out of {self.label}; the next window of its lane decides it"
            )  # fmt: skip
        details = self.asking.rows(
            """SELECT detail FROM audience.decisions WHERE cio_id = ? AND audience = ? AND code = ?
            ORDER BY sequence DESC LIMIT 1""",
            [self.cio_id, self.audience.name, code],
        )
        meaning = withheld(self.asking, code, details[0]["detail"] if details else None)
        return self._told("code", f"is kept out of {self.label}, though eligible: {meaning}", code=code)


def _of_the_day(asking: Asking, audience: str, fingerprint: str | None) -> tuple[Activation, tuple[str, ...]]:
    """Return the activation by which the newest window was decided; today's, where that cannot be read any more."""
    if fingerprint == asking.activation.fingerprint():
        return asking.activation, ()
    try:
        kept = Activation.stored(json.dumps(asking.rules(fingerprint)))
    except ValidationError:
        return asking.activation, ("The activation file has changed since; answered by what it says now.",)
    if audience not in kept.audiences:
        return asking.activation, ("The activation file has this audience since; no window decided it yet.",)
    return kept, ("The activation file has changed since; answered by the rules of that window.",)
