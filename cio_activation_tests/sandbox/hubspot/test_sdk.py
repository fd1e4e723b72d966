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


def test_the_official_client_reads_work_and_its_links() -> None:
    from hubspot.crm.associations.v4 import BatchInputPublicAssociationMultiPost
    from hubspot.crm.objects import SimplePublicObjectInputForCreate

    with portal(limited=False) as world:
        sdk = hubspot.HubSpot(access_token="sandbox-hubspot-token", host=world.url)
        ann = world.id_of("ann@example.com")
        due = {"hs_timestamp": "2026-11-23T09:00:00Z"}
        linked = [{"to": {"id": ann}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]}]
        given = SimplePublicObjectInputForCreate(properties={**due, "hs_note_body": "Why"}, associations=linked)
        note = sdk.crm.objects.basic_api.create("notes", given).id
        task = sdk.crm.objects.basic_api.create("tasks", SimplePublicObjectInputForCreate(properties=due)).id
        types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 204}]
        pairs = BatchInputPublicAssociationMultiPost(inputs=[{"from": {"id": task}, "to": {"id": ann}, "types": types}])
        assert sdk.crm.associations.v4.batch_api.create("tasks", "contacts", pairs).results[0].to_object_id == ann
        for kind, made in (("tasks", task), ("notes", note)):
            read = sdk.crm.objects.basic_api.get_by_id(kind, made, associations=["contacts"])
            assert [row.id for row in read.associations["contacts"].results] == [ann]
        (pipeline,) = sdk.crm.pipelines.pipelines_api.get_all("deals").results
        assert pipeline.stages[0].id == "appointmentscheduled"
        owner = world.edit("add_owner", email="rep@example.com")["id"]
        world.edit("deactivate_owner", id=owner)
        (gone,) = sdk.crm.owners.owners_api.get_page(archived=True).results
        assert (gone.user_id, gone.user_id_including_inactive) == (None, int(owner) - 20_000_000)
