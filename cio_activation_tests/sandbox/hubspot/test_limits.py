"""Admission: tokens, scopes, rate windows, versions; and search, which has its own window and lag."""

from __future__ import annotations

import time

import pytest

from cio_activation.sandbox.hubspot.limits import ALL_SCOPES
from cio_activation_tests.drivers.stand_ins.hubspot import LISTS, OBJECTS, PROPERTIES, SEED, HubSpotStandIn, portal

SEARCH = f"{OBJECTS}/search"


def _filters(*filters: tuple) -> dict:
    rows = [{"propertyName": n, "operator": o, **({"values": v} if o == "IN" else {"value": v})} for n, o, v in filters]
    return {"filterGroups": [{"filters": rows}], "properties": ["email"]}


def _emails(world: HubSpotStandIn, body: dict) -> set[str]:
    return {row["properties"]["email"] for row in world.call("POST", SEARCH, body)["results"]}


def test_without_the_right_token_everything_is_401() -> None:
    with portal() as world:
        for header in ("", "Bearer other", "sandbox-hubspot-token"):
            answer = world.http.get(OBJECTS, headers={"Authorization": header})
            assert answer.status_code == 401
            assert answer.json()["category"] == "INVALID_AUTHENTICATION"
            assert answer.headers["x-hubspot-correlation-id"] == answer.json()["correlationId"]


def test_missing_scopes_are_403_and_named() -> None:
    with portal(scopes={"crm.objects.contacts.read", "crm.lists.write"}) as world:
        world.call("GET", OBJECTS)
        body = world.call("PUT", f"{LISTS}/1/memberships/add", [], 403)
        assert body["category"] == "MISSING_SCOPES"
        assert body["errors"][0]["context"]["requiredGranularScopes"] == ["crm.lists.read"]
        world.call("POST", PROPERTIES, {}, 403)
        world.call("POST", f"{OBJECTS}/batch/update", {"inputs": [{"id": "1"}]}, 403)
        world.call("POST", f"{OBJECTS}/batch/read", {"inputs": []}, 400)
        world.call("GET", "/crm/v3/owners", status=403)
        world.call("GET", "/crm/limits/2026-09/custom-properties")
        world.edit("settings", scopes=["crm.schemas.contacts.read"])
        world.call("GET", "/crm/limits/2026-09/custom-properties", status=403)
        world.call("GET", "/account-info/2026-09/details")
        world.edit("settings", scopes=sorted(ALL_SCOPES))
        world.call("POST", f"{OBJECTS}/batch/update", {"inputs": []}, 400)


