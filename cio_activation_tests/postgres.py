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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

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
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=on -c max_connections=60"
        control = bin_folder / "pg_ctl"
        _run(user, folder, control, "start", "-w", "-D", data, "-l", str(folder / "log"), "-o", options)
        try:
            version = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True)
            yield PostgresServer(folder, password, version.stdout.split()[2])
        finally:
            _run(user, folder, control, "stop", "-w", "-m", "immediate", "-D", data)
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
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
        cwd=folder,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        # A file, not a pipe: the server inherits it, and a pipe would stay open as long as the server runs.
        stdout=(said := tempfile.TemporaryFile("w+")),  # noqa: SIM115
        stderr=subprocess.STDOUT,
        timeout=_DEADLINE_S,
        check=False,
    )
    with said:
        if done.returncode:
            said.seek(0)
            raise NoPostgresError(f"{Path(command[0]).name} failed: {said.read().strip()[-500:]}")
