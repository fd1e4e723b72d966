"""The sheet's steps: rows of people, marks of audiences, to-dos."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.destinations.sheet.config import NAME

from cio_activation.activation.models import Activation, Audience, Lane
from cio_activation.delivery import fields, links
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.destinations.common.kinds import ADD, MEMBERSHIPS, RECORDS, REMOVE, VALUES
from cio_activation.journal.operations import End, Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

TODO = Kind(name="todo", creates=True)
"""Something for a human to do about one entry."""


class RowsStep(AbsoluteStep):
    """One row a person."""

    kinds = RECORDS
    batch_size, concurrency = 10, 1
    after: tuple[str, ...] = ()
    description = "A row for each person, with their state."

    def __init__(self, activation: Activation, lane: Lane) -> None:
        self.lane: Lane | None = lane
        self.name = f"rows_{lane}"
        self.needs: tuple[str, ...] = (f"state/{lane}_properties", "identity/persons")
        self._names = [p.name for p in activation.lane_properties(lane, NAME)]
        self._state, self._shadow = f"state.{lane}_properties", fields.shadow_name(NAME, str(lane))

    def reads(self, context: Context) -> tuple[str, ...]:
        return self._state, self._shadow, "delivery.links"

    def refresh(self, con: Connection, context: Context) -> None:
        fields.ensure_shadow(con, NAME, str(self.lane), self._names)

    def plan(self, con: Connection, context: Context) -> str:
        values = ", ".join(f"CAST(s.{identifier(n)} AS VARCHAR) AS {identifier(n)}" for n in self._names)
        rows, acked = context.scope.rows, context.scope.rows(self._shadow)
        desired = f"""SELECT s.cio_id, l.record_id, s.hash_{NAME} AS row_hash, {values} FROM {rows(self._state)} AS s
            LEFT JOIN {rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = s.cio_id"""
        written = fields.changes(desired, self._shadow, self._names, kinds=VALUES, keys="'{}'", acked=acked)
        cleared = fields.clears(desired, self._shadow, self._names, kinds=VALUES, acked=acked)
        return f"{written} UNION ALL BY NAME {cleared}"

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        body = {o.cio_id: dict(o.payload) for o in batch}
        answer = await client.request("PUT", "/rows", operation="rows.put", json=body, repeatable=True)
        made = answer.json()["rows"]
        return [Result(o.operation_id, End.DELIVERED, record_id=made[o.cio_id]) for o in batch if o.cio_id in made]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        fields.fold_values(con, self._shadow, self._names, self.kinds, finished)
        links.fold_links(con, NAME, self.kinds, finished)


class MarksStep(AbsoluteStep):
    """Who is in one audience."""

    kinds = MEMBERSHIPS
    batch_size, concurrency = 10, 1

    def __init__(self, audience: Audience) -> None:
        self.lane: Lane | None = audience.lane
        self._audience = audience.name
        self.name, self.description = f"marks/{audience.name}", f"The mark of '{audience.label}'."
        self.after: tuple[str, ...] = (f"rows_{audience.lane}",)
        self.needs: tuple[str, ...] = (f"audience/{audience.name}",)

    def reads(self, context: Context) -> tuple[str, ...]:
        return "audience.memberships", "delivery.links", "delivery.members"

    def plan(self, con: Connection, context: Context) -> str:
        return links.membership_changes(NAME, self._audience, context.scope, enter=ADD, leave=REMOVE)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        body = {str(o.record_id): o.kind.enters for o in batch}
        await client.request("PUT", f"/marks/{self._audience}", operation="marks.put", json=body, repeatable=True)
        return [Result(o.operation_id, End.DELIVERED) for o in batch]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        links.fold_members(con, NAME, self.kinds, finished)


class TodosStep(AbsoluteStep):
    """One to-do for each entry into an audience."""

    kinds: tuple[Kind, ...] = (TODO,)
    batch_size, concurrency = 5, 1

    def __init__(self, audience: Audience, text: str) -> None:
        self.lane: Lane | None = audience.lane
        self._audience, self._text = audience.name, text
        self.name, self.description = f"todos/{audience.name}", f"A to-do for each entry into '{audience.label}'."
        self.after: tuple[str, ...] = (f"rows_{audience.lane}",)
        self.needs: tuple[str, ...] = (f"audience/{audience.name}",)

    def refresh(self, con: Connection, context: Context) -> None:
        con.execute("CREATE TABLE IF NOT EXISTS delivery.sheet_todos (claim VARCHAR, todo_id VARCHAR)")

    def plan(self, con: Connection, context: Context) -> str:
        return f"""
        SELECT {literal(TODO.name)} AS kind, m.cio_id, l.record_id, m.audience AS target,
               CAST(to_json({{text: {literal(self._text)}}}) AS VARCHAR) AS payload, '{{}}' AS keys,
               CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority, 'todo' AS batch_group,
               concat_ws(':', 'todo', m.audience, m.cio_id, epoch(m.entered_at)) AS claim
        FROM audience.memberships AS m
        JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.cio_id = m.cio_id
        WHERE m.audience = {literal(self._audience)} AND m.exited_at IS NULL AND l.record_id IS NOT NULL
          AND concat_ws(':', 'todo', m.audience, m.cio_id, epoch(m.entered_at)) NOT IN (
              SELECT claim FROM delivery.sheet_todos)"""

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        body = [{"marker": o.claim, "row": o.record_id, **o.payload} for o in batch]
        answer = await client.request("POST", "/todos", operation="todos.create", json=body, repeatable=False)
        made = answer.json()["todos"]
        return [_made(o, made) for o in batch if o.claim in made]

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        answer = await client.request("GET", "/todos", operation="todos.list")
        made = answer.json()["todos"]
        return [_made(o, made) if o.claim in made else Result(o.operation_id, End.RETRY, "not made") for o in open]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        con.execute(
            f"""INSERT INTO delivery.sheet_todos
            SELECT json_extract_string(observed, '$.claim'), result_record_id FROM {finished}
            WHERE "end" = 'delivered' AND kind = {literal(TODO.name)}"""
        )


def _made(operation: Operation, made: dict[str, str]) -> Result:
    claim = str(operation.claim)
    return Result(operation.operation_id, End.DELIVERED, record_id=made[claim], observed={"claim": claim})
