"""What an audit finds of what people did by hand, and how often a sampled one's interval holds the true share.

    python -m benchmarks.audits                # 1,000 people, 100 seeds: some minutes
    python -m benchmarks.audits --people 300 --seeds 20

A town delivers to both stand-ins. Then, in each CRM, one record in a hundred is deleted, one in a hundred edited and one
in two hundred merged, and a list (in Pipedrive the flag of an audience) is emptied. All of it is to be found, and nothing
else, by what the stand-ins held before and after. Then each seed is an audit of a sample, over a copy of the home: an
audit puts what it finds in doubt, so that a second one over the same home would find other things. The table is that of
``docs/audit.md``.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cio_activation.audit.run import Audit, audit
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.destinations.pipedrive import DESTINATION as PIPEDRIVE
from cio_activation.runtime import Runtime
from cio_activation_tests.audit import by_hand
from cio_activation_tests.audit.by_hand import Finding
from cio_activation_tests.drivers import lanes
from cio_activation_tests.drivers.tables import query
from cio_activation_tests.drivers.town import Town, town

NAMES = {
    HUBSPOT.name: {
        "RET - Asked where is my order [v1]": "asked_where", "RET - Recent refund [v1]": "refunded",
        "RET - Hot cart [v1]": "hot_cart",
    },
    PIPEDRIVE.name: {"RET - Asked where is my order": "asked_where", "RET - Hot cart": "hot_cart"},
}  # fmt: skip
DELETED, EDITED, MERGED = 100, 100, 200
"""One record in so many."""
SAMPLE = 0.3
"""Of those who have a record."""
WANTED = 0.93


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--seeds", type=int, default=100)
    given = parser.parse_args()
    kept = True
    print("| CRM | records | deviate | done by hand | found | not found | not done | interval holds | mean width |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="audits-") as folder,
        town(Path(folder) / "home", people=given.people, warm=False) as here,
    ):
        here.settle()
        before = here.there
        in_hubspot(here)
        in_pipedrive(here)
        after = here.there
        judges = {HUBSPOT.name: by_hand.hubspot, PIPEDRIVE.name: by_hand.pipedrive}
        for destination in (HUBSPOT, PIPEDRIVE):
            name = destination.name
            done = judges[name](before[name], after[name], NAMES[name])
            with copied(here, "all") as run:
                full = audit(run, destination, "all", sample=None)
                found = findings(run, full)
            share, held, width = full.deviating / full.population, 0, 0.0
            for seed in range(given.seeds):
                low, high = sampled(here, destination, seed, round(SAMPLE * full.population))
                held += low <= share <= high
                width += (high - low) / given.seeds
            kept &= found == done and held >= WANTED * given.seeds
            print(
                f"| {name} | {full.population:,} | {share:.2%} | {len(done)} | {len(found & done)} | {len(done - found)} | "
                f"{len(found - done)} | {held} of {given.seeds} | {width:.2%} |",
                flush=True,
            )
    return 0 if kept else 1


def in_hubspot(here: Town) -> None:
    """Delete, edit and merge contacts, and empty the longest list."""
    hubspot = here.there[HUBSPOT.name]
    records = [i for i, c in hubspot["contacts"].items() if c.get("cio_id")]
    longest = max(hubspot["lists"], key=lambda one: len(one["members"]))
    plain = [i for i in records if not any(i in one["members"] for one in hubspot["lists"])]
    deleted, edited, merged = _parts(plain, len(records))
    for record in deleted:
        here.by_hand(HUBSPOT.name, "delete", id=record)
    for record in edited:
        here.by_hand(HUBSPOT.name, "set", id=record, properties={"cio_spent": "1234567"})
    for number, record in enumerate(merged):
        stranger = here.by_hand(HUBSPOT.name, "create", properties={"email": f"by.hand{number}@example.com"})["id"]
        here.by_hand(HUBSPOT.name, "merge", id=stranger, other_id=record)
    here.by_hand(HUBSPOT.name, "set_members", list_id=longest["id"], ids=[])


def in_pipedrive(here: Town) -> None:
    """Delete, edit and merge persons, and take everybody out of one audience's flag."""
    persons = [p for p in here.there[PIPEDRIVE.name]["persons"].values() if p["custom_fields"].get("cio_id")]
    emptied = "RET - Asked where is my order"
    flagged = [p for p in persons if emptied in (p["custom_fields"].get("cio_audiences") or ())]
    plain = [p["id"] for p in persons if p not in flagged] or [p["id"] for p in persons]
    deleted, edited, merged = _parts(plain, len(persons))
    for person in deleted:
        here.by_hand(PIPEDRIVE.name, "delete_person", person=person)
    for person in edited:
        value = next(p for p in persons if p["id"] == person)["custom_fields"].get("cio_lapse_bucket")
        other = "91+" if value != "91+" else "0-30"
        here.by_hand(PIPEDRIVE.name, "set_field", person=person, field="cio_lapse_bucket", value=other)
    for number, person in enumerate(merged):
        stranger = here.by_hand(
            PIPEDRIVE.name, "create_person", name=f"By Hand {number}", emails=[f"person.hand{number}@example.com"]
        )
        here.by_hand(PIPEDRIVE.name, "merge", person=person, into=stranger["id"])
    for one in flagged:
        left = [label for label in one["custom_fields"]["cio_audiences"] if label != emptied]
        here.by_hand(PIPEDRIVE.name, "set_field", person=one["id"], field="cio_audiences", value=left or None)


def _parts(records: list[Any], whole: int) -> Iterator[list[Any]]:
    """Yield who is deleted, edited and merged: one in so many of the ``whole``, one at least."""
    begin = 0
    for one_in in (DELETED, EDITED, MERGED):
        end = begin + max(1, whole // one_in)
        yield records[begin:end]
        begin = end


class copied:  # noqa: N801 - reads as what it does
    """A runtime over a copy of the town's home, for as long as the block lasts."""

    def __init__(self, here: Town, name: str) -> None:
        self._here, self._home = here, here.home.with_name(f"home-{name}")

    def __enter__(self) -> Runtime:
        shutil.copytree(self._here.home, self._home)
        return lanes.build_runtime(self._home, self._here.sandbox.environment(), self._here.activation)

    def __exit__(self, *_error: object) -> None:
        shutil.rmtree(self._home)


def sampled(here: Town, destination: Any, seed: int, sample: int) -> tuple[float, float]:
    """Return the interval of an audit of ``sample`` people, whom a window of the seed's name draws."""
    with copied(here, f"seed-{seed}") as run:
        with run.warehouse.write() as con:
            con.execute("UPDATE delivery.plans SET window_key = ?", [f"seed-{seed}"])
        found = audit(run, destination, "sampled", sample=sample)
    assert found.compared < found.population
    return found.low, found.high


def findings(run: Runtime, made: Audit) -> set[Finding]:
    """Return what an audit found, as the oracle has it."""
    rows = query(
        run,
        f"""SELECT kind, subject, coalesce(name, ''), coalesce(cio_id, '') FROM delivery.audit_findings
        WHERE audit_id = '{made.audit_id}'""",
    )
    return {(str(kind), str(subject), str(name), str(cio_id)) for kind, subject, name, cio_id in rows}


if __name__ == "__main__":
    raise SystemExit(main())
