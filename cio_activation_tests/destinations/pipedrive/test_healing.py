"""What goes wrong in between: lost answers, deleted and merged persons, colleagues at work, people who leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.destinations.pipedrive.budget import BudgetPacer, meter
from cio_activation.journal.attempts import Journal
from cio_activation.journal.rates import SharedPacer, Slot
from cio_activation.transport.errors import BudgetSpent, Stop
from cio_activation_tests.drivers.pipedrive import LABELS, Make, PipedriveBench, model

VIP = LABELS["vip"]
STATE: dict[str, Any] = {"bucket": "low", "lapsed": False}


def emails(bench: PipedriveBench) -> list[str]:
    return sorted(e.lower() for p in bench.vendor.state()["persons"].values() for e in p["emails"])


@pytest.fixture
def member(bench: PipedriveBench) -> PipedriveBench:
    """Return an account with Ann linked and in an audience, and Nora created."""
    bench.person("c1", "ann@example.com", name="Ann Lee", **STATE)
    bench.person("c2", "nora@example.com", name="Nora New", **STATE)
    bench.inside["vip"] = {"c1", "c2"}
    return bench


@pytest.mark.parametrize("kind", ["reset", "close", "truncate"])
def test_a_creation_whose_answer_was_lost_is_adopted_and_never_repeated(member: PipedriveBench, kind: str) -> None:
    member.shared.faults.add(kind=kind, vendor="pipedrive", method="POST", path="/api/v2/persons", when="after")
    first = member.lane()
    assert (first.delivered, first.held) == (1, 1)
    second = member.lane()
    assert second.recovered == 1
    assert second.planned == 0
    assert emails(member).count("nora@example.com") == 1
    assert len(member.requests("POST")) == 1
    assert member.fields("nora@example.com")["cio_id"] == "c2"
    assert member.lane().planned == 0


def test_adoption_does_not_need_the_mirror_to_have_run(member: PipedriveBench) -> None:
    member.shared.faults.add(kind="reset", vendor="pipedrive", method="POST", path="/api/v2/persons", when="after")
    member.lane()
    report = member.step("fields_daily")
    assert (report.recovered, report.planned) == (1, 0)
    assert emails(member).count("nora@example.com") == 1
    links = member.query("SELECT matched_by FROM delivery.links WHERE cio_id = 'c2' AND record_id IS NOT NULL")
    assert links == [("created",)]


def test_a_creation_that_never_arrived_is_made_by_the_next_run(member: PipedriveBench) -> None:
    member.shared.faults.add(kind="reset", vendor="pipedrive", method="POST", path="/api/v2/persons", when="before")
    assert member.lane().held == 1
    assert "nora@example.com" not in emails(member)
    report = member.lane()
    assert dict(report.by_kind) == {"create": 1}
    assert emails(member).count("nora@example.com") == 1


def test_both_lanes_creating_the_same_person_make_one(member: PipedriveBench) -> None:
    # The daily lane planned and made the person, but died before it folded: the other lane must not make another.
    member.lane()
    with member.runtime.warehouse.write() as con:
        con.execute("DELETE FROM delivery.links; DELETE FROM delivery.pipedrive_persons")
        con.execute(
            """INSERT INTO delivery.links (destination, cio_id, record_id, stamped)
            VALUES ('pipedrive', 'c2', NULL, false)"""
        )
    report = member.step("fields_realtime")
    assert (report.planned, report.unneeded) == (1, 1)
    assert emails(member).count("nora@example.com") == 1


def test_a_person_that_we_made_and_was_deleted_is_made_again_where_that_is_wanted(member: PipedriveBench) -> None:
    member.use(model(on_deleted="recreate"))
    member.lane()
    for bucket in ("high", "low"):  # a second time, too: each deletion allows one more creation
        old = member.there["nora@example.com"]["id"]
        member.edit("delete_person", person="nora@example.com")
        member.people["c2"]["values"]["bucket"] = bucket
        healed = member.lane()
        assert dict(healed.by_kind) == {"create": 1}
        assert emails(member).count("nora@example.com") == 1
        assert member.there["nora@example.com"]["id"] != old
        assert member.fields("nora@example.com") == {
            "cio_id": "c2",
            "cio_audiences": [VIP],
            "cio_bucket": bucket,
            "cio_lapsed": "false",
        }
        assert member.lane().planned == 0


def test_a_deleted_person_nobody_needs_is_not_made_again(member: PipedriveBench) -> None:
    member.lane()
    member.edit("delete_person", person="ann@example.com")
    member.inside["vip"] = {"c2"}
    member.lane()
    assert member.lane().planned == 0
    assert "ann@example.com" not in emails(member)


def test_a_merged_person_is_followed_to_the_survivor(member: PipedriveBench) -> None:
    member.lane()
    member.edit("merge", person="nora@example.com", into="stranger@example.com")
    member.people["c2"]["values"]["bucket"] = "high"
    assert member.lane().delivered == 1
    assert member.fields("stranger@example.com")["cio_bucket"] == "high"
    assert emails(member).count("nora@example.com") == 1


def test_a_field_renamed_by_a_colleague_is_still_written(member: PipedriveBench) -> None:
    member.lane()
    member.edit("rename_field", field="cio_bucket", name="How long away")
    member.schema()
    member.people["c1"]["values"]["bucket"] = "high"
    assert member.lane().delivered == 1
    assert member.fields("ann@example.com")["How long away"] == "high"


def test_a_deleted_field_is_made_again_and_filled_for_everyone(member: PipedriveBench) -> None:
    member.lane()
    member.edit("delete_field", field="cio_bucket")
    member.schema()
    assert dict(member.lane().by_kind) == {"update": 2}
    assert member.fields("ann@example.com")["cio_bucket"] == "low"
    assert member.lane().planned == 0


def test_a_deleted_audiences_field_is_made_again_and_filled(member: PipedriveBench) -> None:
    member.lane()
    member.edit("delete_field", field="cio_audiences")
    member.schema()
    assert member.lane().delivered == 2
    assert member.fields("nora@example.com")["cio_audiences"] == [VIP]
    assert member.lane().planned == 0


def test_an_unknown_option_is_refused_by_name_and_mended_by_the_next_schema_run(member: PipedriveBench) -> None:
    member.edit("delete_option", field="cio_audiences", option=VIP)
    report = member.lane()
    assert dict(report.reasons) == {"400 ERR_SCHEMA_VALIDATION_FAILED: audiences": 2}
    assert "example.com" not in str(member.query("SELECT reason FROM delivery.ledger"))
    member.schema()
    assert member.lane().delivered == 2
    assert member.fields("ann@example.com")["cio_audiences"] == [VIP]
    assert member.lane().planned == 0


def test_an_option_deleted_in_use_is_added_again_and_given_back(member: PipedriveBench) -> None:
    member.lane()
    member.edit("delete_option", field="cio_audiences", option=VIP)
    assert "cio_audiences" not in member.fields("ann@example.com")
    member.schema()
    assert member.lane().delivered == 2
    assert member.fields("ann@example.com")["cio_audiences"] == [VIP]


def test_a_colleagues_option_that_was_deleted_is_read_back_once_and_left_out(member: PipedriveBench) -> None:
    field = member.vendor.fields.by_code[member.catalog["field:audiences"]]
    field.options.append(type(field.options[0])(78, "Fresh"))
    member.edit("set_field", person="ann@example.com", field="cio_audiences", value=["Fresh"])
    member.lane()
    assert set(member.fields("ann@example.com")["cio_audiences"]) == {"Fresh", VIP}
    member.shared.clock.advance(3_600)  # out of the mirror's overlap, or it would be read again anyway
    member.edit("create_person", name="Later")
    member.lane()
    member.edit("delete_option", field="cio_audiences", option="Fresh")
    member.inside["vip"] = {"c2"}
    assert member.lane().rejected == 1
    assert member.calls["persons.get"] == 1
    assert member.lane().delivered == 1
    assert "cio_audiences" not in member.fields("ann@example.com")


def test_our_option_taken_out_by_hand_comes_back(member: PipedriveBench) -> None:
    member.lane()
    member.edit("set_field", person="ann@example.com", field="cio_audiences", value=None)
    assert dict(member.lane().by_kind) == {"update": 1}
    assert member.fields("ann@example.com")["cio_audiences"] == [VIP]


def test_who_left_customerio_is_emptied_and_may_come_back(member: PipedriveBench) -> None:
    member.lane()
    member.lane(Lane.REALTIME)
    gone = member.people.pop("c2")
    member.inside["vip"] = {"c1"}
    assert dict(member.lane().by_kind) == {"clear": 1}
    assert member.fields("nora@example.com") == {}
    assert member.there["nora@example.com"]["name"] == "Nora New"
    assert member.lane(Lane.REALTIME).planned == 0
    assert member.query("SELECT * FROM delivery.links WHERE cio_id = 'c2'") == []
    member.people["c2"] = gone
    member.inside["vip"] = {"c1", "c2"}
    assert dict(member.lane().by_kind) == {"stamp": 1}
    assert member.fields("nora@example.com")["cio_id"] == "c2"


def test_a_profile_that_replaces_another_takes_its_person_over_without_leftovers(member: PipedriveBench) -> None:
    member.people["c1"]["values"]["category"] = "Tea"
    member.lane()
    member.people.pop("c1")
    member.person("c9", "ann@example.com", bucket="high", lapsed=False)
    member.inside["vip"] = {"c2", "c9"}
    report = member.lane()
    assert dict(report.by_kind) == {"stamp": 1}
    assert emails(member).count("ann@example.com") == 1
    assert member.fields("ann@example.com") == {
        "cio_id": "c9",
        "cio_audiences": [VIP],
        "cio_bucket": "high",
        "cio_lapsed": "false",
    }
    assert member.lane().planned == 0


def test_several_persons_with_one_email_are_reported_and_the_oldest_is_taken(make: Make) -> None:
    bench = make([{"email": e} for e in ("x@example.com", "dup@example.com", "DUP@example.com")])
    bench.schema()
    bench.person("c1", "dup@example.com", **STATE)
    bench.lane()
    assert bench.query("SELECT record_id FROM delivery.links WHERE cio_id = 'c1'") == [("2",)]
    rows = bench.query("SELECT layer, cio_id, reason, row FROM quarantine.rows")
    assert rows == [("payload", "c1", "several Pipedrive persons share this e-mail", '{"persons":["2","3"]}')]
    bench.lane()
    assert len(bench.query("SELECT * FROM quarantine.rows")) == 1


def test_one_pipedrive_person_never_belongs_to_two_profiles(bench: PipedriveBench) -> None:
    bench.edit("set_person", person="ann@example.com", emails=["ann@example.com", "ann.second@example.com"])
    bench.person("c1", "ann@example.com", **STATE)
    bench.person("c2", "ann.second@example.com", **STATE)
    bench.inside["vip"] = {"c1", "c2"}
    assert dict(bench.lane().by_kind) == {"stamp": 1}
    rows = bench.query("SELECT cio_id, record_id, matched_by FROM delivery.links ORDER BY cio_id")
    assert rows == [("c1", "1", "email"), ("c2", None, "email_taken")]


def test_our_id_on_a_person_beats_an_email(bench: PipedriveBench) -> None:
    bench.edit("set_field", person="stranger@example.com", field="cio_id", value="c1")
    bench.person("c1", "ann@example.com", **STATE)
    bench.lane()
    assert bench.query("SELECT record_id, matched_by FROM delivery.links") == [("3", "external_id")]
    assert bench.fields("ann@example.com") == {}


def test_who_may_not_be_delivered_is_neither_matched_by_email_nor_made(bench: PipedriveBench) -> None:
    bench.person("c1", "ann@example.com", deliverable=False, **STATE)
    bench.person("c2", "nora@example.com", deliverable=False, **STATE)
    bench.inside["vip"] = {"c1", "c2"}
    assert bench.lane().planned == 0
    assert bench.query("SELECT * FROM delivery.links") == []


def test_the_firewalls_page_stops_the_run_and_nothing_is_lost(member: PipedriveBench) -> None:
    member.shared.faults.add(kind="html", vendor="pipedrive", method="*", path="/api/v2/persons*", skip=2, times=9)
    report = member.lane()
    assert report.stopped
    assert report.planned == report.held + report.delivered
    member.shared.faults.clear()
    member.lane()
    assert member.fields("ann@example.com")["cio_audiences"] == [VIP]
    assert emails(member).count("nora@example.com") == 1


def test_an_empty_daily_budget_is_noticed_before_the_vendor_refuses(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make([{"email": f"p{n}@example.com"} for n in range(40)], {"limited": True, "plan": "ultimate"})
    clock = bench.shared.clock
    monkeypatch.setattr(Journal, "now", lambda self, con: clock.now())
    bench.schema()
    for number in range(40):
        bench.person(f"p{number}", f"p{number}@example.com", **STATE)
    bench.use(bench.runtime.activation.model_copy(update={"destinations": {"pipedrive": {"requests_per_2s": 100}}}))
    bench.edit("burn_tokens", tokens=bench.vendor.limits.remaining_today - 20 - 30)
    report = bench.lane()
    assert (report.held, report.stopped) == (40, False)
    assert bench.shared.log.throttled("pipedrive") == 0
    clock.advance(86_400)
    assert bench.lane().delivered == 40


def test_a_refusal_about_the_day_stops_every_process(tmp_path: Path) -> None:
    def pacer() -> BudgetPacer:
        journal = Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}")
        return BudgetPacer(SharedPacer(journal, {}, "daily", {"pipedrive": meter(model())}))

    one, other = pacer(), pacer()
    asyncio.run(other.acquire("pipedrive", "default", 1, 5))
    one.observe("pipedrive", "default", 429, {"x-daily-ratelimit-token-remaining": "0", "retry-after": "0"})
    with pytest.raises(BudgetSpent, match="today's budget of tokens is used up"):
        asyncio.run(other.acquire("pipedrive", "default", 1, 5))
    with pytest.raises(Stop, match="daily API tokens are spent"):
        asyncio.run(one.acquire("pipedrive", "default", 1, 5))


def test_bursts_stay_below_our_share_of_the_window(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = make([{"email": f"p{n}@example.com"} for n in range(60)], {"limited": True, "plan": "growth"},
                 requests_per_2s=40)  # fmt: skip
    bench.schema()
    for number in range(60):
        bench.person(f"p{number}", f"p{number}@example.com", **STATE)
    slots: list[float] = []
    journal = Journal(bench.runtime.settings.journal)
    ask = SharedPacer.ask

    def noted(pacer: SharedPacer, vendor: str, bucket: str, *args: Any) -> Slot:
        slot = ask(pacer, vendor, bucket, *args)
        with journal.engine.connect() as con:
            query = "SELECT used_at FROM paces WHERE vendor = ? AND bucket = ? AND lane = '*'"
            slots.extend(con.exec_driver_sql(query, (vendor, bucket)).scalars() if slot.granted else ())
        return slot

    monkeypatch.setattr(SharedPacer, "ask", noted)
    assert bench.lane().delivered == 60
    journal.close()
    # Slots, not arrivals: a machine that stands still for half a second makes calls arrive together.
    assert len(slots) >= 60
    assert max(sum(start <= t < start + 2 for t in slots) for start in slots) <= 32


def test_no_claim_of_a_refused_creation_stays(member: PipedriveBench) -> None:
    member.shared.faults.add(
        kind="status", vendor="pipedrive", method="POST", path="/api/v2/persons", status=400,
        body={"code": "ERR_X"}, times=3,  # whole, with our key and the audiences, with our key alone
    )  # fmt: skip
    assert dict(member.lane().reasons) == {"400 ERR_X": 1}
    journal = Journal(member.runtime.settings.journal)
    with journal.engine.connect() as con:
        assert con.exec_driver_sql("SELECT count(*) FROM claims").scalar() == 0
    journal.close()
    member.day += 2
    assert member.lane().delivered == 1
