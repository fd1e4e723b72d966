"""``python -m benchmarks.push [--people N] [--peers]``: what a push to HubSpot costs, and what is left after a kill.

Four rounds against HubSpot's stand-in, a process of its own without rate limits: first contact, everybody with one value
changed, nothing changed, and a first contact that is killed with SIGKILL after half of its calls and begun again. CPU, wall
time and memory are those of whole processes, imports included, by the kernel's account. What others push are the values that
ours did, upserted by e-mail (``benchmarks.peers``, which ``--peers`` installs into a folder of their own).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx

from benchmarks import homes
from benchmarks.homes import Site
from benchmarks.measure import foreign_load
from benchmarks.push_processes import TOKEN

HERE = Path(__file__).parent
PEERS = {name: HERE / "peers" / f"{name}.py" for name in ("pandas_script", "polars_script", "dlt_pipeline", "drt_sync")}
ROUNDS = ("first contact", "all changed", "nothing changed", "killed, again")
CONTACTS = re.compile(r"/objects/(.*/)?(contacts|0-1)/")


@dataclass(frozen=True)
class Spent:
    """One round of one way. Seconds of CPU and wall, MiB; ``calls`` that write or read contacts."""

    cpu: float
    wall: float
    peak_mb: float
    calls: int
    rows: int
    """Rows in calls that can write contacts."""
    wrong: int
    """Contacts that are missing, doubled, or hold another value than they should when the round is over."""


class Account:
    """A HubSpot stand-in in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "benchmarks.push_processes", "stand-in"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._http = httpx.Client(base_url=self.url, timeout=120)

    def contacts(self) -> list[dict[str, Any]]:
        """Return what each contact holds."""
        held = self._http.get("/_sandbox/state").json()["hubspot"]["contacts"]
        return [one for one in held.values() if not one.get("archived")]

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls about contacts since the last time it was asked."""
        entries = self._http.get("/_sandbox/log", params={"vendor": "hubspot"}).json()["entries"]
        return [one for one in entries if CONTACTS.search(one["path"])]

    def answered(self) -> int:
        """Return how many calls there were, of any kind."""
        said = self._http.get("/_sandbox/log", params={"entries": 0}).json()
        return sum(said["calls"]["hubspot"].values())

    def forget_calls(self) -> None:
        """Begin a new round."""
        self._http.delete("/_sandbox/log")

    def stop(self) -> None:
        """End the process."""
        self._http.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


@contextmanager
def account() -> Iterator[Account]:
    """Open a stand-in, and close it."""
    made = Account()
    try:
        yield made
    finally:
        made.stop()


class Ours:
    """The product: its links and its properties of a day; without lists, which the others do not have."""

    name = "ours"

    def __init__(self, folder: Path, decided: Path) -> None:
        self._home = folder / "home"
        shutil.rmtree(self._home, ignore_errors=True)
        shutil.copytree(decided, self._home)

    def command(self, made: Account, *, changed: bool) -> list[str]:
        """Return what pushes; ``changed`` gives everybody another value first, which is no part of what is measured."""
        if changed:
            subprocess.run([*_worker("change"), str(self._home)], check=True)
        return [*_worker("push"), str(self._home), made.url]


class Peer:
    """A script of :mod:`benchmarks.peers`."""

    def __init__(self, name: str, python: Path, folder: Path, rows: Path) -> None:
        self.name, self._python, self._rows, self._folder = name, python, rows, folder
        self._now = rows
        folder.mkdir()

    def command(self, made: Account, *, changed: bool) -> list[str]:
        """Return what pushes; ``changed`` has it read the rows with other values from now on."""
        if changed:
            self._now = self._rows.with_name("changed.parquet")
        script = str(PEERS[self.name])
        return [str(self._python), "-P", script, str(self._now), made.url, str(self._folder)]


def main() -> int:
    """Measure and print; 1 if anything is wrong after a round of ours."""
    given = _arguments()
    print(f"{given.people:,} people, {os.cpu_count()} cores, foreign load {foreign_load():.1f} cores.\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="push-", dir=given.folder) as at:
        folder = Path(at)
        site = Site(folder / "site", given.people)
        site.root.mkdir()
        homes.build(site, {"landed"})
        decided = folder / "decided"
        shutil.copytree(site.home("landed"), decided)
        subprocess.run([*_worker("decide"), str(decided)], check=True)
        python = _peers(given.peers_folder or folder / "peers") if given.peers else None
        found = {"ours": _ours(folder, decided)}
        for name in PEERS if python else ():
            assert python is not None
            found[name] = _rounds(
                folder, decided, lambda where, name=name: Peer(name, python, where, folder / "rows.parquet")
            )  # type: ignore[misc]
    print(table(found))
    print(f"\nForeign load at the end: {foreign_load():.1f} cores.")
    return 1 if any(spent.wrong for spent in found["ours"].values()) else 0


def _ours(folder: Path, decided: Path) -> dict[str, Spent]:
    """Measure ours; what it pushed becomes the rows of the others."""
    with account() as made:
        way = Ours(folder / "first", decided)
        _run(way.command(made, changed=False))
        _save(made.contacts(), folder / "rows.parquet")
        _run(way.command(made, changed=True))
        _save(made.contacts(), folder / "changed.parquet")
    return _rounds(folder, decided, lambda where: Ours(where, decided))


def _rounds(folder: Path, decided: Path, way: Any) -> dict[str, Spent]:
    rows, changed = _load(folder / "rows.parquet"), _load(folder / "changed.parquet")
    found: dict[str, Spent] = {}
    with account() as made:
        _define(folder, decided, made)
        one = way(_fresh(folder))
        for name, wanted in zip(ROUNDS, (rows, changed, changed), strict=False):
            made.forget_calls()
            cpu, wall, peak = _run(one.command(made, changed=name == "all changed"))
            found[name] = _spent(made, wanted, cpu, wall, peak)
    with account() as made:
        _define(folder, decided, made)
        one = way(_fresh(folder))
        made.forget_calls()
        half = made.answered() + found["first contact"].calls // 2
        killed = subprocess.Popen(
            one.command(made, changed=False), env=_environment(), start_new_session=True, **_QUIET
        )
        while made.answered() < half and killed.poll() is None:
            time.sleep(0.002)
        with suppress(ProcessLookupError):
            os.killpg(killed.pid, signal.SIGKILL)
        if killed.wait() != -signal.SIGKILL:
            raise AssertionError("it ended before it was killed: take more people")
        cpu, wall, peak = _run(one.command(made, changed=False))
        found["killed, again"] = _spent(made, rows, cpu, wall, peak)
    return found


_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}


def _run(command: Sequence[str]) -> tuple[float, float, float]:
    """Return CPU and wall seconds and the peak in MiB of a command and all it started."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=_environment(), **_QUIET)
    assert process.stderr is not None
    peak = _Peak(process.pid)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise AssertionError(f"{command} ended with {process.returncode}: {said.decode()[-2000:]}")
    return used.ru_utime + used.ru_stime, wall, peak.ended()


