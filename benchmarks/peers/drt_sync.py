"""drt: a model over DuckDB and its REST destination with a batch template.

drt has a connector for HubSpot too: one call a row, at an address that cannot be set.
"""

import os
import sys
from pathlib import Path

folder, config = Path(sys.argv[3]) / "project", Path(sys.argv[3]) / "home"
(folder / "syncs").mkdir(parents=True, exist_ok=True)
(config / ".drt").mkdir(parents=True, exist_ok=True)
(config / ".drt" / "profiles.yml").write_text('push:\n  type: duckdb\n  database: ":memory:"\n')
(folder / "drt_project.yml").write_text("name: push\nversion: '0.1'\nprofile: push\n")
(folder / "syncs" / "contacts.yml").write_text(
    f"""
name: contacts
model: "SELECT * FROM '{sys.argv[1]}'"
destination:
  type: rest_api
  url: "{sys.argv[2]}/crm/v3/objects/contacts/batch/upsert"
  method: POST
  headers:
    Content-Type: application/json
  auth:
    type: bearer
    token_env: HUBSPOT_ACCESS_TOKEN
  body_mode: batch
  max_records_per_request: 100
  batch_template: |
    {{"inputs": [
    {{%- for row in rows %}}
      {{"idProperty": "email", "id": {{{{ row.email | tojson }}}}, "properties": {{
      {{%- set comma = joiner(",") -%}}
      {{%- for name, value in row.items() if name != "email" and value is not none -%}}
        {{{{ comma() }}}}{{{{ name | tojson }}}}: {{{{ value | tojson }}}}
      {{%- endfor %}}
      }}}}{{{{ "," if not loop.last }}}}
    {{%- endfor %}}
    ]}}
sync:
  mode: full
  batch_size: 1000
  on_error: fail
  rate_limit:
    requests_per_second: 1000
"""
)
environment = {**os.environ, "HOME": str(config), "DRT_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"}
os.chdir(folder)
os.execve(Path(sys.executable).with_name("drt"), ["drt", "run"], environment)
