"""Access, rate limits, budgets and envelopes of the Pipedrive stand-in."""

from __future__ import annotations

import httpx
import pytest

from cio_activation_tests.drivers.stand_ins.pipedrive import TOKEN, PipedriveStandIn, Start, common, rig, start_account

__all__ = ["common", "rig", "start_account"]


@pytest.mark.parametrize(
    ("headers", "params"),
    [
        ({}, {}),
        ({}, {"api_token": TOKEN}),
        ({"x-api-token": "wrong"}, {}),
        ({"authorization": f"Bearer {TOKEN}"}, {}),
    ],
)
def test_only_the_header_lets_one_in(common: PipedriveStandIn, headers: dict[str, str], params: dict[str, str]) -> None:
    for path in ("/api/v2/persons", "/v1/users/me"):
        answer = httpx.get(common.http.base_url.join(path), headers=headers, params=params)
        assert answer.status_code == 401
        assert answer.json()["success"] is False
        assert answer.json()["errorCode"] == 401
        assert answer.headers["x-correlation-id"]
        assert "x-ratelimit-limit" not in answer.headers


def test_me_tells_company_and_rights(rig: PipedriveStandIn) -> None:
    me = rig.data("GET", "/api/v1/users/me")
    assert me["company_domain"] == "sandbox-shop"
    assert all(right["admin"] for right in me["access"])
    users = rig.data("GET", "/v1/users")
    assert [u["active_flag"] for u in users] == [True, True, True, False]
    rig.refused(400, "PATCH", "/persons/1", json={"owner_id": 4})


@pytest.mark.parametrize(("plan", "burst"), [("lite", 20), ("ultimate", 120)])
def test_a_burst_ends_in_429_with_headers(start_account: Start, plan: str, burst: int) -> None:
    rig = start_account(plan=plan, limited=True)
    rig.vendor.limits._burst.seconds = 60
    for number in range(burst):
        answer = rig.call("GET", "/persons/1")
        assert answer.status_code == 200
        assert answer.headers["x-ratelimit-remaining"] == str(burst - 1 - number)
    answer = rig.call("GET", "/persons/1")
    assert answer.status_code == 429
    assert answer.headers["x-ratelimit-limit"] == str(burst)
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert int(answer.headers["x-ratelimit-reset"]) >= 1
    assert rig.shared.log.throttled("pipedrive") == 1
    assert rig.vendor.limits.used_today == burst


def test_the_window_rolls_on(start_account: Start) -> None:
    rig = start_account(plan="lite", limited=True)
    rig.vendor.limits._burst.seconds = 0.3
    codes = [rig.call("GET", "/persons/1").status_code for _ in range(25)]
    assert codes[:20] == [200] * 20
    assert 429 in codes
    rig.vendor.limits._burst.seconds = 0.0
    assert rig.call("GET", "/persons/1").status_code == 200


def test_search_has_a_window_of_its_own(start_account: Start) -> None:
    rig = start_account(plan="ultimate", limited=True)
    rig.vendor.limits._search.seconds = 60
    params = {"term": "ann@example.com"}
    for _ in range(10):
        assert rig.call("GET", "/persons/search", params=params).status_code == 200
    refused = rig.call("GET", "/itemSearch", params=params)
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert rig.call("GET", "/persons/1").status_code == 200


def test_operations_cost_what_the_specs_say_and_midnight_brings_the_tokens_back(start_account: Start) -> None:
    rig = start_account(plan="growth", seats=2, limited=True)
    limits = rig.vendor.limits
    assert limits.daily_tokens == 30_000 * 2 * 2
    rig.shared.clock.set(1_795_391_990)  # 23:59:50
    spent = 0
    for cost, method, path, body in (
        (10, "GET", "/persons", None),
        (1, "GET", "/persons/1", None),
        (5, "POST", "/persons", {"name": "A"}),
        (5, "PATCH", "/persons/1", {"name": "A"}),
        (3, "DELETE", "/persons/2", None),
        (20, "GET", "/persons/search?term=ann", None),
        (10, "GET", "/personFields", None),
        (5, "GET", "/stages", None),
        (2, "GET", "/v1/users/me", None),
        (20, "GET", "/v1/users", None),
        (20, "GET", "/v1/activityTypes", None),
        (10, "POST", "/v1/notes", {"content": "n", "person_id": 1}),
        (40, "PUT", "/v1/persons/3/merge", {"merge_with_id": 1}),
    ):
        answer = rig.call(method, path, json=body)
        assert answer.is_success, answer.text
        spent += cost
        assert limits.used_today == spent, path
    assert answer.headers["x-daily-ratelimit-token-remaining"] == str(120_000 - spent)
    rig.shared.clock.advance(11)
    assert limits.used_today == 0


