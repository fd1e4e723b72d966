"""Activities: what became of writes that the Track API accepted, for everybody and for one person."""

from __future__ import annotations

from typing import Any

from cio_activation_tests.drivers.stand_ins.customerio import DAY, NOON, CustomerioStandIn


def _batch(rig: CustomerioStandIn, *items: dict[str, Any]) -> None:
    answer = rig.track.post("/api/v2/batch", json={"batch": [{"type": "person", **item} for item in items]})
    assert (answer.status_code, answer.json()) == (200, {})


def _identify(key: dict[str, str], attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"action": "identify", "identifiers": key, "attributes": {"_update": True, **attributes}, **more}


def _of(rig: CustomerioStandIn, cio_id: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rig.get(f"/v1/customers/{cio_id}/activities", id_type="cio_id", **params)[
        "activities"
    ]
    return found


def test_a_change_says_from_what_to_what_and_a_late_one_is_skipped(rig: CustomerioStandIn, person: str) -> None:
    _batch(rig, _identify({"cio_id": person}, {"cx_outreach_active": "true"}, timestamp=int(NOON)))
    _batch(rig, _identify({"cio_id": person}, {"cx_outreach_active": "false"}, timestamp=int(NOON) - 60))
    late, change = _of(rig, person)
    assert (late["type"], change["type"]) == ("skipped_update", "attribute_change")
    assert change["data"] == {"cx_outreach_active": {"from": "", "to": "true"}}
    assert change["customer_identifiers"]["cio_id"] == person
    assert change["timestamp"] == NOON
    assert _of(rig, person, name="another") == []
    assert _of(rig, person, type="skipped_update", name="cx_outreach_active") == [late]


def test_an_identifier_of_somebody_else_fails_after_its_200(rig: CustomerioStandIn, person: str) -> None:
    other = rig.edit("add_person", id="taken", email=None)["cio_id"]
    _batch(rig, _identify({"cio_id": person}, {"id": "taken", "plan": "x"}))
    assert [a["type"] for a in _of(rig, person)] == ["attribute_change", "failed_attribute_change"]
    assert _of(rig, person, type="failed_attribute_change")[0]["data"] == {"id": {"from": "", "to": "taken"}}
    assert _of(rig, other) == []


def test_what_fits_nobody_is_noted_by_the_identifiers_that_were_sent(rig: CustomerioStandIn) -> None:
    _batch(
        rig,
        _identify({"email": "nobody@example.com"}, {"plan": "x"}),
        {"action": "event", "identifiers": {"id": "no-one"}, "name": "called"},
    )
    (failed,) = rig.get("/v1/activities", type="failed_batch_update")["activities"]
    assert failed["customer_identifiers"] == {"email": "nobody@example.com", "id": None, "cio_id": ""}
    (failed,) = rig.get("/v1/activities", type="failed_event", name="called")["activities"]
    assert failed["customer_id"] == "no-one"
    single = {"type": "person", **_identify({"id": "no-one"}, {"plan": "x"})}
    assert rig.track.post("/api/v2/entity", json=single).status_code == 200
    assert rig.get("/v1/activities", type="skipped_update", name="plan")["activities"][0]["customer_id"] == "no-one"


def test_deleted_people_show_only_when_asked_for(rig: CustomerioStandIn, person: str) -> None:
    _batch(rig, _identify({"cio_id": person}, {"gone_soon": "1"}))
    _batch(rig, {"action": "delete", "identifiers": {"cio_id": person}})
    assert rig.get("/v1/activities", name="gone_soon")["activities"] == []
    rows = rig.get("/v1/activities", deleted="true", limit=2)["activities"]
    assert [(a["type"], a["customer_identifiers"]["cio_id"]) for a in rows] == [
        ("profile_delete", person),
        ("attribute_change", person),
    ]
    assert "not found" in rig.refused(404, "GET", f"/v1/customers/{person}/activities?id_type=cio_id")


def test_pages_follow_each_other_and_wrong_questions_are_refused(rig: CustomerioStandIn, person: str) -> None:
    for number in range(25):
        _batch(rig, _identify({"cio_id": person}, {"step": str(number)}))
    seen: list[str] = []
    start, pages = "", 0
    while pages == 0 or start:
        page = rig.get("/v1/activities", customer_id=f"cio_{person}", id_type="cio_id", start=start)
        seen += [a["data"]["step"]["to"] for a in page["activities"]]
        start, pages = page["next"], pages + 1
    assert (seen, pages) == ([str(n) for n in reversed(range(25))], 3)
    assert len(_of(rig, person)) == 10
    assert rig.get("/v1/activities", customer_id="nobody")["activities"] == []
    for params in ("limit=101", "limit=0", "type=wonderful", "deleted=1", "start=YWJj", "customer_id=x&id_type=phone"):
        rig.refused(400, "GET", f"/v1/activities?{params}")


def test_activities_are_kept_for_thirty_days(rig: CustomerioStandIn, person: str) -> None:
    _batch(rig, _identify({"cio_id": person}, {"old": "1"}))
    rig.vendor.workspace.frozen_at = NOON + 31 * DAY
    try:
        assert _of(rig, person) == []
    finally:
        rig.vendor.workspace.frozen_at = NOON


def test_the_attribute_that_is_one_too_many_fails_after_its_200_and_a_change_of_another_does_not(
    rig: CustomerioStandIn, person: str
) -> None:
    key = {"cio_id": person}
    for part in range(3):
        _batch(rig, _identify(key, {f"own_{part}_{n}": "x" for n in range(100)}))
    _batch(rig, _identify(key, {"own_0_0": "y", "plan": "x"}))
    assert [a["data"] for a in _of(rig, person, type="failed_attribute_change")] == [{"plan": {"from": "", "to": "x"}}]
    assert rig.world.custom[person]["own_0_0"] == "y"
    _batch(rig, _identify(key, {"own_0_0": ""}))
    _batch(rig, _identify(key, {"plan": "x"}))
    assert rig.world.custom[person]["plan"] == "x"
