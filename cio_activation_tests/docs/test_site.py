"""The documentation site: built strictly, every page in its navigation, every link and anchor there, nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.util import find_spec
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from ruamel.yaml import YAML

from cio_activation_tests.docs import generated, pages

CONFIG = YAML(typ="safe").load((pages.ROOT / "mkdocs.yml").read_text())
BASE = "http://site/"
FETCHED = {("link", "href"), ("script", "src"), ("img", "src"), ("source", "src"), ("iframe", "src")}


def in_navigation(nav: object) -> Iterator[str]:
    """Give the pages of the navigation."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for inner in nav:
            yield from in_navigation(inner)
    elif isinstance(nav, dict):
        for inner in nav.values():
            yield from in_navigation(inner)


def test_every_page_is_in_the_navigation_once() -> None:
    listed = list(in_navigation(CONFIG["nav"]))
    there = {path.relative_to(pages.DOCS).as_posix() for path in pages.DOCS.rglob("*.md")}
    assert sorted(listed) == sorted(there), "mkdocs.yml, under nav"


@pytest.mark.parametrize("name", generated.PAGES)
def test_what_the_code_writes_is_up_to_date(name: str) -> None:
    assert pages.text_of(name) == generated.PAGES[name](), "python -m cio_activation_tests.docs.generated"


class Links(HTMLParser):
    """What a built page links to, fetches, and can be linked at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        for name, value in found.items():
            if (tag, name) == ("a", "href"):
                self.links.append(value)
            elif (tag, name) in FETCHED:
                self.fetched.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Links]:
    """Address -> what its page has, of the site as zensical builds it."""
    beside = shutil.which("zensical")
    if not beside and not find_spec("zensical"):
        pytest.skip("zensical is not installed: scripts/setup dev (the extra docs) brings it")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(pages.ROOT / "mkdocs.yml", folder)
    shutil.copytree(pages.DOCS, folder / "docs")
    program = [sys.executable, "-m", "zensical"] if find_spec("zensical") else [str(beside)]
    built = subprocess.run([*program, "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    root = folder / CONFIG["site_dir"]
    return {
        urljoin(BASE, str(path.relative_to(root)).removesuffix("index.html")): Links(path.read_text())
        for path in root.rglob("*.html")
        if path.name != "404.html"
    } | {urljoin(BASE, str(path.relative_to(root))): Links("") for path in root.rglob("*.*") if path.suffix != ".html"}


def test_every_page_is_built(site: dict[str, Links]) -> None:
    wanted = {re.sub(r"(index)?\.md$", "", name) for name in in_navigation(CONFIG["nav"])}
    assert {BASE + (f"{name}/" if name and not name.endswith("/") else name) for name in wanted} <= site.keys()


def test_no_link_leads_nowhere(site: dict[str, Links]) -> None:
    broken = []
    for page, found in site.items():
        for link in found.links + found.fetched:
            target, _, anchor = urljoin(page, link).partition("#")
            if not target.startswith(BASE):
                continue
            there = site.get(unquote(target))
            if there is None or (anchor and not anchor.startswith("__") and unquote(anchor) not in there.anchors):
                broken.append((page.removeprefix(BASE), link))
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(site: dict[str, Links]) -> None:
    fetched = {urlsplit(urljoin(page, link)).netloc for page, found in site.items() for link in found.fetched}
    assert fetched == {urlsplit(BASE).netloc}
