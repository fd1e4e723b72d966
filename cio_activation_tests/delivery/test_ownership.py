"""I5: what a human changed in a ``keep`` field stays; what is not ours is never written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.delivery.ownership import KEPT, conflicts, refuse_foreign
from cio_activation.errors import ContractError
from cio_activation_tests.delivery.keeping import KeepBench
from cio_activation_tests.forms import form


@pytest.fixture
def bench(tmp_path: Path) -> KeepBench:
    """Return a bench that delivered low/low for one person."""
    made = KeepBench(tmp_path)
    made.deliver(a={"tier": "low", "size": "low"})
    return made


def test_a_field_nobody_touched_is_written_as_ever(bench: KeepBench) -> None:
    report = bench.deliver(a={"tier": "high", "size": "high"})
    assert (report.delivered, bench.shown("a"), bench.conflicts()) == (1, ("high", "high"), [])


def test_what_a_human_changed_stays_is_listed_and_the_rest_is_written(bench: KeepBench) -> None:
    bench.human("a", "by hand")
    report = bench.deliver(a={"tier": "high", "size": "high"})
    assert (report.delivered, bench.shown("a")) == (1, ("by hand", "high"))
    assert bench.conflicts() == [("a", "tier", "high", "by hand")]
    with bench.runtime.warehouse.read() as con:
        assert [(c.destination, c.step, c.field, c.people) for c in conflicts(con)] == [
            ("toy", "people_daily", "tier", 1)
        ]
        shadow = con.execute("SELECT p_tier, p_size FROM delivery.shadow_toy_daily").fetchall()
    assert shadow == [("low", "high")]  # it does not pretend that ours was written


def test_an_operation_that_has_nothing_left_is_superseded_and_is_not_asked_about_again(bench: KeepBench) -> None:
    bench.human("a", "by hand")
    report = bench.deliver(a={"tier": "high", "size": "low"})
    assert (report.planned, report.unneeded, dict(report.reasons)) == (1, 1, {KEPT: 1})
    reads, calls = bench.toy.reads, bench.toy.vendor.calls
    again = bench.deliver(a={"tier": "high", "size": "low"})
    assert (again.planned, bench.toy.reads, bench.toy.vendor.calls) == (0, reads, calls)
    assert bench.shown("a") == ("by hand", "low")


def test_another_field_moves_without_asking_about_the_conflict_again(bench: KeepBench) -> None:
    bench.human("a", "by hand")
    bench.deliver(a={"tier": "high", "size": "low"})
    reads = bench.toy.reads
    report = bench.deliver(a={"tier": "high", "size": "high"})
    assert (report.delivered, bench.toy.reads, bench.shown("a")) == (1, reads, ("by hand", "high"))
    assert bench.conflicts() == [("a", "tier", "high", "by hand")]


def test_another_value_of_ours_is_tried_again_and_kept_again(bench: KeepBench) -> None:
    bench.human("a", "by hand")
    bench.deliver(a={"tier": "high", "size": "low"})
    report = bench.deliver(a={"tier": "top", "size": "low"})
    assert (report.unneeded, bench.shown("a")) == (1, ("by hand", "low"))
    assert bench.conflicts() == [("a", "tier", "top", "by hand")]


def test_a_conflict_ends_when_the_human_took_it_back(bench: KeepBench) -> None:
    bench.human("a", "by hand")
    bench.deliver(a={"tier": "high", "size": "low"})
    bench.human("a", "low")
    report = bench.deliver(a={"tier": "top", "size": "low"})
    assert (report.delivered, bench.shown("a"), bench.conflicts()) == (1, ("top", "low"), [])


def test_a_human_who_typed_what_we_want_is_no_conflict(bench: KeepBench) -> None:
    bench.human("a", "high")
    report = bench.deliver(a={"tier": "high", "size": "low"})
    assert (report.delivered, bench.conflicts()) == (1, [])
    assert bench.deliver(a={"tier": "top", "size": "low"}).delivered == 1


def test_an_empty_value_is_a_change_like_any_other(bench: KeepBench) -> None:
    bench.human("a", None)
    bench.deliver(a={"tier": "high", "size": "low"})
    assert bench.shown("a") == (None, "low")
    assert bench.conflicts() == [("a", "tier", "high", None)]


def test_our_own_write_whose_answer_got_lost_is_not_taken_for_a_human(bench: KeepBench) -> None:
    bench.toy.vendor.answers = ["lost"]
    assert bench.deliver(a={"tier": "high", "size": "low"}).held == 1
    assert bench.shown("a") == ("high", "low")  # it did arrive
    report = bench.deliver(a={"tier": "top", "size": "low"})
    assert (report.delivered, bench.shown("a"), bench.conflicts()) == (1, ("top", "low"), [])


def test_who_leaves_is_cleared_but_for_what_a_human_wrote(bench: KeepBench) -> None:
    bench.deliver(a={"tier": "low", "size": "low"}, b={"tier": "low", "size": None})
    bench.human("a", "by hand")
    bench.human("b", "by hand")
    report = bench.deliver()
    assert (report.delivered, report.unneeded) == (1, 1)
    assert (bench.shown("a"), bench.shown("b")) == (("by hand", None), ("by hand", None))
    assert bench.deliver().planned == 0


def test_what_stood_there_before_we_ever_wrote_is_somebody_elses(tmp_path: Path) -> None:
    bench = KeepBench(tmp_path)
    bench.toy.vendor.people["a"] = {"tier": "by hand"}
    bench.deliver(a={"tier": "low", "size": "low"})
    assert bench.shown("a") == ("by hand", "low")
    assert bench.deliver(a={"tier": "low", "size": "low"}).planned == 0


def test_a_payload_with_a_field_that_is_not_ours_is_refused_whole() -> None:
    refuse_foreign(["cio_tier", "cio_size"], "cio_")
    refuse_foreign(["acme_tier", "cio_id", "email"], "acme_", also=("cio_id", "email"))
    with pytest.raises(ContractError, match=r"lifecyclestage, which is not under our prefix cio_"):
        refuse_foreign(["cio_tier", "lifecyclestage"], "cio_")
    with pytest.raises(ContractError, match="cio"):
        refuse_foreign(["cio"], "cio_")


VALUES = st.sampled_from(["low", "high", "top", None])
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("ours"), VALUES, VALUES),
        st.tuples(st.just("human"), st.sampled_from(["by hand", "otherwise", "low", None]), st.none()),
        st.tuples(st.just("lost"), VALUES, VALUES),
        st.tuples(st.just("again"), st.none(), st.none()),
    ),
    min_size=2, max_size=8,
)  # fmt: skip


@settings(max_examples=form(8, 100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(moves=MOVES)
def test_a_humans_own_words_are_never_overwritten_and_all_else_converges(
    moves: list[tuple[str, str | None, str | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = KeepBench(Path(folder))
        wanted: dict[str, str | None] = {"tier": "low", "size": "low"}
        bench.deliver(a=wanted)
        for move, tier, size in moves:
            by_human = bench.shown("a")[0] in ("by hand", "otherwise")
            if move == "human":
                bench.human("a", tier)
                continue
            if move in ("ours", "lost"):
                wanted = {"tier": tier, "size": size}
            bench.toy.vendor.answers = ["lost"] if move == "lost" else []
            before = bench.shown("a")[0]
            bench.deliver(a=wanted)
            assert not by_human or bench.shown("a")[0] == before
        bench.toy.vendor.answers = []
        bench.deliver(a=wanted)
        held = bench.shown("a")
        assert held[1] == wanted["size"]
        calls, reads = bench.toy.vendor.calls, bench.toy.reads
        assert bench.deliver(a=wanted).planned == 0
        assert (bench.toy.vendor.calls, bench.toy.reads, bench.shown("a")) == (calls, reads, held)
