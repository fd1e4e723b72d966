"""The client can update three attributes of people who are there, and nothing else: least of all bar or delete them."""

from __future__ import annotations

import ast
import asyncio
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cio_activation.destinations import customerio
from cio_activation.destinations.customerio import DESTINATION, track
from cio_activation.transport.http import Unpaced, VendorClient
from cio_activation_tests.drivers import access

PACKAGE = Path(customerio.__file__).parent
FORBIDDEN = ("suppress", "delete", "merge", "/customers", "/entity", "_customers", "unsubscribe", "esp/")
"""What a path or an action of the Track API has that does something else than update."""
OURS = {"cx_outreach_active": True}


def strings() -> Iterator[tuple[str, str]]:
    """Yield every text in the package's code that is no docstring and no SQL: (file, text)."""
    for path in sorted(PACKAGE.glob("*.py")):
        tree = ast.parse(path.read_text())
        told = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                yield path.name, node.value


def test_no_text_of_the_package_names_what_must_never_be_called() -> None:
    found = [(file, text) for file, text in strings() if not text.lstrip().startswith(("DELETE FROM", "FROM"))]
    assert ("track.py", "identify") in found
    assert [(file, text) for file, text in found if any(word in text.lower() for word in FORBIDDEN)] == []


def test_one_module_calls_and_by_two_paths_only() -> None:
    calls = [
        (path.name, ast.unparse(node.args[0]), ast.unparse(node.args[1]))
        for path in sorted(PACKAGE.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "request"
    ]
    assert {(file, method) for file, method, _ in calls} <= {
        ("track.py", "'GET'"),
        ("track.py", "'POST'"),
        ("track.py", "method"),
    }
    assert {path for _, _, path in calls} == {"REGION", "UPDATES", "path"}
    assert (track.REGION, track.UPDATES) == ("/api/v1/accounts/region", "/api/v2/batch")


def test_whatever_makes_a_body_makes_an_update_of_somebody_who_is_there() -> None:
    """Every public function and class of the package that gives something to send."""
    made = set()
    for module in pkgutil.iter_modules([str(PACKAGE)]):
        for _, thing in inspect.getmembers(import_module(f"{customerio.__name__}.{module.name}")):
            if inspect.isclass(thing) and thing.__module__.startswith(customerio.__name__) and hasattr(thing, "body"):
                made.add(thing)
    assert made == {track.Update}
    body = track.Update("c1", OURS, 7).body()
    assert body == {
        "type": "person", "action": "identify", "identifiers": {"cio_id": "c1"}, "timestamp": 7,
        "attributes": {"_update": True, **OURS},
    }  # fmt: skip


def altered(**changes: Any) -> dict[str, Any]:
    item = track.Update("c1", OURS, 7).body()
    return {"batch": [item, {**item, **changes}]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/customers/c1/suppress", None),
        ("DELETE", "/api/v1/customers/c1", None),
        ("PUT", "/api/v1/customers/c1", {"_update": True, **OURS}),
        ("POST", "/api/v1/segments/11/add_customers", {"ids": ["c1"]}),
        ("POST", "/api/v2/entity", track.Update("c1", OURS, 7).body()),
        ("POST", track.UPDATES, {"batch": [{"type": "person", "action": "suppress", "identifiers": {"cio_id": "c1"}}]}),
        *(("POST", track.UPDATES, altered(action=action)) for action in ("suppress", "unsuppress", "delete", "merge")),
        ("POST", track.UPDATES, altered(attributes=OURS)),
        ("POST", track.UPDATES, altered(attributes={"_update": False, **OURS})),
        ("POST", track.UPDATES, altered(attributes={"_update": True, "unsubscribed": True})),
        ("POST", track.UPDATES, altered(attributes={"_update": True, "email": "a@example.com"})),
        ("POST", track.UPDATES, altered(identifiers={"email": "a@example.com"})),
        ("POST", track.UPDATES, altered(type="object")),
        ("POST", track.UPDATES, altered(primary={"id": "c2"})),
        ("POST", track.UPDATES, None),
        ("GET", "/v1/segments", None),
    ],
)  # fmt: skip
def test_the_client_lets_nothing_else_through(tmp_path: Path, method: str, path: str, body: Any) -> None:
    """Nobody answers at the address: what is let through fails otherwise."""
    nowhere = {"customerio_track_url": "http://127.0.0.1:9", "vendor_backoff_s": 0.0}
    credentials = {"customerio_track_site_id": "a-site", "customerio_track_api_key": "a-key"}
    settings = access.settings(tmp_path, credentials, **nowhere)

    async def attempt() -> None:
        async with DESTINATION.connect(settings, Unpaced()) as client:
            assert isinstance(client, VendorClient)
            await client.request(method, path, operation="other", json=body)

    with pytest.raises(ValueError, match="updates our attributes only"):
        asyncio.run(attempt())
