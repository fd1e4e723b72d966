"""``python -m benchmarks.pacing``: a day's push beside a real-time lane, against the vendors' real limits.

HubSpot takes 190 calls in 10 s and Pipedrive 40 in 2 s (Growth); of both ``--share`` is ours, 80 % by default. 50,000
people change for the daily lane, whose push runs in a process of its own; meanwhile the real-time lane, in another,
writes every moment. At five tokens a person Pipedrive's budget of 20,000 tokens a day ends the push: the rest is held.
All figures are the stand-in's own: its log says when calls arrived and how they were answered. It takes ``--latency``
seconds for each answer. Journal, warehouse and clients are the project's own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.measure import foreign_load
from cio_activation_tests.drivers.pacing import LIMITS, Paced, measure

NEEDED = 0.95
"""Part of the allowed rate that a push has to use."""


def main() -> int:
    """Measure and print the table; 1 if a vendor refused a call, was overrun, or the real-time lane had to wait."""
    parser = argparse.ArgumentParser(prog="benchmarks.pacing", description=__doc__)
    parser.add_argument("--changes", type=int, default=50_000)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--tokens", type=int, default=20_000, help="Pipedrive's budget of a day")
    parser.add_argument("--vendors", default=",".join(LIMITS))
    given = parser.parse_args()
    print(f"Foreign load at the start: {foreign_load():.1f} cores.", flush=True)
    found: dict[str, Paced] = {}
    for vendor in given.vendors.split(","):
        tokens = given.tokens if vendor == "pipedrive" else None
        with tempfile.TemporaryDirectory(prefix="pacing-") as folder:
            found[vendor] = measure(
                vendor, Path(folder), given.changes, share=given.share, latency_s=given.latency, tokens=tokens
            )
    print(f"Foreign load at the end: {foreign_load():.1f} cores.\n")
    print(table(found))
    return 1 if any(problems(vendor, paced) for vendor, paced in found.items()) else 0


def problems(vendor: str, paced: Paced) -> list[str]:
    """Return what must not be, whatever the machine was busy with."""
    limit, seconds = LIMITS[vendor]
    found = []
    if paced.throttled:
        found.append(f"{paced.throttled} answers of 429")
    if paced.most_in_a_window > limit:
        found.append(f"{paced.most_in_a_window} calls in a window of {limit}")
    if paced.slowest_realtime_s > seconds:
        found.append(f"a real-time call came {paced.slowest_realtime_s:.1f} s late")
    if paced.counted != paced.charged:
        found.append(f"{paced.counted:,.0f} counted, {paced.charged:,.0f} charged")
    return found


def table(found: dict[str, Paced]) -> str:
    """Return the figures as Markdown."""
    names = ("vendor", "delivered", "held", "calls", "seconds", "allowed a second", "share of it used", "429",
             "most in a window", "real-time calls", "slowest of them", "used of the day", "")  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---|" + "---:|" * (len(names) - 2) + "---|"]
    for vendor, p in found.items():
        limit, seconds = LIMITS[vendor]
        notes = problems(vendor, p) + ([f"below {NEEDED:.0%}"] if p.share_used < NEEDED else [])
        lines.append(
            f"| {vendor} | {p.delivered:,} | {p.held:,} | {p.calls:,} | {p.seconds:.0f} | {p.allowed:.1f} "
            f"| {p.share_used:.1%} | {p.throttled} | {p.most_in_a_window} of {limit} in {seconds:g} s "
            f"| {p.realtime_calls:,} | {p.slowest_realtime_s:.2f} s | {p.counted:,.0f} | {'; '.join(notes)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
