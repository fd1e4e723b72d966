"""Expressions that parse, but cannot run or cannot be waited for, are told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation.activation.life_cycle import Launch
from cio_activation.activation.models import Case, Cases, Flag, Lane, PropertyType
from cio_activation.errors import ConfigError
from cio_activation.state import expressions
from cio_activation.state.expressions import check_expressions
from cio_activation_tests.audience.stage import audience
from cio_activation_tests.drivers.state import activation, default_properties, prop


def test_a_sound_activation_passes() -> None:
    gate = "spent >= 200 AND lapse IN ('31-90', '91-180') AND live_tier = 'big' AND hours_since(clicked_at) < 3"
    check_expressions(activation(audiences=[audience(gate=gate), audience("open", gate=None)]))


def test_every_problem_is_told_with_its_place() -> None:
    cases = Cases(cases=(Case(label="x", when="nobody = 1"),))
    broken = [
        prop("flagged", Flag(when="spent + 1"), PropertyType.FLAG),
        prop("staged", cases, PropertyType.ENUM, labels=("x",)),
    ]
    with pytest.raises(ConfigError) as caught:
        check_expressions(activation(broken, audiences=[audience(gate="spent >")]))
    places = [problem.split(": ")[0] for problem in caught.value.problems]
    assert places == ["properties.flagged", "properties.staged", "audiences.vip.gate"]


@pytest.mark.parametrize(("key", "place"), [("hold_while", "hold_while"), ("launch", "launch.only")])
def test_every_expression_of_an_audience_is_asked_about(key: str, place: str) -> None:
    def touching(text: str) -> Any:
        return {"touch": True, "lane": Lane.DAILY, key: Launch(only=text) if key == "launch" else text}

    check_expressions(activation(audiences=[audience(**touching("orders > 1"))]))
    with pytest.raises(ConfigError) as caught:
        check_expressions(activation(audiences=[audience(**touching("spent >"))]))
    assert caught.value.problems[0].startswith(f"audiences.vip.{place}: ")
    with pytest.raises(ConfigError, match=f"audiences.vip.{place}: live_tier is a realtime property"):
        check_expressions(activation(default_properties(), audiences=[audience(**touching("live_tier = 'big'"))]))


def test_a_daily_audience_cannot_read_realtime_state() -> None:
    calm = audience("calm", lane=Lane.DAILY, gate="live_tier = 'big'")
    with pytest.raises(ConfigError, match="live_tier is a realtime property, which a daily audience cannot read"):
        check_expressions(activation(default_properties(), audiences=[calm]))


def test_what_duckdb_refuses_is_told_without_our_sql(monkeypatch: pytest.MonkeyPatch) -> None:
    real = expressions.rule_expressions

    def broken(act, one):
        return tuple(type(e)(e.text, f"no_such_function({e.sql})", e.columns, e.clocks) for e in real(act, one))

    monkeypatch.setattr(expressions, "rule_expressions", broken)
    with pytest.raises(ConfigError) as caught:
        check_expressions(activation([prop("flagged", Flag(when="orders > 1"), PropertyType.FLAG)]))
    problem = caught.value.problems[0]
    assert problem.startswith("properties.flagged: 'orders > 1' cannot run: ")
    assert "LINE" not in problem
    assert "SELECT" not in problem
