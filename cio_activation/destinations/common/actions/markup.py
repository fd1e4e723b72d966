"""Text of actions as HTML: escaped when it is written, and read back as the words that a person sees."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from html.parser import HTMLParser


def paragraphs(lines: Iterable[str]) -> str:
    """Return lines as HTML, one paragraph each; nothing in them is taken for markup."""
    return "".join(f"<p>{escape(line).replace(chr(10), '<br>')}</p>" for line in lines)


def visible(markup: str | None) -> str:
    """Return the words of HTML, one space between them: vendors clean markup up, and that is no human's edit."""
    reader = _Words()
    reader.feed(markup or "")
    reader.close()
    return " ".join("".join(reader.found).split())


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in ("p", "br", "div", "li", "tr"):
            self.found.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "div", "li", "tr"):
            self.found.append(" ")