def test_the_rolling_window_shows_itself_and_refuses() -> None:
    with portal() as world:
        first = world.http.get(OBJECTS).headers
        assert (first["x-hubspot-ratelimit-max"], first["x-hubspot-ratelimit-remaining"]) == ("190", "189")
        assert first["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
        assert first["x-hubspot-ratelimit-daily"] == "625000"
        assert first["x-hubspot-ratelimit-daily-remaining"] == "624999"
        assert world.edit("other_app_calls", calls=500)["taken"] == 189
        answer = world.http.get(OBJECTS)
        assert answer.status_code == 429
        assert "retry-after" not in answer.headers
        assert answer.json()["policyName"] == "TEN_SECONDLY_ROLLING"
        assert answer.json()["errorType"] == "RATE_LIMIT"
        # Search is outside this window.
        world.call("POST", SEARCH, {})


def test_a_window_can_be_lifted_and_held_again() -> None:
    with portal() as world:
        world.edit("other_app_calls", calls=500)
        assert world.http.get(OBJECTS).status_code == 429
        world.call("POST", "/_sandbox/limits", {"vendor": "hubspot", "on": False})
        world.call("GET", OBJECTS)
        world.call("POST", "/_sandbox/limits", {"vendor": "hubspot", "on": True})
        assert world.http.get(OBJECTS).status_code == 429
        world.call("POST", "/_sandbox/limits", {"vendor": "hubspot"}, 400)


def test_the_day_ends_at_midnight_of_the_portal() -> None:
    with portal(tier="free") as world:
        assert world.http.get(OBJECTS).headers["x-hubspot-ratelimit-max"] == "100"
        world.edit("other_app_calls", calls=250_000, kind="daily")
        answer = world.http.get(OBJECTS)
        assert (answer.status_code, answer.json()["policyName"]) == (429, "DAILY")
        world.call("POST", "/_sandbox/clock", {"advance": 86_400})
        world.call("GET", OBJECTS)


def test_search_has_five_a_second_and_no_rate_headers() -> None:
    with portal() as world:
        answers = [world.http.post(SEARCH, json={}) for _ in range(6)]
        assert [a.status_code for a in answers] == [200] * 5 + [429]
        assert answers[5].json()["policyName"] == "SECONDLY"
        for answer in answers:
            assert not [name for name in answer.headers if name.startswith("x-hubspot-ratelimit")]
            assert answer.headers["x-hubspot-correlation-id"]


def test_search_sees_writes_only_after_a_while() -> None:
    with portal(limited=False, search_lag_s=0.5) as world:
        new = world.call("POST", OBJECTS, {"properties": {"email": "new@example.com", "firstname": "Ann"}}, 201)["id"]
        world.call("PATCH", f"{OBJECTS}/{world.id_of('ann@example.com')}", {"properties": {"firstname": "Anna"}})
        world.edit("delete", email="bob@example.com")
        anns = _filters(("firstname", "EQ", "ann"))
        assert _emails(world, anns) == {"ann@example.com"}
        assert _emails(world, _filters(("email", "EQ", "new@example.com"))) == set()
        assert _emails(world, _filters(("email", "EQ", "bob@example.com"))) == {"bob@example.com"}
        assert world.call("GET", f"{OBJECTS}/{new}")["id"] == new
        time.sleep(0.55)
        assert _emails(world, anns) == {"new@example.com"}
        assert _emails(world, _filters(("email", "EQ", "bob@example.com"))) == set()


def test_filters_work_as_documented() -> None:
    with portal(limited=False) as world:
        every = {"ann@example.com", "bob@example.com", "cara@example.com"}
        cases = [
            (("email", "EQ", "ANN@example.com"), {"ann@example.com"}),
            (("email", "IN", ["ann@example.com", "bob@example.com"]), {"ann@example.com", "bob@example.com"}),
            (("email", "IN", ["ANN@example.com"]), set()),
            (("hs_additional_emails", "IN", ["cc@example.com"]), {"cara@example.com"}),
            (("hs_additional_emails", "EQ", "cc@example.com"), {"cara@example.com"}),
            (("phone", "HAS_PROPERTY", None), {"ann@example.com"}),
            (("phone", "NOT_HAS_PROPERTY", None), every - {"ann@example.com"}),
            (("email", "CONTAINS_TOKEN", "*example*"), every),
            (("lastname", "NEQ", "burns"), every - {"bob@example.com"}),
            (("createdate", "GT", str(int(time.time() * 1000) - 60_000)), every),
            (("createdate", "LT", "2020-01-01"), set()),
        ]
        for one, expected in cases:
            assert _emails(world, _filters(one)) == expected, one
        assert _emails(world, _filters(("email", "EQ", "ann@example.com"), ("lastname", "EQ", "no"))) == set()
        either = {"filterGroups": [_filters(c)["filterGroups"][0] for c in (cases[0][0], cases[3][0])]}
        assert _emails(world, {**either, "properties": ["email"]}) == {"ann@example.com", "cara@example.com"}
        assert _emails(world, {"query": "burns", "properties": ["email"]}) == {"bob@example.com"}


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"after": 9_950, "limit": 100},
        {"query": "x" * 3_001},
        _filters(("no_such", "EQ", "1")),
        _filters(("email", "LIKE", "1")),
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [_filters(*[("email", "EQ", "1")] * 7)["filterGroups"][0]]},
    ],
)
def test_search_has_bounds(searched: HubSpotStandIn, body: dict) -> None:
    searched.call("POST", SEARCH, body, 400)


@pytest.fixture(scope="module")
def searched() -> HubSpotStandIn:
    seed = [*SEED, *({"email": f"s{i}@example.com", "first_name": "S"} for i in range(300))]
    with portal(seed, limited=False) as world:
        yield world


def test_search_pages(searched: HubSpotStandIn) -> None:
    seen, after = [], "0"
    while True:
        page = searched.call("POST", SEARCH, {"limit": 200, "after": after, "sorts": ["-createdate"]})
        seen += [row["id"] for row in page["results"]]
        assert page["total"] == 303
        if "paging" not in page:
            break
        after = page["paging"]["next"]["after"]
    assert len(set(seen)) == 303


def test_versions_and_unknown_paths(searched: HubSpotStandIn) -> None:
    for path in ("/crm/objects/2026-03/contacts", "/crm/v3/objects/contacts", "/crm/objects/2026-09/0-1"):
        assert searched.call("GET", path)["results"]
    for path in ("/crm/objects/2025-09/contacts", "/crm/objects/v3/contacts", "/contacts/v1/lists"):
        assert searched.call("GET", path, status=404)["category"] == "OBJECT_NOT_FOUND"
    details = searched.call("GET", "/account-info/v3/details")
    assert details["portalId"]
    assert details["timeZone"] == "US/Eastern"
    searched.call("GET", "/crm/objects/2026-09/llamas", status=400)


def test_a_long_list_of_properties_does_not_fit_into_the_address(searched: HubSpotStandIn) -> None:
    names = ",".join(f"property_number_{i}" for i in range(1_000))
    assert searched.http.get(f"{OBJECTS}?properties={names}").status_code == 414


def test_a_record_lock_is_a_fault_and_changes_nothing() -> None:
    with portal() as world:
        fault = {"kind": "status", "vendor": "hubspot", "method": "PATCH", "status": 423, "body": {"status": "error"}}
        world.call("POST", "/_sandbox/faults", fault)
        path = f"{OBJECTS}/{world.id_of('ann@example.com')}"
        world.call("PATCH", path, {"properties": {"firstname": "X"}}, 423)
        assert world.call("GET", path)["properties"]["firstname"] == "Ann"
        world.call("PATCH", path, {"properties": {"firstname": "X"}})
