"""What surrounds an installation: versions of what it runs on, its settings, and the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from packaging.requirements import Requirement
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Access, Settings
from cio_activation.journal import connections
from cio_activation.outcome.doctor.part import Part

PACKAGE = "cio-activation"
_EXTRAS = ("", "demo", "postgres", "report", "statistics")
_PEOPLE = ("alert_email_to", "alert_email_from")
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def versions(part: Part) -> None:
    """Tell the versions of what is installed; one that is not what this release was made for is wrong."""
    part.facts |= {
        PACKAGE: _installed(PACKAGE) or "not installed: a checkout",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
    }
    try:
        wanted = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        wanted = []
    for requirement in map(Requirement, wanted):
        extras = [extra for extra in _EXTRAS if not requirement.marker or requirement.marker.evaluate({"extra": extra})]
        if not extras:
            continue  # for developing it
        optional = "" not in extras
        found = _installed(requirement.name)
        if found is not None:
            part.facts[requirement.name] = found
        if found is None and optional:
            continue
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            needs = f"{requirement.name}{requirement.specifier}"
            has = f"{requirement.name} {found} is installed" if found else f"{requirement.name} is not installed"
            part.wrong(f"{has}, and this release needs {needs}", f"pip install '{needs}'")


def settings(part: Part, given: Settings, activation: Activation | None) -> None:
    """Tell every setting: secrets and people as set or not set, addresses without what gets in."""
    for model in access_models():
        access = given if model is Settings else given.access(model)
        for name in model.model_fields:
            value = getattr(access, name)
            part.facts[name.upper()] = _shown(name, value)
            if isinstance(value, SecretStr) and value.get_secret_value() != value.get_secret_value().strip():
                part.wrong(
                    f"{name.upper()} begins or ends with white space, which the vendor takes for a part of it",
                    "write it anew, without quotation marks and blanks",
                )
    needed = ["customerio_app_api_key"] if activation else []
    for destination in activation.destinations if activation else ():
        for model in access_models():
            if model.__module__.startswith(f"cio_activation.destinations.{destination}."):
                needed += [n for n, field in model.model_fields.items() if field.annotation == SecretStr | None]
    if activation and "customerio" in activation.destinations:
        needed += ["customerio_track_site_id", "customerio_track_api_key"]
    for name in needed:
        if part.facts[name.upper()] == "not set":
            part.wrong(f"{name.upper()} is not set", "put it into the environment or into .env")


def machine(part: Part, home: Path, activation: Activation | None) -> None:
    """Tell processors, memory, and what time it is where."""
    zone = activation.workspace.timezone if activation else None
    now = datetime.now(UTC)
    part.facts |= {
        "processors": os.cpu_count(),
        "memory": memory_bytes(),
        "now": f"{now:%Y-%m-%d %H:%M:%S} UTC",
        "time_zone": "/".join(time.tzname),
        "workspace_time_zone": zone,
        "now_in_workspace": f"{now.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %z}" if zone else None,
        "home": tilde(home),
        "folder": tilde(Path.cwd()),
        "env_file": Path(".env").is_file(),
    }


def access_models(base: type[Access] = Access) -> list[type[Access]]:
    """Return every class of this package's that takes settings from the environment."""
    found = [model for one in base.__subclasses__() for model in (one, *access_models(one))]
    return [model for model in found if model.__module__.startswith("cio_activation.")]


def secrets(given: Settings) -> Iterator[str]:
    """Give every secret in clear, and what gets into the places that addresses name, to be masked."""
    for model in access_models():
        access = given if model is Settings else given.access(model)
        for name in model.model_fields:
            value = getattr(access, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
            if isinstance(value, SecretStr) or name in _PEOPLE:
                yield from {text, text.strip()}
            if "://" in text and (password := _password(text)):
                yield password


def memory_bytes() -> int:
    """Return the memory that this process may have: the machine's, or less in a container."""
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP:
        told = Path(path).read_text().strip() if Path(path).is_file() else ""
        if told.isdigit():
            have = min(have, int(told))
    return have


def tilde(path: Path) -> str:
    """Return a path with ``~`` for the user's own folder, which has their name."""
    whole = path.absolute()
    home = Path.home()
    return f"~/{whole.relative_to(home)}" if whole.is_relative_to(home) and home != Path("/") else str(whole)


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "set" if value.get_secret_value().strip() else "not set"
    if value is None or value == "":
        return "not set"
    if name in _PEOPLE:
        return "set"
    if name == "journal_url":
        return connections.place_of(value)
    if name.endswith("_url"):
        return _address(value)
    return tilde(value) if isinstance(value, Path) else value


def _address(url: str) -> str:
    """Return scheme and host of an address: names, passwords, paths and queries may let somebody in."""
    try:
        found = urlsplit(url)
        port = f":{found.port}" if found.port else ""
        return f"{found.scheme}://{found.hostname}{port}" if found.hostname else "set, and no address"
    except ValueError:
        return "set, and no address"


def _password(url: str) -> str | None:
    try:
        return str(make_url(url).password or "") or None
    except Exception:  # noqa: BLE001 - the parser's own errors may quote a part of the password
        return None