def test_an_empty_budget_answers_429_until_midnight(start_account: Start) -> None:
    rig = start_account(plan="lite", seats=1, limited=True)
    rig.vendor.edit({"action": "burn_tokens", "tokens": 29_999})
    assert rig.call("GET", "/persons").status_code == 200
    refused = rig.call("GET", "/persons/1")
    assert refused.status_code == 429
    assert refused.headers["x-daily-ratelimit-token-remaining"] == "0"
    assert refused.headers["x-ratelimit-remaining"] != "0"
    rig.shared.clock.advance(12 * 3_600)
    assert rig.call("GET", "/persons/1").status_code == 200


def test_the_daily_headers_may_be_missing(rig: PipedriveStandIn) -> None:
    rig.vendor.limits.daily_headers = False
    answer = rig.call("GET", "/persons/1")
    assert "x-daily-ratelimit-token-limit" not in answer.headers
    assert "x-ratelimit-limit" in answer.headers


def test_hammering_on_is_answered_by_the_firewall(start_account: Start) -> None:
    rig = start_account(plan="lite", limited=True)
    rig.vendor.limits._burst.seconds = 60
    rig.vendor.limits.hammer_after = 3
    codes = [rig.call("GET", "/persons/1").status_code for _ in range(26)]
    assert codes == [200] * 20 + [429] * 4 + [403] * 2
    blocked = rig.call("GET", "/v1/users/me")
    assert blocked.headers["content-type"].startswith("text/html")
    assert b"<html>" in blocked.content


def test_unknown_paths_methods_and_retired_twins(rig: PipedriveStandIn) -> None:
    assert rig.refused(404, "GET", "/contacts")["code"] == "ERR_NOT_FOUND"
    rig.refused(404, "GET", "/v1/contacts")
    rig.refused(405, "PUT", "/persons/1", json={})
    rig.refused(404, "GET", "/api/v3/persons")
    for path in ("/v1/persons", "/api/v1/persons/1", "/v1/deals", "/v1/itemSearch", "/v1/persons/search"):
        gone = rig.refused(410, "GET", path)
        assert gone["data"] is None
        assert gone["additional_data"] is None


def test_v2_and_v1_errors_have_their_own_envelopes(rig: PipedriveStandIn) -> None:
    assert set(rig.refused(404, "GET", "/persons/999")) == {"success", "error", "code"}
    assert rig.refused(400, "GET", "/persons/abc")["code"] == "ERR_SCHEMA_VALIDATION_FAILED"
    v1 = rig.refused(404, "GET", "/v1/notes/999")
    assert {"success", "error", "error_info", "data", "additional_data"} <= set(v1)


def test_answers_have_no_key_that_no_document_has(rig: PipedriveStandIn) -> None:
    assert "is_admin" not in rig.data("GET", "/v1/users/me")
    assert not {"add_time", "update_time"} & set(rig.field("plain", "varchar"))
    note = rig.data("POST", "/v1/notes", json={"content": "a", "person_id": 1, "pinned_to_lead_flag": 0})
    assert "pinned_to_lead_flag" not in note
    stranger = {"x-api-token": "another"}
    for path in ("/persons", "/v1/users/me"):
        assert set(rig.refused(401, "GET", path, headers=stranger)) == {"success", "error", "errorCode"}
    assert "is_deleted" not in rig.data("PUT", "/v1/persons/1/merge", json={"merge_with_id": 2})
