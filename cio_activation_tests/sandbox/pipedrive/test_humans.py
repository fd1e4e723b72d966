"""Humans in an account: users who leave, their activities, deals and mails, and what persons show of it."""

from __future__ import annotations

from typing import Any

import pytest

from cio_activation_tests.drivers.stand_ins.pipedrive import NOON, PipedriveStandIn, rig, start_account

__all__ = ["rig", "start_account"]

CALL: dict[str, Any] = {"subject": "RET - call", "type": "call", "participants": [{"person_id": 1, "primary": True}]}


def _owned(rig: PipedriveStandIn, owner: int) -> int:
    return rig.call("POST", "/activities", json=CALL | {"owner_id": owner}).status_code


@pytest.mark.parametrize("status", [200, 201])
def test_what_is_made_answers_200_or_201(rig: PipedriveStandIn, status: int) -> None:
    rig.edit("settings", created_status=status)
    bodies = {
        "/persons": {"name": "New"},
        "/activities": CALL,
        "/deals": {"title": "x"},
        "/v1/notes": {"content": "x", "person_id": 1},
    }
    assert {rig.call("POST", path, json=body).status_code for path, body in bodies.items()} == {status}


def test_who_does_not_exist_or_has_left_owns_nothing_unless_the_account_takes_it(rig: PipedriveStandIn) -> None:
    made = rig.edit("add_user", name="Rep", email="rep@example.com")["id"]
    assert _owned(rig, made) == 200
    rig.edit("deactivate_user", user=made)
    shown = rig.data("GET", f"/v1/users/{made}")
    assert (shown["active_flag"], shown["email"]) == (False, "rep@example.com")
    assert [a["owner_id"] for a in rig.data("GET", "/activities")] == [made]
    assert (_owned(rig, made), _owned(rig, 99)) == (400, 400)
    rig.edit("settings", inactive_users="taken", unknown_users="taken")
    assert (_owned(rig, made), _owned(rig, 99)) == (200, 200)
    assert rig.data("PUT", f"/v1/users/{made}", json={"active_flag": True})["active_flag"] is True
    rig.refused(404, "PUT", "/v1/users/99", json={"active_flag": True})


def test_a_human_may_say_when_an_activity_was_done(rig: PipedriveStandIn) -> None:
    made = rig.data("POST", "/activities", json=CALL)["id"]
    rig.shared.clock.set(NOON + 7_200)
    rig.edit("complete_activity", activity=made, at=NOON - 86_400)
    done = rig.data("GET", "/activities", params={"done": "true", "updated_since": "2026-11-22T13:00:00Z"})
    assert [(a["id"], a["marked_as_done_time"]) for a in done] == [(made, "2026-11-21T12:00:00Z")]


def test_a_human_moves_activities_and_makes_their_own(rig: PipedriveStandIn) -> None:
    mine = rig.edit("create_activity", person=2, subject="Mine", type="lunch", owner_id=2)["id"]
    rig.edit("set_activity", activity=mine, due_date="2026-12-01", due_time="10:00:00")
    seen = rig.data("GET", f"/activities/{mine}")
    assert (seen["person_id"], seen["due_date"], seen["due_time"]) == (2, "2026-12-01", "10:00:00")
    assert "attendees" not in seen
    assert (seen["creator_user_id"], rig.data("POST", "/activities", json=CALL)["creator_user_id"]) == (2, 1)
    assert rig.data("GET", f"/activities/{mine}", params={"include_fields": "attendees"})["attendees"] == []


def test_pipelines_and_stages_are_read_by_id(rig: PipedriveStandIn) -> None:
    assert rig.data("GET", "/pipelines/2")["name"] == "Retention"
    stage = rig.edit("add_stage", pipeline=2, name="Rescued")["id"]
    assert rig.data("GET", f"/stages/{stage}")["pipeline_id"] == 2
    deal = rig.data("POST", "/deals", json={"title": "x", "stage_id": stage})["id"]
    rig.edit("delete_stage", stage=stage)
    assert rig.data("GET", f"/stages/{stage}")["is_deleted"] is True
    assert stage not in [s["id"] for s in rig.data("GET", "/stages")]
    assert rig.data("GET", f"/deals/{deal}")["stage_id"] == stage
    rig.refused(400, "POST", "/deals", json={"title": "x", "stage_id": stage})
    rig.refused(404, "GET", "/stages/99")
    rig.refused(404, "GET", "/pipelines/99")
    rig.refused(400, "GET", "/pipelines", params={"sort_by": "order_nr"})


