"""The documentation's pages: their words, their code blocks, and the files they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"^[ \t]*```(\w*)\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)
_WORD = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*\.(?:py|md|yaml|sql|toml|txt|json|service|socket|png)|[\w.-]+(?:/[\w.-]+)*/")
_MADE_IN_A_RUN = ("raw/", "plans/", "webhooks/")
"""Folders and addresses that are no part of the repository."""


@dataclass(frozen=True)
class Block:
    """A block of code: where it stands, its language, its text."""

    page: str
    language: str
    text: str


def pages() -> list[Path]:
    """Return every page a user or a maintainer reads."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def text_of(name: str) -> str:
    """Return the text of a page, named from ``docs/``."""
    return (DOCS / name).read_text()


def words(text: str) -> set[str]:
    """Return what stands in backquotes."""
    return set(_WORD.findall(_BLOCK.sub("", text)))


def blocks(language: str) -> list[Block]:
    """Return the blocks of one language of all pages."""
    return [
        Block(str(page.relative_to(ROOT)), found, text)
        for page in pages()
        for found, text in _BLOCK.findall(page.read_text())
        if found == language
    ]


def fenced(text: str) -> list[tuple[str, str]]:
    """Return language and text of each block of a page's text."""
    return [(str(language), str(block)) for language, block in _BLOCK.findall(text)]


def named_files(page: Path) -> Iterator[tuple[str, bool]]:
    """Give each file or folder that a page names, and whether it is there."""
    text = page.read_text()
    for target in _LINK.findall(text):
        if "://" not in target:
            yield target, (page.parent / target).exists()
    for word in sorted(words(text)):
        if _PATH.fullmatch(word) and not word.startswith(_MADE_IN_A_RUN):
            yield word, _is_there(word, page.parent)


def _is_there(name: str, folder: Path) -> bool:
    """Tell whether a name leads to something from the repository, the package, the tests or the page."""
    places = (ROOT, ROOT / "cio_activation", ROOT / "cio_activation_tests", folder)
    return any(any(place.glob(name.rstrip("/"))) for place in places)
