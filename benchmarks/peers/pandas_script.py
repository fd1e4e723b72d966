"""A script that keeps nothing: pandas and httpx, everything is sent at every run."""

import os
import sys

import httpx
import pandas as pd

rows = pd.read_parquet(sys.argv[1]).to_dict("records")
headers = {"Authorization": f"Bearer {os.environ['HUBSPOT_ACCESS_TOKEN']}"}
with httpx.Client(base_url=sys.argv[2], headers=headers, timeout=30) as client:
    for start in range(0, len(rows), 100):
        inputs = [
            {
                "idProperty": "email",
                "id": row["email"],
                "properties": {k: v for k, v in row.items() if k != "email" and pd.notna(v)},
            }
            for row in rows[start : start + 100]
        ]
        client.post("/crm/v3/objects/contacts/batch/upsert", json={"inputs": inputs}).raise_for_status()
