"""The sandbox's world: an order history replayed on a clock, with everything else made up around it.

Given the orders, the seed and an instant, the world is always the same; only actions by hand change it. The order
history is the one thing that is not invented here (see :mod:`cio_activation.sandbox.world.orders` for where the default
comes from: its distributor calls it simulated, the earlier R package called it household purchases). Names,
e-mails, phones, carts, opens, clicks, win-back mails and the orders beyond ``ends_at`` are synthesized.

Everything is in an in-memory DuckDB; one instant is worked out set-based, in some hundredths of a second for
the default history; see :mod:`cio_activation.sandbox.world.snapshot_cache` for what is retained when somebody acts.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from cio_activation.sandbox.world import behaviour, dirty_data, people
from cio_activation.sandbox.world.deterministic_random import create_chance
from cio_activation.sandbox.world.directory import Directory
from cio_activation.sandbox.world.facts import FACTS, PROFILE, SQL_TYPES, facts_sql, parse_sql
from cio_activation.sandbox.world.orders import Orders
from cio_activation.sandbox.world.segments import Segment, default_segments
from cio_activation.sandbox.world.snapshot import Snapshot
from cio_activation.sandbox.world.snapshot_cache import SnapshotCache

ORDER_FACTS = (
    "first_order_at",
    "last_order_at",
    "orders_count",
    "total_spent",
    "average_order_value",
    "median_days_between_orders",
    "last_category",
    "top_category",
    "last_product",
)
CART_FACTS = ("cart_value", "cart_stage_raw", "cart_updated_at")
CLICK_FACTS = ("last_clicked_at", "last_opened_at", "winback_clicked_at", "wismo_clicks_30d")
REFUND_FACTS = ("last_refund_at", "refund_count")


class World:
    """Everyone in the workspace, at any instant.

    ``ends_at`` (default: where the orders end) is the instant the sandbox's clock starts at; ``people_limit`` keeps
    that many customers, picked by the seed; ``dirty_share`` of them hold the mistakes of
    :data:`.dirty_data.KINDS`; a history without new customers gets ``newcomer_share`` of them (see
    :func:`cio_activation.sandbox.world.people.add_newcomers`).
    """

    def __init__(
        self,
        orders: Orders,
        *,
        people_limit: int | None = None,
        seed: int = 7,
        ends_at: float | None = None,
        dirty_share: float = 0.03,
        newcomer_share: float = 0.03,
    ) -> None:
        self.ends_at = float(orders.ends_at if ends_at is None else ends_at)
        self.source = orders.source
        self.seed = seed
        self._lock = threading.RLock()
        self._con = duckdb.connect(config={"threads": 2})
        self._con.execute("SET GLOBAL TimeZone = 'UTC'")
        self._made = 0
        self.custom: dict[str, dict[str, str]] = {}
        """Attributes set by hand or through the API, per ``cio_id``; an empty text hides what the world says."""
        self._set_at: dict[tuple[str, str], int] = {}
        self._load(orders, people_limit, dirty_share, newcomer_share)
        upper_half, vip = self._spend_levels()
        self.segments: dict[int, Segment] = default_segments(vip, upper_half)
        self.hand_picked: dict[int, set[str]] = {11: set()}
        self._directory = Directory.read(self._con)
        people = len(self._directory.persons)
        me = weakref.proxy(self)  # a world nobody holds shall go at once, with all its tables
        self._cache = SnapshotCache(
            self._con,
            self._lock,
            lambda at, where: str(me._snapshot_sql(at, where)),
            lambda: dict(me._picked()),
            self.custom,
            people,
        )

    def _load(self, orders: Orders, limit: int | None, dirty_share: float, newcomers: float) -> None:
        con = self._con
        con.register("given", orders.table)
        con.execute(
            """
            CREATE TABLE orders AS
            SELECT customer_id AS person, order_id, ordered_at, value::DOUBLE AS value, category, FALSE AS made_up
            FROM given
            """
        )
        con.unregister("given")
        create_chance(con, self.seed)
        people.add_newcomers(con, int(self.ends_at), newcomers)
        people.create_people(con, limit)
        if dirty_share > 0:
            dirty_data.soil(con, dirty_share)
        behaviour.create_behaviour(con, int(self.ends_at))
        con.execute("CREATE TABLE overrides (person VARCHAR, name VARCHAR, value VARCHAR)")

    def _spend_levels(self) -> tuple[float, float]:
        """Return the lifetime spend at ``ends_at`` that half of all people, and that two in five, reach."""
        row = self._con.execute(
            f"SELECT quantile_cont(total_spent, [0.5, 0.6]) FROM ({facts_sql(int(self.ends_at))})"
        ).fetchall()[0][0]
        return round(row[0], 2), round(row[1], 2)

    def at(self, instant: float) -> Snapshot:
        """Return the snapshot of everyone at ``instant`` (seconds since the epoch, rounded down to a second)."""
        return self._cache.at(int(instant))

    def warm(self, instant: float) -> None:
        """Work a large world out at ``instant``, so that the first to ask need not wait for it."""
        if self._cache.serves_s:
            self.at(instant)

    def _picked(self) -> dict[int, frozenset[str]]:
        return {number: frozenset(members) for number, members in self.hand_picked.items()}

    def _snapshot_sql(self, at: int, where: str) -> str:
        changed = [r[0] for r in self._con.execute("SELECT DISTINCT name FROM overrides ORDER BY 1").fetchall()]
        replaced = ", ".join(
            f"CASE WHEN o.has_{n} THEN {parse_sql(n, f'o.{n}')} ELSE f.{n} END::{SQL_TYPES[FACTS[n]]} AS {n}"
            for n in changed
        )
        pivot = "".join(
            f", max(value) FILTER (name = '{n}') AS {n}, count(*) FILTER (name = '{n}') > 0 AS has_{n}" for n in changed
        )
        rules = ", ".join(
            f"coalesce({s.rule.replace('$at', str(at))}, FALSE) AS in_{s.id}" for s in self.segments.values() if s.rule
        )
        return f"""
        WITH facts AS ({facts_sql(at, where)}),
        given AS (SELECT person{pivot} FROM overrides WHERE {where} GROUP BY person),
        settled AS (
            SELECT f.* {f"REPLACE ({replaced})" if replaced else ""}
            FROM facts AS f
            LEFT JOIN given AS o ON o.person = f.person
        )
        SELECT *, {rules}
        FROM settled
        """

    def crm_seed(self, share: float = people.CRM_SHARE) -> list[dict[str, str]]:
        """Return the people that a CRM knows from before, some of them with an e-mail in other letter case."""
        with self._lock:
            rows = self._con.execute(people.crm_seed_sql(share)).fetchall()
        return [dict(zip(("email", "first_name", "last_name", "phone"), row, strict=True)) for row in rows]

    # Actions. Each takes the person's cio_id and the instant (seconds), and shows at once.

    def place_order(self, cio_id: str, instant: float, value: float, category: str | None = None) -> None:
        """Let a person buy; an open cart empties. A negative ``value`` is a refund."""
        with self._changing(cio_id) as person:
            order_id = f"hand-{self._next()}"
            self._con.execute(
                "INSERT INTO orders VALUES ($1, $2, $3, $4, $5, TRUE)",
                [person, order_id, int(instant), value, category],
            )
            if value < 0:
                self._con.execute("INSERT INTO refunded VALUES ($1, $2)", [person, int(instant)])
            self._forget(cio_id, person, REFUND_FACTS if value < 0 else (*ORDER_FACTS, *CART_FACTS))
            behaviour.rebuild(self._con, person)

    def fill_cart(self, cio_id: str, instant: float, value: float, stage: str = "cart") -> None:
        """Let a person fill a cart worth ``value``, as of ``instant``; ``stage`` is cart or checkout."""
        if stage not in ("cart", "checkout"):
            raise ValueError(f"stage must be cart or checkout, not {stage!r}")
        with self._changing(cio_id) as person:
            self._con.execute(
                "INSERT INTO filled_carts VALUES ($1, $2, $3, $4, NULL)",
                [person, int(instant), 0 if stage == "checkout" else None, value],
            )
            self._forget(cio_id, person, CART_FACTS)
            behaviour.rebuild(self._con, person)

    def clear_cart(self, cio_id: str, instant: float) -> None:
        """Let a person empty the cart."""
        with self._changing(cio_id) as person:
            self._con.execute(
                "UPDATE filled_carts SET cleared_at = $2 WHERE person = $1 AND opened_at <= $2 AND cleared_at IS NULL",
                [person, int(instant)],
            )
            self._forget(cio_id, person, CART_FACTS)
            behaviour.rebuild(self._con, person)

    def click(self, cio_id: str, instant: float, kind: str = "email") -> None:
        """Let a person click: ``email`` (any mail), ``winback`` or ``wismo`` (where is my order)."""
        if kind not in ("email", "winback", "wismo"):
            raise ValueError(f"kind must be email, winback or wismo, not {kind!r}")
        with self._changing(cio_id) as person:
            self._con.execute("INSERT INTO clicks VALUES ($1, $2, $3)", [person, kind, int(instant)])
            if kind == "wismo":
                self._con.execute("INSERT INTO wismo VALUES ($1, $2)", [person, int(instant)])
            self._forget(cio_id, person, CLICK_FACTS)

    def delete_person(self, cio_id: str) -> None:
        """Remove a profile for good."""
        with self._changing(cio_id) as person:
            external_id, email = self._named(person)
            self._directory.remove(cio_id, external_id, email)
            self._con.execute("DELETE FROM people WHERE person = $1", [person])
            self._con.execute("DELETE FROM overrides WHERE person = $1", [person])
            self.custom.pop(cio_id, None)
            for members in self.hand_picked.values():
                members.discard(cio_id)

    def add_person(self, instant: float, *, external_id: str | None, email: str | None) -> str:
        """Add a profile without any history and return its cio_id."""
        with self._lock:
            person = f"made-{self.seed}-{self._next()}"
            cio_id = str(self._con.execute(f"SELECT {people.cio_id_sql('$1')}", [person]).fetchall()[0][0])
            self._con.execute(
                """
                INSERT INTO people BY NAME
                SELECT $1 AS person, $2 AS cio_id, $3 AS external_id, $4 AS email, $5::BIGINT AS created_at,
                    FALSE AS iso, 20.0 AS basket, 0.0 AS carts_per_day, 0::BIGINT AS open_phase
                """,
                [person, cio_id, external_id, email, int(instant)],
            )
            self._directory.add(cio_id, person, int(instant))
            self._directory.name(cio_id, "id", None, external_id)
            self._directory.name(cio_id, "email", None, email)
            self._cache.touch(cio_id, person)
            return cio_id

    def set_attribute(self, cio_id: str, name: str, value: str | None, at: float | None = None) -> bool:
        """Set one attribute (None or "" removes it); False when a change of a later time ``at`` was set before."""
        if name == "cio_id":
            raise ValueError("cio_id cannot be changed")
        with self._lock:
            person = self._person(cio_id)
            if at is not None:
                if self._set_at.get((cio_id, name), 0) > int(at):
                    return False
                self._set_at[cio_id, name] = int(at)
            if name in ("id", "email", *PROFILE):
                column = "external_id" if name == "id" else name
                if name in ("id", "email"):
                    before = dict(zip(("id", "email"), self._named(person), strict=True))[name]
                    self._directory.name(cio_id, name, before, value)
                self._con.execute(f"UPDATE people SET {column} = $2 WHERE person = $1", [person, value or None])
                self._cache.touch(cio_id, person)
                return True
            if name in FACTS:
                self._con.execute("DELETE FROM overrides WHERE person = $1 AND name = $2", [person, name])
                self._con.execute("INSERT INTO overrides VALUES ($1, $2, $3)", [person, name, value or ""])
                self._cache.touch(cio_id, person)
            self.custom.setdefault(cio_id, {})[name] = value or ""
            return True

    def pick(self, segment: int, cio_id: str, *, member: bool = True) -> None:
        """Put a person into a manual segment, or take one out."""
        if segment not in self.hand_picked:
            raise ValueError(f"segment {segment} is not a manual one")
        with self._lock:
            self._person(cio_id)
            (self.hand_picked[segment].add if member else self.hand_picked[segment].discard)(cio_id)
            self._cache.forget_snapshots()

    def add_segment(self, name: str, description: str) -> Segment:
        """Add an empty manual segment."""
        with self._lock:
            segment = Segment(max(self.segments) + 1, name, description, rule=None)
            self.segments[segment.id] = segment
            self.hand_picked[segment.id] = set()
            self._cache.forget_snapshots()
            return segment

    def drop_segment(self, segment: int) -> None:
        """Remove a manual segment."""
        with self._lock:
            del self.segments[segment], self.hand_picked[segment]
            self._cache.forget_snapshots()

    def find(self, kind: str, value: str, instant: float) -> list[str]:
        """Return the cio_ids of those who have the identifier at ``instant``: ``id``, ``email`` or ``cio_id``."""
        with self._lock:
            return self._directory.find(kind, value, int(instant))

    @contextmanager
    def _changing(self, cio_id: str) -> Iterator[str]:
        """Hold the world while one person changes; gives the person's key. KeyError for an unknown one."""
        with self._lock:
            person = self._person(cio_id)
            yield person
            self._cache.touch(cio_id, person)

    def _person(self, cio_id: str) -> str:
        if cio_id not in self._directory.persons:
            raise KeyError(f"no person with cio_id {cio_id}")
        return self._directory.persons[cio_id][0]

    def _named(self, person: str) -> tuple[str | None, str | None]:
        row = self._con.execute("SELECT external_id, email FROM people WHERE person = $1", [person]).fetchall()[0]
        return row[0], row[1]

    def _forget(self, cio_id: str, person: str, names: tuple[str, ...]) -> None:
        """Drop values set by hand that an action has just overtaken."""
        given = self.custom.get(cio_id)
        if given:
            for name in names:
                given.pop(name, None)
        self._con.execute(
            "DELETE FROM overrides WHERE person = $1 AND list_contains($2::VARCHAR[], name)", [person, list(names)]
        )

    def _next(self) -> int:
        self._made += 1
        return self._made
