"""The whole sandbox: three vendors over one world and one clock."""

from __future__ import annotations

import httpx

from cio_activation.sandbox.build import build_sandbox
from cio_activation_tests.drivers.stand_ins.customerio import NOON, small_world


def test_three_vendors_share_a_clock_and_both_crms_know_the_seeded_people() -> None:
    world = small_world(60)
    running = build_sandbox(world, crm_share=0.5, pipedrive_share=0.5)
    try:
        assert list(running.urls) == ["customerio", "hubspot", "pipedrive"]
        clocks = [httpx.get(f"{url}/_sandbox/clock").json()["now"] for url in running.urls.values()]
        assert all(NOON <= now < NOON + 60 for now in clocks)
        environment = running.environment()
        bearer = {"Authorization": f"Bearer {environment['HUBSPOT_ACCESS_TOKEN']}"}
        email = world.crm_seed(0.5)[0]["email"].lower()
        contact = httpx.post(
            f"{environment['HUBSPOT_URL']}/crm/v3/objects/contacts/batch/read",
            headers=bearer,
            json={
                "idProperty": "email",
                "inputs": [{"id": email}],
                "properties": ["email"],
                "propertiesWithHistory": [],
            },
        ).json()
        assert [row["properties"]["email"] for row in contact["results"]] == [email]
        persons = httpx.get(
            f"{environment['PIPEDRIVE_URL']}/api/v2/persons",
            headers={"x-api-token": environment["PIPEDRIVE_API_TOKEN"]},
            params={"limit": 500},
        ).json()["data"]
        assert len(persons) == len(world.crm_seed(0.5))
    finally:
        running.stop()


def test_the_vendors_listen_on_the_port_asked_for_and_the_next_two() -> None:
    free = build_sandbox(small_world(5))
    first = int(free.urls["customerio"].rsplit(":", 1)[1])
    free.stop()
    running = build_sandbox(small_world(5), port=first, vendors=("customerio",), now=NOON - 86_400)
    try:
        assert running.urls["customerio"].endswith(f":{first}")
        assert running.shared.clock.now() < NOON - 86_000
    finally:
        running.stop()