class _Peak:
    """Reads a process's high-water mark while it runs: that of ``wait4`` begins with what its parent held."""

    def __init__(self, pid: int) -> None:
        self._status, self._peak = Path(f"/proc/{pid}/status"), 0.0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):
            while found := re.search(r"VmHWM:\s+(\d+)", self._status.read_text()):
                self._peak = int(found[1]) / 1024
                time.sleep(0.02)

    def ended(self) -> float:
        """Return the peak in MiB, once the process has ended."""
        self._thread.join()
        return self._peak


def _environment() -> dict[str, str]:
    return {**os.environ, "HUBSPOT_ACCESS_TOKEN": TOKEN}


def _spent(made: Account, wanted: dict[str, dict[str, str]], cpu: float, wall: float, peak: float) -> Spent:
    calls = made.calls()
    writes = [one for one in calls if one["path"].endswith(("/create", "/update", "/upsert"))]
    names = {name for row in wanted.values() for name in row}
    held = [{k: v for k, v in one.items() if k in names} for one in made.contacts()]
    seen = Counter(one.get("email") for one in held)
    there = {str(one["email"]): one for one in held if one.get("email")}
    wrong = sum(there.get(email) != row for email, row in wanted.items()) + sum(n - 1 for n in seen.values() if n > 1)
    return Spent(
        cpu, wall, peak, len(calls), sum(len((one["request"] or {}).get("inputs", [])) for one in writes), wrong
    )


def _save(contacts: list[dict[str, Any]], path: Path) -> None:
    """Write what the contacts hold in fields that an integration can write, one row each; those without e-mail are left out."""
    names = sorted(
        {n for one in contacts for n in one if n.startswith("cio_") or n in ("email", "firstname", "lastname", "phone")}
    )
    rows = [{name: one.get(name) or None for name in names} for one in contacts if one.get("email")]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(rows, file)
        file.flush()
        types = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
        duckdb.sql(f"SELECT * FROM read_json('{file.name}', columns = {{{types}}})").write_parquet(str(path))


def _load(path: Path) -> dict[str, dict[str, str]]:
    relation = duckdb.sql(f"FROM '{path}'")
    rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    return {row["email"]: {k: v for k, v in row.items() if v is not None} for row in rows}


def _define(folder: Path, decided: Path, made: Account) -> None:
    """Have the portal define our properties, by a home that is thrown away."""
    home = _fresh(folder)
    shutil.copytree(decided, home)
    subprocess.run([*_worker("define"), str(home), made.url], check=True)


def _fresh(folder: Path) -> Path:
    return Path(tempfile.mkdtemp(dir=folder)) / "its"


def _worker(task: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.push_processes", task]


def _peers(folder: Path) -> Path:
    """Return the Python that has the others, made anew where it is not there."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        packages = ["-r", str(HERE / "peers" / "requirements.txt")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def table(found: dict[str, dict[str, Spent]]) -> str:
    """Return one table a round."""
    text = []
    for name in ROUNDS:
        text += [f"**{name}**", ""]
        text += [
            "| | CPU s | µs a row | wall s | peak MiB | calls | rows sent | wrong |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for way, rounds in found.items():
            one = rounds[name]
            each = f"{one.cpu / one.rows * 1e6:.0f}" if one.rows else ""
            text.append(
                f"| {way} | {one.cpu:.2f} | {each} | {one.wall:.1f} | {one.peak_mb:.0f} | {one.calls} | {one.rows:,} | {one.wrong:,} |"
            )
        text.append("")
    return "\n".join(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.push", description=__doc__)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--peers", action="store_true", help="others too; installs them on first use")
    parser.add_argument("--peers-folder", type=Path, help="where they are, or are to be, installed")
    parser.add_argument("--folder", type=Path, help="for homes; a temporary one by default")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
