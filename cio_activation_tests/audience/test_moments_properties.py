"""``happened`` and ``times`` against plain Python, over random moments; ``where`` against random bodies."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cio_activation.activation.life_cycle import Launch
from cio_activation.activation.models import Lane
from cio_activation_tests.audience.stage import NOW, Stage, audience
from cio_activation_tests.audience.test_moment_source import by_moment, entries
from cio_activation_tests.forms import form

FOLK = "abcd"
NAMES = ("sent", "Sent", "clicked")
HOURS = st.sampled_from([-1, 0, 1, 5, 6, 7, 23, 24, 25, 47, 48, 49])
moments = st.lists(
    st.tuples(st.sampled_from(FOLK), st.sampled_from(NAMES), HOURS, st.booleans(), st.integers(0, 3)), max_size=14
)
"""Whose, which, how many hours before the first window's end, whether a machine's, and before which window it came."""
asked = st.tuples(st.sampled_from(["happened", "times"]), st.sampled_from(NAMES), st.sampled_from(["6h", "1d", "2d"]))
tests = st.lists(
    st.tuples(asked, st.sampled_from(["=", ">=", "<"]), st.integers(0, 3), st.booleans()), min_size=1, max_size=3
)


def written(test: Any) -> str:
    (function, name, span), sign, number, negated = test
    call = f"{function}('{name}', within {span})"
    told = call if function == "happened" else f"{call} {sign} {number}"
    return f"NOT ({told})" if negated else told


def holds(test: Any, told: list[tuple[str, str, int, bool, int]], who: str, hours: int) -> bool:
    """Return what the test says of ``who``, ``hours`` after the first window's end, of the moments in ``told``."""
    (function, name, span), sign, number, negated = test
    length = int(span[:-1]) * (24 if span.endswith("d") else 1)
    ages = [ago + hours for person, kind, ago, machine, _ in told if (person, kind, machine) == (who, name, False)]
    times = len([age for age in ages if 0 <= age < length])
    if function == "happened":
        found = times > 0
    else:
        found = {"=": times == number, ">=": times >= number, "<": times < number}[sign]
    return found is not negated


@settings(max_examples=form(6, 80), deadline=None)
@given(told=moments, asks=tests, word=st.sampled_from(["AND", "OR"]), lane=st.sampled_from(list(Lane)))
def test_what_a_gate_counts_is_what_happened(told: list[Any], asks: list[Any], word: str, lane: Lane) -> None:
    """As of each window: what had arrived by then, in whatever order, counts by its own time."""
    gate = f" {word} ".join(f"({written(one)})" for one in asks)
    every = all if word == "AND" else any
    with tempfile.TemporaryDirectory() as home:
        stage = Stage(Path(home), audience(gate=gate, lane=lane))
        for turn, hours in enumerate((0, 0, 6, 24)):
            for number, (who, name, ago, machine, comes) in enumerate(told):
                if comes == turn:
                    stage.happened(who, name, NOW - timedelta(hours=ago), event=str(number), machine=machine)
            people = {who: {"spent": 1.0} for who in FOLK} if turn == 0 else None
            stage.at(NOW + timedelta(hours=hours), people, FOLK if turn == 0 else None, lane)
            arrived = [one for one in told if one[4] <= turn]
            inside = {r[0] for r in stage.world.rows("SELECT cio_id FROM audience.memberships WHERE exited_at IS NULL")}
            assert inside == {who for who in FOLK if every(holds(one, arrived, who, hours) for one in asks)}, gate


VALUES = st.sampled_from([None, 0, 5, 7.5, "7.5", "8", "x", "", True, False, "true", [], {"amount": 9}])
bodies = st.dictionaries(st.sampled_from(["amount", "reason", "urgent"]), VALUES, max_size=3)


def number_of(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else None


@settings(max_examples=form(6, 80), deadline=None)
@given(given_bodies=st.lists(bodies, min_size=1, max_size=6))
def test_where_lets_in_whose_body_says_so(given_bodies: list[dict[str, Any]]) -> None:
    """An amount that is no number, and an urgency that is neither true nor false, is missing."""
    where = "amount >= 7.5 AND (reason = 'x' OR urgent)"

    def counts(body: dict[str, Any]) -> bool:
        amount, urgent = number_of(body.get("amount")), body.get("urgent")
        return amount is not None and amount >= 7.5 and (body.get("reason") == "x" or urgent in (True, "true"))

    with tempfile.TemporaryDirectory() as home:
        stage = Stage(Path(home), by_moment(where=where, gate=None, launch=Launch()))
        for number, body in enumerate(given_bodies):
            stage.happened(str(number), "requested_help", NOW, **body)
        stage.at(NOW, {str(number): {} for number in range(len(given_bodies))})
        expected = {str(number) for number, body in enumerate(given_bodies) if counts(body)}
        assert {row[0] for row in entries(stage)} == expected
