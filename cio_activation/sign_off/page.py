"""The sample as one HTML file: no script, no request, everything escaped, personal data only if it is asked for."""

from __future__ import annotations

import html
from collections.abc import Collection

from cio_activation.activation.models import Activation
from cio_activation.audit.findings import mask
from cio_activation.outcome.report.page import Markup, Note, Section, Table, Tile
from cio_activation.outcome.report.page import page as whole
from cio_activation.sign_off.comparing import Person, Row, There
from cio_activation.sign_off.sample import Sample

HIDDEN = "(hidden)"
_OF = {"record": "our id", "field": "", "list": "in ", "action": ""}
_STYLE = """
.person { border-top: 1px solid var(--line); padding: 10px 0; break-inside: avoid; }
.person h3 { margin: 0 0 2px; } .person p { margin: 0 0 6px; color: var(--dim); font-size: 13px; }
.person table { width: 100%; table-layout: fixed; } .person td { overflow-wrap: anywhere; }
.person th { white-space: normal; overflow-wrap: anywhere; } .person td, .person th { padding-left: 6px; }
.person a { color: var(--c1); } .differs { background: var(--bad); font-weight: 600; } .none { color: var(--dim); }
"""


def render(sample: Sample, activation: Activation, *, private: Collection[str], personal: bool) -> str:
    """Return the page; ``private`` names the properties whose values are personal data, shown if ``personal``."""
    shown = _Shown(frozenset() if personal else frozenset(private), personal)
    differing = [one for one in sample.people if one.differs]
    told = (
        Note(f"{len(differing)} of {len(sample.people)} people lie otherwise in a CRM than here; ≠ marks where.", "bad")
        if differing
        else Note("Everything is there as it is here.", "good")
    )
    sections = [
        Section(
            "What is signed",
            "Look at people of each audience below and open their records. Whoever finds them right signs: "
            f"cio-activation sign AUDIENCE --sample {sample.sample_id} --why '...'",
            [told, _audiences(sample, activation), *(Note(note) for note in sample.notes)],
        ),
        Section(
            "Who was drawn",
            "The newest of each audience, somebody of each value of a property, and people in none; the same window "
            "draws the same people.",
            [_strata(sample)],
        ),
        Section(
            "People",
            "Here is what was decided last; what has changed since the newest delivery is still on its way.",
            [Markup("".join(shown.person(n, one, sample) for n, one in enumerate(sample.people, 1)))],
        ),
    ]
    tiles = [
        Tile(f"{len(sample.people)}", "people drawn"),
        Tile(f"{len(differing)}", "with a difference"),
        Tile(f"{sum(len(one.pages) for one in sample.people)}", "records asked for"),
        Tile(sample.sample_id[:8], "sample"),
    ]
    about = f"Sample {sample.sample_id} of window {sample.window_key}: our values beside what {_and(sample)} hold"
    return whole("Sign-off", about, tiles, sections, style=_STYLE)


def _and(sample: Sample) -> str:
    return " and ".join(sample.places) or "no CRM"


def _audiences(sample: Sample, activation: Activation) -> Table:
    drawn = {a: sum(f"in {a}" in p.strata for p in sample.people) for a in sample.audiences}
    counts = {one.name: one.people for one in sample.strata if one.of == "audience"}
    rows = [
        (a.label, a.name, f"version {a.version}", ", ".join(a.asks()) or "nobody", counts[a.name], drawn[a.name])
        for a in activation.audiences.values()
    ]
    return Table(("audience", "name", "version", "asks a human in", "people", "drawn"), rows, empty="No audience.")


def _strata(sample: Sample) -> Table:
    drawn = {str(one): sum(str(one) in p.strata for p in sample.people) for one in sample.strata}
    return Table(("stratum", "people", "drawn"), [(str(s), s.people, drawn[str(s)]) for s in sample.strata])


class _Shown:
    """How one person is shown, to whoever may see so much."""

    def __init__(self, private: Collection[str], personal: bool) -> None:
        self._private, self._personal = private, personal

    def person(self, number: int, one: Person, sample: Sample) -> str:
        """Return one person's part of the page."""
        known = [one.email, one.external_id if self._personal else None]
        who = " ".join(self._text(text) for text in known if text)
        heads = "".join(f"<th>{self._place(name, one)}</th>" for name in sample.places)
        rows = "".join(self._row(row, sample) for row in one.rows)
        strata = "; ".join(self._stratum(s) for s in one.strata) or "drawn to fill up"
        mark = " ≠" if one.differs else ""
        return (
            f'<article class="person"><h3>{number}. {self._text(one.cio_id)}{mark} '
            f'<span class="none">{who}</span></h3><p>{strata}</p><div class="wide"><table><thead><tr><th></th>'
            f"<th>here</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></article>"
        )

    def _place(self, name: str, one: Person) -> str:
        page = one.pages.get(name, "")
        if not page.startswith("https://"):
            return self._text(name)
        record = html.escape(page.rpartition("/")[2])
        return f'<a href="{html.escape(page, quote=True)}" rel="noreferrer">{self._text(name)} {record}</a>'

    def _row(self, row: Row, sample: Sample) -> str:
        hides = row.of == "field" and row.name in self._private
        name = self._text(f"{_OF[row.of]}{row.name}" if row.of != "record" else _OF[row.of])
        there = "".join(self._cell(row.there.get(place), hides) for place in sample.places)
        return f"<tr><td>{name}</td><td>{self._value(row.here, hides)}</td>{there}</tr>"

    def _cell(self, there: There | None, hides: bool) -> str:
        if there is None:
            return '<td class="none">–</td>'
        value = self._value(there.value, hides)
        return f'<td class="differs">≠ {value}</td>' if there.differs else f"<td>{value}</td>"

    def _value(self, value: str, hides: bool) -> str:
        if not value:
            return '<span class="none">(empty)</span>'
        return HIDDEN if hides else self._text(value)

    def _stratum(self, stratum: str) -> str:
        name, _, value = stratum.partition(" = ")
        return self._text(f"{name} = {HIDDEN}" if value and name in self._private else stratum)

    def _text(self, text: str) -> str:
        return html.escape(text if self._personal else mask(text) or "")
