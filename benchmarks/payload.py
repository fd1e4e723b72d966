"""Stage 7: from HubSpot's plan file to request bodies of 100 people; nothing is sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pandas as pd

from benchmarks.cases import Row, Stage
from benchmarks.homes import Site, activation, properties_step
from benchmarks.measure import Sample
from cio_activation.delivery.plan import batches
from cio_activation.destinations.hubspot import writes
from cio_activation.transport.http import VendorClient


class _Built(Exception):
    """Raised where the request would go out."""


class _Recorder(VendorClient):
    """A client that encodes a body as the real one does, keeps it, and goes no further."""

    def __init__(self) -> None:
        self.body = b""

    async def request(self, *_: Any, json: Any = None, **__: Any) -> Any:
        """Encode and stop."""
        self.body = orjson.dumps(json)
        raise _Built


def our_bodies(site: Site) -> Iterator[bytes]:
    """Read the plan as the sender does and build each batch's body."""
    model = activation()
    client = _Recorder()
    for batch in batches(site.home("delivered") / "first.parquet", properties_step(model)):
        # A coroutine that never waits: it runs to the client's request at once, as within the sender's loop.
        try:
            writes.update(client, model.workspace.prefix, batch).send(None)
        except _Built:
            yield client.body


def pandas_bodies(site: Site) -> Iterator[bytes]:
    """Load the plan into a frame, ``to_dict``, and encode with the standard library."""
    prefix = activation().workspace.prefix
    rows = pd.read_parquet(site.home("delivered") / "first.parquet").to_dict("records")
    for start in range(0, len(rows), 100):
        inputs = []
        for row in rows[start : start + 100]:
            values = {f"{prefix}{k}": "" if v is None else str(v) for k, v in json.loads(row["payload"]).items()}
            inputs.append({"id": row["record_id"], "objectWriteTraceId": row["operation_id"], "properties": values})
        yield json.dumps({"inputs": inputs}).encode()


def ours(site: Site, sample: Sample) -> None:
    """Plan file -> operations -> bodies, by the project's reader and HubSpot's writer."""
    _measure(site, sample, our_bodies)


def by_pandas(site: Site, sample: Sample) -> None:
    """Plan file -> frame -> dictionaries -> json."""
    _measure(site, sample, pandas_bodies)


def encode_only(site: Site, sample: Sample) -> None:
    """Encode dictionaries that are ready; only encoding is timed."""
    ready = [orjson.loads(body) for body in our_bodies(site)]
    with sample.timed():
        sample.answer = {"batches": sum(1 for body in ready if orjson.dumps(body))}


def _measure(site: Site, sample: Sample, build: Callable[[Site], Iterator[bytes]]) -> None:
    with sample.timed():
        count = sum(1 for _ in build(site))
    digest = hashlib.sha256()
    for body in build(site):
        digest.update(orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS))
    sample.answer = {"batches": count, "bodies": digest.hexdigest()}


STAGE = Stage(
    7,
    "payload",
    frozenset({"delivered"}),
    {"ours": ours, "pandas": by_pandas, "encode": encode_only},
    (Row("100-person bodies from the plan file", "ours", ("pandas",), "encode", ("bodies",), 7, None),),
    small_only=frozenset({"pandas", "encode"}),
)
