"""The same script with polars."""

import os
import sys

import httpx
import polars as pl

headers = {"Authorization": f"Bearer {os.environ['HUBSPOT_ACCESS_TOKEN']}"}
with httpx.Client(base_url=sys.argv[2], headers=headers, timeout=30) as client:
    for part in pl.read_parquet(sys.argv[1]).iter_slices(100):
        inputs = [
            {
                "idProperty": "email",
                "id": row["email"],
                "properties": {k: v for k, v in row.items() if k != "email" and v is not None},
            }
            for row in part.to_dicts()
        ]
        client.post("/crm/v3/objects/contacts/batch/upsert", json={"inputs": inputs}).raise_for_status()
