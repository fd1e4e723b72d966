"""HubSpot's own Python client, an independent reader, finds what lies in the sandbox."""

from __future__ import annotations

import pytest

from cio_activation_tests.drivers.stand_ins.hubspot import portal, with_properties

hubspot = pytest.importorskip("hubspot")


def test_the_official_client_reads_contacts_properties_lists_and_tasks() -> None:
    from hubspot.crm.contacts import BatchReadInputSimplePublicObjectId, PublicObjectSearchRequest
    from hubspot.crm.lists import ListCreateRequest, ListSearchRequest, MembershipChangeRequest

    with portal(limited=False) as world:
        with_properties(world)
        sdk = hubspot.HubSpot(access_token="sandbox-hubspot-token", host=world.url)
        assert [c.properties["email"] for c in sdk.crm.contacts.get_all(properties=["email", "cio_id"])] == [
            "ann@example.com",
            "bob@example.com",
            "cara@example.com",
        ]
        ann = world.id_of("ann@example.com")
        wanted = BatchReadInputSimplePublicObjectId(
            inputs=[{"id": "ANN@example.com"}],
            id_property="email",
            properties=["phone"],
            properties_with_history=["firstname"],
        )
        read = sdk.crm.contacts.batch_api.read(wanted)
        assert read.status == "COMPLETE"
        assert read.results[0].id == ann
        assert read.results[0].properties["phone"] == "+13135550100"
        found = sdk.crm.contacts.search_api.do_search(PublicObjectSearchRequest(query="burns", limit=5))
        assert found.total == 1
        names = [p.name for p in sdk.crm.properties.core_api.get_all("contacts").results]
        assert {"email", "cio_id", "cio_bucket"} <= set(names)
        created = ListCreateRequest(name="from the SDK", object_type_id="0-1", processing_type="MANUAL")
        made = sdk.crm.lists.lists_api.create(created).list.list_id
        change = MembershipChangeRequest(record_ids_to_add=[ann], record_ids_to_remove=[])
        changed = sdk.crm.lists.memberships_api.add_and_remove(made, change)
        assert changed.records_ids_added == [ann]
        assert [m.record_id for m in sdk.crm.lists.memberships_api.get_page(made).results] == [ann]
        listed = sdk.crm.lists.lists_api.do_search(ListSearchRequest())
        assert [(one.name, one.additional_properties["hs_list_size"]) for one in listed.lists] == [
            ("from the SDK", "1")
        ]
        assert sdk.crm.lists.lists_api.get_by_id(made).list.processing_type == "MANUAL"
        assert [owner.email for owner in sdk.crm.owners.get_all()] == ["ada@example.com", "grace@example.com"]
