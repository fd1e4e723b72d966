"""dlt: a resource over the file, and a destination function that gets 100 rows at a time."""

import os
import sys

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import httpx
import pyarrow.parquet as pq

headers = {"Authorization": f"Bearer {os.environ['HUBSPOT_ACCESS_TOKEN']}"}
client = httpx.Client(base_url=sys.argv[2], headers=headers, timeout=30)


@dlt.resource(name="contacts", write_disposition="append", max_table_nesting=0)
def contacts():
    """Yield the file's rows, a group at a time."""
    for batch in pq.ParquetFile(sys.argv[1]).iter_batches(10_000):
        yield batch.to_pylist()


@dlt.destination(batch_size=100, name="hubspot", naming_convention="direct")
def hubspot(items, table):  # noqa: ARG001 - dlt gives both
    """Send one batch."""
    inputs = [
        {
            "idProperty": "email",
            "id": row["email"],
            "properties": {k: v for k, v in row.items() if k != "email" and v is not None and not k.startswith("_dlt")},
        }
        for row in items
    ]
    client.post("/crm/v3/objects/contacts/batch/upsert", json={"inputs": inputs}).raise_for_status()


pipeline = dlt.pipeline("push", destination=hubspot, pipelines_dir=sys.argv[3])
info = pipeline.run(contacts())
info.raise_on_failed_jobs()
