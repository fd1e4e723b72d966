"""The wheel as somebody gets it who has no checkout: built from a tag, installed with what it declares and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("cio_activation", "deploy", "scripts", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
VERSION = "98.7.6"
"""A version that nothing here is called by, so that it comes from the tag."""
_GIT = {f"GIT_{who}_{what}": "release@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def release(folder: Path) -> Path:
    """Return a repository in ``folder`` with this tree's files, in which ``scripts/release`` has cut VERSION."""
    folder.mkdir(parents=True)
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    with (folder / "CHANGELOG.md").open("r+") as changelog:
        text = changelog.read().replace("## Unreleased\n", "## Unreleased\n\n### Added\n- What a test adds.\n", 1)
        changelog.seek(0)
        changelog.write(text)
    for command in (
        ["git", "init", "--quiet"],
        ["git", "add", "--all"],
        ["git", "commit", "--quiet", "-m", "All"],
        ["scripts/release", VERSION],
    ):
        said(command, folder, **_GIT)
    return folder


def build(folder: Path) -> Path:
    """Return the wheel of the repository in ``folder``, built as ``pip wheel`` does."""
    tools = [metadata.version(n) for n in ("setuptools", "setuptools-scm") if find_spec(n.replace("-", "_"))]
    is_here = len(tools) == 2 and int(tools[0].partition(".")[0]) >= 77
    options = ["--no-build-isolation"] if is_here else []
    said([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", *options, "-w", "dist", "."], folder)
    [wheel] = (folder / "dist").glob("*.whl")
    return wheel


@dataclass(frozen=True)
class Installed:
    """An environment of its own with the wheel in it, and an empty folder to work in."""

    python: Path
    command: Path
    folder: Path

    def run(self, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the empty folder, with nothing of this process's environment but its path."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment(**environment), capture_output=True, text=True, timeout=300,
            check=False,
        )  # fmt: skip

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of its commands."""
        return {"PATH": f"{self.python.parent}:/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **more}


def install(wheel: Path, folder: Path, *extras: str) -> Installed:
    """Return an environment that holds the wheel and, as links to what is installed here, what it declares."""
    said([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], folder.parent)
    python = folder / "venv" / "bin" / "python"
    said([sys.executable, "-m", "pip", "--quiet", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)],
         folder.parent)  # fmt: skip
    where = sysconfig.get_path("purelib", vars={"base": str(folder / "venv"), "platbase": str(folder / "venv")})
    [own] = metadata.distributions(name="cio-activation", path=[where])
    for distribution in sorted(needed(own, set(extras)), key=lambda one: one.name):
        for path in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            target = Path(where, path)
            if not target.exists():
                target.symlink_to(Path(str(distribution.locate_file(path))))
    (folder / "empty").mkdir()
    return Installed(python, python.with_name("cio-activation"), folder / "empty")


def needed(own: metadata.Distribution, extras: set[str]) -> Iterator[metadata.Distribution]:
    """Give what ``own`` declares with ``extras``, and what that declares, as it is installed here."""
    seen: set[tuple[str, frozenset[str]]] = set()
    open_: list[tuple[metadata.Distribution, frozenset[str]]] = [(own, frozenset(extras))]
    given: set[str] = set()
    while open_:
        distribution, wanted = open_.pop()
        for requirement in map(Requirement, distribution.requires or ()):
            marker = requirement.marker
            if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in (*wanted, "")):
                continue
            key = canonicalize_name(requirement.name), frozenset(requirement.extras)
            if key in seen:
                continue
            seen.add(key)
            found = metadata.distribution(requirement.name)
            open_.append((found, key[1]))
            if key[0] not in given:
                given.add(key[0])
                yield found


def said(command: list[str], folder: Path, **environment: Any) -> str:
    """Return what a command printed; AssertionError with its words if it fails."""
    ended = subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout
