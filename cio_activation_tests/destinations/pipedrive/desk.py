"""A Pipedrive company in which people are asked to act, and what became of that, by person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Audience, Lane
from cio_activation.destinations.pipedrive.config import ActivityOptions, PipedriveAudience
from cio_activation_tests.drivers import builders, decided
from cio_activation_tests.drivers.pipedrive import PipedriveBench, model
from cio_activation_tests.drivers.stand_ins.pipedrive import begin
from cio_activation_tests.drivers.warm import warm_warehouses

_ACTIONS = ("/api/v2/activities", "/v1/notes", "/api/v2/deals")
DUE = "2026-11-03 15:30:00"
SINCE = '{"since": "2026-10-31 08:00:00"}'


def asking(name: str, lane: Lane = Lane.DAILY, **options: Any) -> Audience:
    """Return an audience that asks for an activity."""
    asked = {"subject": "Call {name} about <b>bold</b> offers", "body": "Ask what went wrong & listen."} | options
    deliver = {"pipedrive": PipedriveAudience(activity=ActivityOptions(**asked))}
    return builders.audience(name, lane, label=f"RET - {name.title()}", deliver=deliver)


def spent(amount: float) -> str:
    """Return evidence that reads so much spent."""
    return f'{{"since": "2026-10-31 08:00:00", "inputs": {{"spent": {amount}}}}}'


class Desk:
    """People ``c1`` to ``c<n>``, each with a person there; ``audiences`` ask for activities."""

    def __init__(self, home: Path, people: int, *audiences: Audience) -> None:
        seed = [{"email": f"c{n}@example.com", "first_name": f"C{n}", "last_name": None} for n in range(1, people + 1)]
        stand_in = begin(seed)
        self.bench = PipedriveBench(home, stand_in, model({a.name: a for a in audiences}, ("spent",)))
        self.bench.runtime = self.bench.runtime_with(vendor_backoff_s=0.01, vendor_settle_s=0.0)
        self.bench.inside = {}
        self.bench.schema()
        for n in range(1, people + 1):
            self.bench.person(f"c{n}", f"c{n}@example.com")
        self.bench.decide()
        self.entry_ids: dict[str, str] = {}

    def enter(self, audience: str, *people: str, **values: Any) -> None:
        """Let people enter, or have new ``evidence``; asked is user 2 unless ``values`` say otherwise."""
        place = values.pop("destination", "pipedrive")
        given = {"owner_id": "2", "due_at": DUE, "evidence": SINCE} | values
        self._write(audience, dict.fromkeys(people, given), {}, place)

    def leave(self, audience: str, **reasons: str) -> None:
        """Let people leave: person = reason."""
        self._write(audience, {}, reasons)

    def _write(
        self,
        audience: str,
        people: Mapping[str, Mapping[str, Any]],
        exited: Mapping[str, str],
        place: str = "pipedrive",
    ) -> None:
        run = self.bench.runtime
        self.entry_ids |= decided.entries(run, audience, people, exited=exited, destination=place)

    def of(self, cio_id: str) -> list[dict[str, Any]]:
        """Return the activities that are there and are about a person's newest or earlier entries, oldest first."""
        about = dict(self.bench.query("SELECT record_id, cio_id FROM delivery.actions"))
        named = f"[activity:{self.entry_ids[cio_id]}:"
        everything: Sequence[dict[str, Any]] = self.bench.stand_in.state()["activities"]
        return [a for a in everything if about.get(str(a["id"])) == cio_id or named in (a["note"] or "")]

    def one(self, cio_id: str) -> dict[str, Any]:
        """Return a person's only activity."""
        (found,) = self.of(cio_id)
        return found

    def edit_of(self, cio_id: str, how: str = "set_activity", **values: Any) -> None:
        """Do something by hand with a person's only activity."""
        self.bench.edit(how, activity=self.one(cio_id)["id"], **values)

    def known(self, cio_id: str, column: str = "status") -> list[Any]:
        """Return what ``delivery.actions`` says of a person's actions, oldest first."""
        rows = self.bench.query(f"SELECT {column} FROM delivery.actions WHERE cio_id = '{cio_id}' ORDER BY opened_at")
        return [value for (value,) in rows]

    def run(self, lane: Lane = Lane.DAILY) -> list[str]:
        """Run a lane; return the calls that wrote actions, without those that were refused."""
        since = self.bench.mark()
        self.bench.lane(lane)
        written = [e for e in self.bench.entries(since) if e.method != "GET" and (e.status or 0) < 400]
        return [f"{e.method} {e.path}" for e in written if e.path.startswith(_ACTIONS)]


@contextmanager
def desk(home: Path, people: int, *audiences: Audience) -> Iterator[Desk]:
    """Open a desk, with warehouses that stay attached."""
    with warm_warehouses():
        made = Desk(home, people, *audiences)
        try:
            yield made
        finally:
            made.bench.stop()
