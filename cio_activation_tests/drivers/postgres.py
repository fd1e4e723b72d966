"""A PostgreSQL server of the tests' own: made in a temporary folder, stopped and removed with the session.

PostgreSQL refuses to run as root, so a root test run starts it as ``postgres`` or ``nobody``. Where no server can be
had the tests that need one are skipped, unless JOURNAL_TEST_POSTGRES=required says that they must run.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

_FOUND_IN = "/usr/lib/postgresql"
_DEADLINE_S = 120


@dataclass
class PostgresServer:
    """A running server, reached by its Unix socket with a password."""

    folder: Path
    password: str
    version: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def url(self, database: str) -> str:
        """Return the journal URL of a database of this server."""
        return f"postgresql+psycopg2://journal:{self.password}@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"journal_{next(self._numbers)}"
        engine = sa.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as con:
            con.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)


class NoPostgresError(Exception):
    """No server can be started here; says why."""


def binaries() -> Path:
    """Return the folder of ``initdb`` and ``pg_ctl``: from PATH, or where Debian puts them (newest first)."""
    if (found := shutil.which("pg_ctl")) and shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [p.parent for p in Path(_FOUND_IN).glob("*/bin/pg_ctl") if (p.parent / "initdb").exists()]
    if not installed:
        raise NoPostgresError(f"no pg_ctl and initdb on PATH or in {_FOUND_IN} (Debian: apt-get install postgresql)")
    return max(installed, key=lambda p: float(p.parent.name))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server with safe settings (fsync on); raises NoPostgresError, saying why, where that cannot be."""
    try:
        import psycopg2  # noqa: F401
    except ImportError:
        raise NoPostgresError("psycopg2 is not installed (the extra 'postgres')") from None
    bin_folder = binaries()
    user = _unprivileged() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="journal-pg-"))
    password = secrets.token_urlsafe(12)
    try:
        (folder / "password").write_text(password)
        if user:
            for path in (folder, folder / "password"):
                shutil.chown(path, user.pw_name, user.pw_gid)
        data = str(folder / "data")
        _run(user, folder, bin_folder / "initdb", "-D", data, "-U", "journal", "-A", "scram-sha-256",
             "--pwfile", str(folder / "password"), "-E", "UTF8", "--no-locale")  # fmt: skip
        with _running(user, folder, bin_folder / "postgres", data):
            version = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True)
            yield PostgresServer(folder, password, version.stdout.split()[2])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for the session; skips where none can be had."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server())
        except NoPostgresError as error:
            if os.environ.get("JOURNAL_TEST_POSTGRES") == "required":
                raise
            pytest.skip(f"no PostgreSQL server: {error}")
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty journal's URL, once for each back end."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'journal.sqlite'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@contextmanager
def _running(user: pwd.struct_passwd | None, folder: Path, program: Path, data: str) -> Iterator[None]:
    """Run the server until the block ends, or this process does, however it dies: its end of the pipe closes then."""
    watched = '"$@" & server=$!; read -r _; kill -QUIT "$server"; wait "$server"'
    options = ("listen_addresses=", f"unix_socket_directories={folder}", "fsync=on", "max_connections=60")
    command = [str(program), "-D", data, *(word for option in options for word in ("-c", option))]
    with (folder / "log").open("w") as log:
        shell = subprocess.Popen(
            ["sh", "-c", watched, "sh", *command], stdin=subprocess.PIPE, stdout=log, stderr=log, **_as(user, folder)
        )
    try:
        _wait_for(folder / "data" / "postmaster.pid", folder / "log")
        yield
    finally:
        shell.communicate(timeout=_DEADLINE_S)


def _wait_for(status: Path, log: Path) -> None:
    """Wait until the server says ``ready`` in its status file, as ``pg_ctl start -w`` does."""
    deadline = time.monotonic() + _DEADLINE_S
    while not (status.exists() and status.read_text().rstrip().endswith("ready")):
        if time.monotonic() > deadline or "FATAL" in log.read_text():
            raise NoPostgresError(f"the server does not start: {log.read_text().strip()[-500:]}")
        time.sleep(0.05)


def _as(user: pwd.struct_passwd | None, folder: Path) -> dict[str, Any]:
    """Return how PostgreSQL's programs are started: as ``user``, in a folder it may be in."""
    who: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    return who | {"cwd": folder, "env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"}}


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoPostgresError("root cannot run PostgreSQL, and there is neither a user postgres nor nobody")


def _run(user: pwd.struct_passwd | None, folder: Path, *command: str | Path) -> None:
    """Run a command of PostgreSQL's as ``user``; NoPostgresError with its words if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
        **_as(user, folder),
    )
    if done.returncode:
        raise NoPostgresError(f"{Path(command[0]).name} failed: {done.stdout.strip()[-500:]}")
