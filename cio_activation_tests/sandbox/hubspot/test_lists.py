"""Lists, memberships and folders."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import LISTS, OBJECTS, HubSpotStandIn, portal


@pytest.fixture
def world() -> Iterator[HubSpotStandIn]:
    with portal(limited=False) as running:
        yield running


def _make(world: HubSpotStandIn, name: str, kind: str = "MANUAL", **more: object) -> str:
    body = {"name": name, "objectTypeId": "0-1", "processingType": kind, **more}
    return world.call("POST", LISTS, body)["list"]["listId"]


def test_names_are_unique_whatever_the_case_and_found_so(world: HubSpotStandIn) -> None:
    made = _make(world, "VIP carts / 2h")
    body = {"name": "vip CARTS / 2h", "objectTypeId": "0-1", "processingType": "MANUAL"}
    error = world.call("POST", LISTS, body, 400)
    assert (error["category"], error["subCategory"]) == ("VALIDATION_ERROR", "ILS.DUPLICATE_LIST_NAMES")
    by_name = f"{LISTS}/object-type-id/0-1/name/"
    assert world.call("GET", by_name + quote("vip carts / 2H", safe=""))["list"]["listId"] == made
    world.call("GET", by_name + "other", status=404)


def test_bad_lists_are_refused(world: HubSpotStandIn) -> None:
    good = {"name": "a", "objectTypeId": "0-1", "processingType": "MANUAL"}
    for bad in ({"name": ""}, {"processingType": "STATIC"}, {"objectTypeId": "0-9"}, {"listFolderId": 77}):
        world.call("POST", LISTS, {**good, **bad}, 400)
    world.call("POST", LISTS, {**good, "processingType": "DYNAMIC"}, 400)


def test_a_deleted_list_is_still_answered_by_id_only_and_can_be_restored(world: HubSpotStandIn) -> None:
    made = _make(world, "gone")
    world.call("DELETE", f"{LISTS}/{made}", status=204)
    assert world.call("GET", f"{LISTS}/{made}")["list"]["deletedAt"]
    world.call("GET", f"{LISTS}/object-type-id/0-1/name/gone", status=404)
    assert world.call("GET", f"{LISTS}?listIds={made}")["lists"] == []
    assert world.call("POST", f"{LISTS}/search", {})["total"] == 0
    world.call("PUT", f"{LISTS}/{made}/memberships/add", [], 404)
    world.call("PUT", f"{LISTS}/{made}/restore", status=204)
    assert "deletedAt" not in world.call("GET", f"{LISTS}/{made}")["list"]


def test_rename_is_a_query_parameter(world: HubSpotStandIn) -> None:
    made, _ = _make(world, "one"), _make(world, "two")
    world.call("PUT", f"{LISTS}/{made}/update-list-name?listName=TWO", status=400)
    body = world.call("PUT", f"{LISTS}/{made}/update-list-name?listName=three")
    assert body["updatedList"]["name"] == "three"


def test_membership_changes_answer_what_happened_and_replays_are_safe(world: HubSpotStandIn) -> None:
    made = _make(world, "members")
    ann, bob, cara = (world.id_of(f"{n}@example.com") for n in ("ann", "bob", "cara"))
    body = world.call("PUT", f"{LISTS}/{made}/memberships/add", [ann, bob, ann, "77", "x"])
    assert body == {"recordsIdsAdded": [ann, bob], "recordIdsRemoved": [], "recordIdsMissing": ["77", "x"]}
    change = {"recordIdsToAdd": [bob, cara], "recordIdsToRemove": [ann]}
    body = world.call("PUT", f"{LISTS}/{made}/memberships/add-and-remove", change)
    assert (body["recordsIdsAdded"], body["recordIdsRemoved"]) == ([cara], [ann])
    body = world.call("PUT", f"{LISTS}/{made}/memberships/add-and-remove", change)
    assert body == {"recordsIdsAdded": [], "recordIdsRemoved": [], "recordIdsMissing": []}
    assert world.call("PUT", f"{LISTS}/{made}/memberships/remove", [bob])["recordIdsRemoved"] == [bob]
    world.call("PUT", f"{LISTS}/{made}/memberships/add", {"recordIds": [ann]}, 400)
    world.call("PUT", f"{LISTS}/{made}/memberships/add-and-remove", {"recordIdsToAdd": [ann]}, 400)
    world.edit("settings", omit_empty_ids=True)
    assert world.call("PUT", f"{LISTS}/{made}/memberships/add", [ann]) == {"recordsIdsAdded": [ann]}


def test_a_dynamic_list_refuses_writes(world: HubSpotStandIn) -> None:
    branch = {"filterBranchType": "OR", "filterBranches": [], "filters": []}
    made = _make(world, "dynamic", "DYNAMIC", filterBranch=branch)
    world.call("PUT", f"{LISTS}/{made}/memberships/add", [world.id_of("ann@example.com")], 400)
    world.edit("set_members", list_id=made, ids=[world.id_of("ann@example.com")])
    assert world.call("GET", f"{LISTS}/{made}/memberships")["total"] == 1


def test_members_are_paged_250_at_most(world: HubSpotStandIn) -> None:
    made = _make(world, "paged")
    inputs = [{"properties": {"email": f"m{i}@example.com"}} for i in range(60)]
    ids = [row["id"] for row in world.batch("create", inputs, 201)["results"]]
    world.call("PUT", f"{LISTS}/{made}/memberships/add", ids)
    world.call("GET", f"{LISTS}/{made}/memberships?limit=251", status=400)
    seen, after = [], ""
    while True:
        page = world.call("GET", f"{LISTS}/{made}/memberships?limit=25{after}")
        seen += [row["recordId"] for row in page["results"]]
        if "paging" not in page:
            break
        after = f"&after={page['paging']['next']['after']}"
    assert seen == sorted(ids, key=int)
    assert world.call("POST", f"{LISTS}/search", {})["lists"][0]["additionalProperties"]["hs_list_size"] == "60"
    joined = world.call("GET", f"{LISTS}/{made}/memberships/join-order?limit=250")["results"]
    assert {row["recordId"] for row in joined} == set(ids)
    world.call("DELETE", f"{LISTS}/{made}/memberships", status=204)
    assert world.call("GET", f"{LISTS}/{made}/memberships")["results"] == []


def test_merged_contacts_pass_their_place_on_and_deleted_ones_leave(world: HubSpotStandIn) -> None:
    made = _make(world, "moving")
    ann, bob, cara = (world.id_of(f"{n}@example.com") for n in ("ann", "bob", "cara"))
    world.call("PUT", f"{LISTS}/{made}/memberships/add", [ann, cara])
    heir = world.edit("merge", id=bob, other_id=ann)["id"]
    world.edit("delete", id=cara)
    assert [r["recordId"] for r in world.call("GET", f"{LISTS}/{made}/memberships")["results"]] == [heir]
    assert world.call("PUT", f"{LISTS}/{made}/memberships/add", [ann])["recordIdsMissing"] == [ann]


def test_a_records_lists_can_be_read_alone_and_in_batches(world: HubSpotStandIn) -> None:
    made, ann = _make(world, "of ann"), world.id_of("ann@example.com")
    world.call("PUT", f"{LISTS}/{made}/memberships/add", [ann])
    assert world.call("GET", f"{LISTS}/records/0-1/{ann}/memberships")["results"][0]["listId"] == made
    inputs = [{"objectTypeId": "0-1", "recordId": i} for i in (ann, "77")]
    body = world.call("POST", f"{LISTS}/records/memberships/batch/read", {"inputs": inputs}, 207)
    assert body["results"][0]["recordId"] == ann
    assert body["results"][0]["recordListMemberships"][0]["listId"] == made
    assert body["errors"][0]["context"]["ids"] == ["77"]


def test_lists_are_enumerated_with_a_cursor_from_2026_09_and_by_offset_before(world: HubSpotStandIn) -> None:
    made = [_make(world, f"list {i}") for i in range(5)]
    first = world.call("POST", f"{LISTS}/all", {"count": 3, "processingTypes": ["MANUAL"], "additionalProperties": []})
    cursor = first["paging"]["next"]["after"]
    rest = world.call("POST", f"{LISTS}/all", {"count": 3, "processingTypes": ["MANUAL"], "after": cursor})
    assert [row["listId"] for row in first["results"] + rest["results"]] == made
    assert "paging" not in rest
    error = world.call("POST", f"{LISTS}/all", {"count": 3, "processingTypes": ["DYNAMIC"], "after": cursor}, 400)
    assert error["subCategory"] == "INVALID_CURSOR"
    world.call("POST", "/crm/lists/2026-03/all", {}, 404)
    page = world.call("POST", "/crm/lists/2026-03/search", {"offset": 3, "count": 2})
    assert ([row["listId"] for row in page["lists"]], page["hasMore"]) == (made[3:], False)
    assert world.call("POST", f"{LISTS}/search", {"query": "LIST 2"})["total"] == 1
    world.call("POST", f"{LISTS}/search", {"count": 501}, 400)


def test_folders_hold_lists(world: HubSpotStandIn) -> None:
    folder = world.call("POST", f"{LISTS}/folders", {"name": "cio"})["folder"]["id"]
    assert isinstance(folder, str)
    inside = _make(world, "inside", listFolderId=int(folder))
    moved = _make(world, "moved")
    world.call("PUT", f"{LISTS}/folders/move-list", {"listId": moved, "newFolderId": folder}, 204)
    world.call("PUT", f"{LISTS}/folders/{folder}/rename?newFolderName=lifecycle")
    root = world.call("GET", f"{LISTS}/folders?folderId=0")["folder"]
    assert (root["id"], root["childNodes"][0]["id"], root["childNodes"][0]["parentFolderId"]) == ("0", folder, "0")
    assert root["childNodes"][0]["name"] == "lifecycle"
    assert root["childNodes"][0]["childLists"] == [int(inside), int(moved)]
    world.call("DELETE", f"{LISTS}/folders/{folder}", status=400)
    world.call("PUT", f"{LISTS}/folders/move-list", {"listId": moved, "newFolderId": "99"}, 404)
    assert {row["name"]: row["folder"] for row in world.state()["lists"]}["inside"] == "lifecycle"


def test_lists_answer_at_v3_with_a_trailing_slash(world: HubSpotStandIn) -> None:
    body = {"name": "v3", "objectTypeId": "0-1", "processingType": "MANUAL"}
    made = world.call("POST", "/crm/v3/lists/", body)["list"]["listId"]
    assert world.call("GET", f"/crm/v3/lists/?listIds={made}&listIds=1")["lists"][0]["name"] == "v3"
    assert world.call("GET", f"{OBJECTS}?limit=1")["results"]
