"""The toy vendor with two fields, of which ``tier`` stays as a human changed it; a bench that plays the human."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Lane, OnConflict
from cio_activation.delivery import fields
from cio_activation.delivery.destination import Context
from cio_activation.delivery.fields import Keep
from cio_activation.delivery.ownership import examine
from cio_activation.delivery.report import StepReport
from cio_activation.destinations.common.kinds import VALUES
from cio_activation.journal.operations import Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.toy import ToyDestination, ToyFields, ToyOptions
from cio_activation_tests.drivers.toy_bench import ToyBench

NAMES = ("tier", "size")


class KeepFields(ToyFields):
    """Reads the people it is about to write a kept field of, then writes what is left."""

    def __init__(self, toy: KeepToy, activation: Activation) -> None:
        super().__init__(Lane.DAILY, NAMES)
        self.toy = toy
        self.keep = Keep("toy", self.name, activation.kept_properties("toy", Lane.DAILY))

    def plan(self, con: Connection, context: Context) -> str:
        shadow = fields.shadow_name("toy", str(self.lane))
        chosen = ", ".join(f"CAST({identifier(n)} AS VARCHAR) AS {identifier(n)}" for n in self.names)
        desired = (
            f"SELECT cio_id, cio_id AS record_id, hash_toy AS row_hash, {chosen} FROM state.{self.lane}_properties"
        )
        changes = fields.changes(desired, shadow, self.names, kinds=VALUES, keys="'{}'", keep=self.keep)
        cleared = fields.clears(desired, shadow, self.names, kinds=VALUES, keep=self.keep)
        return f"{changes} UNION ALL BY NAME {cleared}"

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        asked = [o for o in batch if set(o.payload) & set(self.keep.columns)]
        self.toy.reads += len(asked)
        there = {o.operation_id: dict.fromkeys(NAMES) | self.toy.vendor.people.get(o.cio_id, {}) for o in asked}
        examined = examine(batch, self.keep.columns, there)
        return examined.told(await super().send(client, context, examined.write) if examined.write else [])


class KeepToy(ToyDestination):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0


class KeepBench(ToyBench):
    toy: KeepToy

    def __init__(self, home: Path) -> None:
        kept = replace_property("tier")
        model = builders.activation(kept, builders.tier("size", "toy"), destinations={"toy": ToyOptions()})
        super().__init__(home, model, KeepToy())
        self.day = 0

    @property
    def step(self) -> KeepFields:
        return KeepFields(self.toy, self.runtime.activation)

    def deliver(self, **state: Mapping[str, str | None]) -> StepReport:
        """Deliver ``state`` (person -> field -> value) in the next window."""
        self.decide(state)
        self.day += 1
        return self.run(self.day)

    def human(self, person: str, value: str | None) -> None:
        self.toy.vendor.people[person]["tier"] = value

    def shown(self, person: str) -> tuple[Any, Any]:
        """Return what the vendor holds of a person: tier, size."""
        held = self.toy.vendor.people.get(person, {})
        return held.get("tier"), held.get("size")

    def conflicts(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT cio_id, field, ours, theirs FROM delivery.conflicts ORDER BY ALL")


def replace_property(name: str) -> Any:
    return builders.tier(name, "toy").model_copy(update={"on_conflict": OnConflict.KEEP})


def edited(operation: Operation, **changes: Any) -> Operation:
    return replace(operation, **changes)
