"""Each matter: what is in order is quiet, what is not has its sentence, its mend, and since when; never by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from cio_activation.activation.governance import Governance
from cio_activation.activation.life_cycle import Measure
from cio_activation.activation.models import Activation, Lane, PropertyType
from cio_activation.delivery.definitions import Definition, DefinitionKind
from cio_activation.governance.concerns import concerns, replace
from cio_activation.governance.matters import Concern, Matter
from cio_activation.runtime import Runtime
from cio_activation.warehouse import activations
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.decided import write_state
from cio_activation_tests.drivers.state import window

DAY = timedelta(days=1)
AS_OF = datetime(2026, 11, 3, 5)
OWNED = Governance(owner="team:crm")
FILLED = {"ann": {"ltv": 1.0, "vip": True}}


def model(governance: Governance = OWNED, **audience: Any) -> Activation:
    ltv = builders.prop("ltv", PropertyType.NUMBER, deliver=("hubspot",))
    vip = builders.prop("vip", PropertyType.FLAG, deliver=("hubspot",))
    spare = builders.prop("spare", PropertyType.FLAG, deliver=())
    used = builders.audience("winback", gate="spare", measure=Measure(), version=2, **audience)
    made = builders.activation(ltv, vip, spare, audiences=[used], destinations={"hubspot": None})
    return made.model_copy(update={"governance": governance})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return builders.runtime(tmp_path_factory.mktemp("governance"), model())


@pytest.fixture(autouse=True)
def _empty(home: Runtime) -> Iterator[None]:
    write_state(home, Lane.DAILY, FILLED)
    yield
    with home.warehouse.write() as con:
        for table in (
            "audience.counts", "audience.memberships", "feedback.owners", "audience.activations", "outcome.entries",
            "audience.signatures", "state.derivations", "state.value_changes", "outcome.governance", "meta.published",
        ):  # fmt: skip
            con.execute(f"DELETE FROM {table}")


def given(home: Runtime, table: str, **row: Any) -> None:
    with home.warehouse.write() as con:
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        con.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))


def found(home: Runtime, activation: Activation | None = None, as_of: datetime = AS_OF, **there: Any) -> list[Concern]:
    with home.warehouse.read() as con:
        return concerns(con, activation or model(), there, as_of)


def test_what_is_in_order_is_quiet(home: Runtime) -> None:
    there = Definition(kind=DefinitionKind.FIELD, address="cio_ltv", name="Ltv", declared="properties.ltv")
    assert found(home, hubspot=[there]) == []


def test_nobody_answers_for_it_or_somebody_who_is_gone(home: Runtime) -> None:
    [nobody] = found(home, model(Governance()))
    assert (nobody.matter, nobody.about) == (Matter.UNOWNED, "governance.owner")
    given(home, "feedback.owners", destination="hubspot", owner_id="7", email="retention@example.com", active=False)
    gone = [one.about for one in found(home)]
    assert gone == ["properties.ltv", "properties.vip", "properties.spare", "audiences.winback"]
    given(home, "feedback.owners", destination="pipedrive", owner_id="1", email="retention@example.com", active=True)
    assert found(home) == []


def test_an_audience_that_stays_empty(home: Runtime) -> None:
    given(home, "audience.counts", audience="winback", as_of=AS_OF - 40 * DAY, people=0)
    [one] = found(home)
    assert one.sentence == "nobody is in audience winback since 2026-09-24, for more than 28d"
    stay = {"audience": "winback", "cio_id": "ann", "entered_at": AS_OF - 30 * DAY}
    given(home, "audience.memberships", **stay, exited_at=AS_OF - 27 * DAY)
    assert found(home) == []
    [one] = found(home, as_of=AS_OF + DAY)
    assert "since 2026-10-07" in one.sentence
    given(home, "audience.memberships", **stay)
    assert found(home, as_of=AS_OF + DAY) == []


def test_a_property_that_nobody_reads_or_has_a_value_of(home: Runtime) -> None:
    unread = model().model_copy(update={"audiences": {}})
    assert [one.sentence for one in found(home, unread)] == [
        "property spare is delivered nowhere and read by no audience"
    ]
    write_state(home, Lane.DAILY, {"ann": {"ltv": None, "vip": False}})
    assert found(home) == [], "since when is not known"
    began = {"lane": "daily", "window_key": "x", "run_id": "r", "activation": "a"}
    given(home, "state.derivations", derivation=1, as_of=AS_OF - 60 * DAY, begins=["ltv", "vip"], **began)
    given(home, "state.derivations", derivation=2, as_of=AS_OF - 20 * DAY, begins=[], **began)
    given(home, "state.value_changes", derivation=2, cio_id="ann", property="vip", before="true", after="false")
    [one] = found(home)
    assert one.sentence == "nobody has a value of property ltv since 2026-09-04, for more than 28d"


def test_what_nobody_looked_at_for_long(home: Runtime) -> None:
    assert found(home, model(Governance(owner="team:crm", stale_after=DAY))) == [], "no window has used it"
    with home.warehouse.write() as con:
        window = builders.window(1)
        activations.note(con, model(), window)
    assert found(home, as_of=window.as_of + 179 * DAY) == []
    at = window.as_of + 180 * DAY
    stale = found(home, as_of=at)
    assert {one.about for one in stale} == {
        "properties.ltv", "properties.vip", "properties.spare", "audiences.winback"
    }  # fmt: skip
    assert "was never reviewed since it began on 2026-11-02, 180 days before" in stale[0].sentence
    named = [one.about for one in found(home, model(reviewed=at.date()), as_of=at)]
    assert "audiences.winback" not in named
    [again] = [one for one in found(home, model(reviewed=date(2026, 1, 1))) if one.matter is Matter.STALE]
    assert again.sentence == "audiences.winback was last reviewed on 2026-01-01, 306 days before 2026-11-03"
    signed = {"audience": "winback", "signed_at": at - DAY, "signed_by": "carla", "why": "ok", "sample_id": "s"}
    given(home, "audience.signatures", version=1, **signed)
    assert "audiences.winback" in [one.about for one in found(home, as_of=at)], "another version"
    given(home, "audience.signatures", version=2, **signed)
    assert "audiences.winback" not in [one.about for one in found(home, as_of=at)]


def test_what_the_crms_have_and_nothing_declares_or_otherwise(home: Runtime) -> None:
    orphan = Definition(kind=DefinitionKind.LIST, address="77", name="Old carts", mend="delete it")
    differs = Definition(
        kind=DefinitionKind.FIELD, address="cio_ltv", name="Worth", declared="properties.ltv",
        differences=(("it is labelled otherwise", "label it 'Ltv'"),),
    )  # fmt: skip
    assert found(home, hubspot=[orphan, differs]) == [
        Concern(
            Matter.ORPHANED, "hubspot list 77", "hubspot has the list 'Old carts' (77), which nothing declares",
            "delete it",
        ),
        Concern(Matter.DRIFTED, "hubspot field cio_ltv", "it is labelled otherwise", "label it 'Ltv'"),
    ]  # fmt: skip


def test_an_audience_without_effect_is_proposed_to_be_retired_with_the_figure(home: Runtime) -> None:
    for ghost, people, buyers in ((False, 9_000, 450), (True, 1_000, 50)):
        with home.warehouse.write() as con:
            con.execute(
                """INSERT INTO outcome.entries
                    (audience, version, cio_id, ghost, holdout, entered_at, closed_at, orders)
                SELECT 'winback', 2, CAST(i AS VARCHAR), ?, 0.1, ?, ?, CASE WHEN i < ? THEN 1 ELSE 0 END
                FROM range(?) AS r(i)""",
                [ghost, AS_OF - 56 * DAY, AS_OF - 20 * DAY, buyers, people],
            )
    [one] = found(home)
    assert (one.matter, one.about) == (Matter.NO_EFFECT, "audiences.winback")
    assert "no effect seen: would have seen 2.9 points or more" in one.sentence
    assert "450 of 9,000 bought, and 50 of 1,000 who were held out" in one.sentence
    assert "cio-activation pause winback --why" in one.mend
    assert found(home, as_of=AS_OF - DAY) == []


def test_the_table_holds_what_is_found_and_since_when(home: Runtime) -> None:
    first = Concern(Matter.STALE, "properties.ltv", "old", "look")
    for at, listed in ((AS_OF, [first]), (AS_OF + DAY, [first, Concern(Matter.UNUSED, "properties.vip", "no", "go")])):
        with home.warehouse.write() as con:
            replace(con, listed, window(at))
    with home.warehouse.read() as con:
        rows = con.execute("SELECT about, since, as_of FROM outcome.governance ORDER BY about").fetchall()
    assert rows == [("properties.ltv", AS_OF, AS_OF + DAY), ("properties.vip", AS_OF + DAY, AS_OF + DAY)]


def test_a_window_that_is_run_again_later_takes_nothing_from_what_a_newer_one_found(home: Runtime) -> None:
    newer = Concern(Matter.UNUSED, "properties.vip", "no", "go")
    for at, listed in ((AS_OF + DAY, [newer]), (AS_OF, [])):
        with home.warehouse.write() as con:
            replace(con, listed, window(at))
    with home.warehouse.read() as con:
        assert con.execute("SELECT about, as_of FROM outcome.governance").fetchall() == [
            ("properties.vip", AS_OF + DAY)
        ]