def test_an_archived_deal_is_read_only_and_counts_for_nothing(rig: PipedriveStandIn) -> None:
    deal = rig.edit("create_deal", title="x", person_id=1)["id"]
    assert rig.data("GET", f"/deals/{deal}")["origin"] == "ManuallyCreated"
    wanted = {"include_fields": "open_deals_count,closed_deals_count"}
    assert rig.data("GET", "/persons/1", params=wanted)["open_deals_count"] == 1
    rig.edit("set_deal", deal=deal, is_archived=True)
    rig.refused(403, "PATCH", f"/deals/{deal}", json={"stage_id": 2})
    assert rig.data("GET", "/deals") == []
    assert [d["id"] for d in rig.data("GET", "/deals/archived")] == [deal]
    assert rig.data("GET", "/persons/1", params=wanted)["open_deals_count"] == 0
    rig.edit("set_deal", deal=deal, is_archived=False)
    rig.data("PATCH", f"/deals/{deal}", json={"status": "won"})
    assert rig.data("GET", "/persons/1", params=wanted)["closed_deals_count"] == 1
    rig.data("PATCH", f"/deals/{deal}", json={"is_deleted": True})
    assert rig.data("GET", "/deals") == []


def test_persons_show_what_hangs_on_them_when_asked(rig: PipedriveStandIn) -> None:
    first, second = (
        rig.data("POST", "/activities", json=CALL | {"due_date": d})["id"] for d in ("2026-12-02", "2026-12-01")
    )
    done = rig.data("POST", "/activities", json=CALL | {"done": True})["id"]
    before = rig.data("GET", "/persons/1")["update_time"]
    rig.shared.clock.set(NOON + 60)
    rig.edit("log_mail", person=1, direction="incoming")
    names = "undone_activities_count,next_activity_id,last_activity_id,last_incoming_mail_time,last_outgoing_mail_time"
    params = {"ids": "1,2", "include_fields": names + ",email_messages_count"}
    ann, bob = rig.data("GET", "/persons", params=params)
    assert (ann["undone_activities_count"], ann["next_activity_id"], ann["last_activity_id"]) == (2, second, done)
    assert (ann["last_incoming_mail_time"], ann["last_outgoing_mail_time"]) == ("2026-11-22T12:01:00Z", None)
    assert (ann["email_messages_count"], bob["undone_activities_count"], bob["next_activity_id"]) == (1, 0, None)
    assert ann["update_time"] == before
    assert first != second
    rig.refused(400, "GET", "/persons", params={"include_fields": "marketing_status"})


def test_an_organization_is_linked_only_if_it_exists(rig: PipedriveStandIn) -> None:
    org = rig.edit("add_organization", name="Acme")["id"]
    assert rig.data("PATCH", "/persons/1", json={"org_id": org})["org_id"] == org
    assert rig.data("POST", "/activities", json=CALL | {"org_id": org})["org_id"] == org
    assert rig.data("POST", "/deals", json={"title": "x", "org_id": org})["org_id"] == org
    assert rig.data("POST", "/v1/notes", json={"content": "x", "org_id": org})["org_id"] == org
    rig.refused(400, "POST", "/activities", json=CALL | {"org_id": 99})


def test_notes_are_an_affair_of_v1(rig: PipedriveStandIn) -> None:
    rig.refused(404, "POST", "/api/v2/notes", json={"content": "x", "person_id": 1})


def test_a_type_out_of_use_is_listed_and_refused(rig: PipedriveStandIn) -> None:
    made = rig.data("POST", "/activities", json=CALL)["id"]
    rig.edit("deactivate_type", key="call")
    types = {t["key_string"]: t["active_flag"] for t in rig.data("GET", "/v1/activityTypes")}
    assert (types["call"], types["email"]) == (False, True)
    rig.refused(400, "POST", "/activities", json=CALL)
    assert rig.data("GET", f"/activities/{made}")["type"] == "call"
