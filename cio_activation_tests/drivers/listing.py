"""The toy vendor with one audience kept as a list, and a bench whose members the tests write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.delivery import links
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.destinations.common.kinds import ADD, MEMBERSHIPS, REMOVE
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.decided import write_members
from cio_activation_tests.drivers.toy import ToyDestination, ToyOptions
from cio_activation_tests.drivers.toy_bench import ToyBench

STEP = "list/vip"


class ToyList(AbsoluteStep):
    kinds = MEMBERSHIPS
    name = STEP
    lane: Lane | None = Lane.DAILY
    description = "Members of one list."
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    batch_size = 10
    concurrency = 1

    def objects(self, context: Context) -> tuple[str, ...]:
        return ("list:vip",)

    def plan(self, con: Connection, context: Context) -> str:
        return links.membership_changes("toy", "vip", context.scope, enter=ADD, leave=REMOVE)

    def movements(self, con: Connection, context: Context, planned: str) -> str:
        return links.membership_movements("toy", "vip", planned, enter=ADD, leave=REMOVE)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        body = {o.cio_id: {"vip": "yes" if o.kind.enters else None} for o in batch}
        answer = await client.request("PUT", "/people", operation="people.put", json=body, repeatable=True)
        done = set(answer.json()["done"])
        return [Result(o.operation_id, End.DELIVERED) for o in batch if o.cio_id in done]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        links.fold_members(con, "toy", self.kinds, finished)


class ListToy(ToyDestination):
    catalog: Mapping[str, Any] = {"list:vip": "1"}

    async def ensure_schema(self, client: VendorClient, context: Context) -> Mapping[str, Any]:
        return self.catalog


class ListBench(ToyBench):
    """People who are all linked; ``members`` says who is in, ``run`` delivers it."""

    step = ToyList()

    def __init__(self, home: Path, **guards: Any) -> None:
        super().__init__(home, builders.activation(destinations={"toy": ToyOptions()}, **guards), ListToy())
        self.schema()

    def members(self, numbers: Iterable[int]) -> None:
        """Make exactly these the members, linked if they were not."""
        write_members(self.runtime, {"vip": [f"p{n}" for n in numbers]})
        with self.runtime.warehouse.write() as con:
            con.execute(
                """INSERT INTO delivery.links BY NAME
                SELECT 'toy' AS destination, cio_id, cio_id AS record_id, true AS stamped FROM audience.memberships
                WHERE exited_at IS NULL AND cio_id NOT IN (SELECT cio_id FROM delivery.links)"""
            )

    @property
    def there(self) -> set[int]:
        """Who is on the vendor's list."""
        return {int(k[1:]) for k, v in self.toy.vendor.people.items() if v.get("vip")}

    def plans(self, columns: str) -> list[tuple[Any, ...]]:
        """Return these columns of every plan, oldest first."""
        return self.query(f"SELECT {columns} FROM delivery.plans ORDER BY made_at")

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with self.runtime.warehouse.write() as con:
            return con.execute(query).fetchall()
