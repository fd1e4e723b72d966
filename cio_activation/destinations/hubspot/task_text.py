"""The words of a task as HubSpot holds them: a plain subject, a body in HTML, and a seal that shows who wrote it.

The last line of the body is the marker by which a task is found again, and after it the seal: a checksum of subject and
body as people read them. While it fits, the words are ours, whichever of our writes got no answer; where it does not, a
human wrote there, and we write there no more. It is taken over what is read, not over the HTML, because HubSpot cleans
HTML up.
"""

from __future__ import annotations

import html
import re
import unicodedata

from cio_activation.destinations.common.actions.texts import ENDED, Text, shown_hash

_TAG = re.compile(r"<[^>]*>")
_SEAL = re.compile(r"(\[[a-z]+:[^\[\]]+\]) ([0-9a-f]{8})\b")
_SMALL = "font-size:8px;color:#99acc2"


def plain(text: str | None) -> str:
    """Return what people read of a text in HTML, in one line."""
    words = html.unescape(_TAG.sub(" ", text or ""))
    return " ".join(unicodedata.normalize("NFC", words).split())


def shown_of(subject: str | None, body: str | None) -> str:
    """Return what two tasks share if they read the same."""
    return shown_hash(plain(subject), plain(body))


def body_of(text: Text) -> str:
    """Return the body of a task: what to do, why, what that rests on, and in small letters how it is found again."""
    lines = "".join(f"<p>{_escaped(line)}</p>" for line in text.lines if line.strip())
    marker = _escaped(text.marker)
    seal = _seal(text.subject, plain(f"{lines} {marker}"))
    return f'{lines}<p><span style="{_SMALL}">{marker} {seal}</span></p>'


def is_ours(subject: str | None, body: str | None) -> bool:
    """Return whether subject and body are word by word what we wrote last."""
    words = plain(body)
    seals = _SEAL.findall(words)
    return bool(seals) and seals[-1][1] == _seal(subject, _unsealed(words))


def with_line(body: str | None, line: str) -> str:
    """Return ``body`` with ``line`` above it."""
    return f"<p><strong>{_escaped(line)}</strong></p>{body or ''}"


def sealed(subject: str | None, body: str) -> str:
    """Return ``body``, which is ours, with a seal that fits what it says now."""
    seal = _seal(subject, _unsealed(plain(body)))
    return _SEAL.sub(lambda found: f"{found[1]} {seal}", body)


def says(body: str | None, line: str) -> bool:
    """Return whether ``line`` is in ``body``."""
    return line in plain(body)


def says_ended(body: str | None) -> bool:
    """Return whether ``body`` begins by saying that its reason has ended."""
    return plain(body).startswith(ENDED)


def _seal(subject: str | None, words: str) -> str:
    return shown_hash(plain(subject), words)[:8]


def _unsealed(words: str) -> str:
    return _SEAL.sub(lambda found: str(found[1]), words)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
