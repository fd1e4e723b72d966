"""The report: the same bytes again, small, one file that asks for nothing, nobody's address in it, numbers that are so."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from cio_activation.activation.life_cycle import Measure
from cio_activation.cli import report as command
from cio_activation.cli.main import app
from cio_activation.lanes.partitions import Lanes
from cio_activation.outcome import assets, extra
from cio_activation.outcome.report.build import write
from cio_activation.outcome.report.page import masked
from cio_activation.runtime import Runtime
from cio_activation_tests.docs import old_home

OWNER = "ada.lovelace@reps.example"
LEAKS = ("who@asked.example", "someone+tag@warned.example", "mallory@held.example")


@dataclass(frozen=True)
class Home:
    runtime: Runtime
    text: str
    path: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which both lanes ran, with outcomes, and with addresses wherever a text could hold one."""
    runtime = old_home.opened(tmp_path_factory.mktemp("report"))
    name, audience = next(iter(runtime.activation.audiences.items()))
    measured = audience.model_copy(update={"measure": Measure()})
    audiences = {**runtime.activation.audiences, name: measured}
    runtime = Runtime(
        runtime.settings, runtime.activation.model_copy(update={"audiences": audiences}), runtime.warehouse
    )
    with runtime.warehouse.write() as con:
        as_of = con.execute("SELECT max(window_end) FROM meta.published").fetchall()[0][0]
        con.execute(
            """INSERT INTO outcome.entries BY NAME SELECT ? AS audience, ?::INT AS version, 'x' || i AS cio_id,
                i % 10 = 0 AS ghost, 0.1 AS holdout, ?::TIMESTAMP AS entered_at, ?::TIMESTAMP AS closed_at,
                (i % 7 = 0)::INT AS orders, (i % 7 = 0)::INT * 20.0 AS revenue, i % 50 AS spent_before
            FROM range(2000) AS t(i)""",
            [name, audience.version, as_of - timedelta(days=60), as_of - timedelta(days=30)],
        )
        con.execute("INSERT INTO feedback.owners VALUES ('hubspot', '7', ?, TRUE, NULL, ?)", [OWNER, as_of])
        con.execute(
            """INSERT INTO delivery.actions BY NAME SELECT 'hubspot' AS destination, 'task' AS kind, 'e' || i AS entry_id,
                ? AS audience, '7' AS owner_id, 'open' AS status, 'r' || i AS record_id, ?::TIMESTAMP AS opened_at
            FROM range(3) AS t(i)""",
            [name, as_of],
        )
        con.execute(
            "INSERT INTO feedback.readings BY NAME SELECT 'hubspot' AS destination, 'daily' AS lane, ? AS problem",
            [f"no answer for {LEAKS[0]}"],
        )
        con.execute(
            "INSERT INTO outcome.warnings VALUES ('k', 'no_owner', 'a', ?, 'mend', ?, ?)",
            [f"<b>nobody</b> like {LEAKS[1]}", as_of, as_of],
        )
        con.execute(
            """INSERT INTO delivery.links BY NAME SELECT 'toy' AS destination, cio_id FROM identity.persons LIMIT 3"""
        )
        con.execute(
            """INSERT INTO delivery.plans BY NAME SELECT 'p' AS plan_id, 'hubspot' AS destination, 's' AS step,
                'held' AS status, 4 AS held, ?::TIMESTAMP AS window_end, ? AS note, 'daily' AS lane""",
            [as_of, f"held by {LEAKS[2]}"],
        )
        con.execute(
            """INSERT INTO delivery.audits BY NAME SELECT 'a1' AS audit_id, 'hubspot' AS destination, '2026-01-02' AS window_key,
                ?::TIMESTAMP AS ended_at, 900 AS population, 400 AS compared, 7 AS deviating, 0.01 AS low, 0.03 AS high
            UNION ALL BY NAME SELECT 'a2' AS audit_id, 'pipedrive' AS destination, '2026-01-02' AS window_key,
                ?::TIMESTAMP AS ended_at, 90 AS population, 90 AS compared, 9 AS deviating, 0.1 AS low, 0.1 AS high""",
            [as_of, as_of],
        )
        con.execute(
            """INSERT INTO delivery.audit_findings BY NAME SELECT 'a1' AS audit_id, 'hubspot' AS destination, 'edited' AS kind,
                'kept' AS treatment, 'field' AS subject, 'vip' AS name FROM range(7)"""
        )
        prop = next(p.name for p in runtime.activation.properties.values() if p.labels)
        con.execute(
            """INSERT INTO state.derivations BY NAME SELECT 9000 + i AS derivation, 'daily' AS lane,
                ?::TIMESTAMP - to_days((i * 7)::INT) AS as_of FROM range(9) AS t(i)""",
            [as_of],
        )
        con.execute(
            """INSERT INTO state.value_changes BY NAME SELECT 9000 + i AS derivation, 'x' || j AS cio_id, ? AS property,
                'here' AS before, CASE WHEN j = 0 THEN NULL ELSE 'there' END AS after,
                CASE WHEN j = 1 THEN 'arrived' ELSE 'clock' END AS why
            FROM range(9) AS t(i), range(13) AS u(j)""",
            [prop],
        )
    written = write(runtime)
    return Home(runtime, written.path.read_text(encoding="utf-8"), written.path)


class Parsed(HTMLParser):
    """Tags, what they ask for, and that each is closed."""

    EMPTY = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_one_well_formed_file_that_runs_nothing_and_asks_for_nothing(home: Home) -> None:
    parsed = Parsed()
    parsed.feed(home.text)
    assert parsed.open == []
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "video", "image", "use"}
    asked = [
        value
        for _, attributes in parsed.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "action") or name.startswith("on")
    ]
    assert asked
    assert all(value is not None and value.startswith("#") for value in asked)
    assert "url(" not in home.text
    assert "@import" not in home.text
    assert 10_000 < len(home.text.encode()) <= 1_000_000


def test_it_is_the_same_bytes_again(home: Home, tmp_path: Path) -> None:
    again = write(home.runtime, tmp_path / "new" / "again.html")
    assert again.path.read_bytes() == home.path.read_bytes()
    assert [path.name for path in again.path.parent.iterdir()] == ["again.html"]


def test_nobodys_address_is_in_it(home: Home) -> None:
    with home.runtime.warehouse.read() as con:
        people = [str(row[0]) for row in con.execute("SELECT email FROM identity.persons WHERE email <> ''").fetchall()]
    assert len(people) > 10
    assert [one for one in (*people, *LEAKS, OWNER) if one.lower() in home.text.lower()] == []
    assert re.findall(r"[\w.+-]+@[\w-]+", home.text) == []
    assert "ada.lovelace" in home.text, "who acts is told apart all the same"
    assert "&lt;b&gt;nobody&lt;/b&gt; like someone+tag" in home.text
    assert masked("a@b.example, <c.d@e.example> and 5 @ 3") == "a, <c.d> and 5 @ 3"


def test_every_chart_is_a_picture_with_words_and_numbers_in_the_pages_colours(home: Home) -> None:
    pictures = re.findall(r"<svg .*?</svg>", home.text, re.DOTALL)
    assert len(pictures) >= 6
    for picture in pictures:
        root = ET.fromstring(picture)
        assert root.get("role") == "img"
        assert len(str(root.get("aria-label"))) > 20
        assert float(str(root.get("width"))) <= 340
        colors = set(re.findall(r'(?:fill|stroke)="([^"]+)"', picture))
        assert colors <= {"none", "transparent", *(c for c in colors if c.startswith("var(--"))}, colors
    assert home.text.count("<figure>") == len(pictures) == home.text.count("<summary>Numbers</summary>")
    assert "prefers-color-scheme: dark" in home.text


def test_its_sections_say_what_the_tables_say(home: Home) -> None:
    name = next(iter(home.runtime.activation.audiences))
    assert f"{name}: no effect seen: would have seen" in home.text or f"{name}: too early: answers about" in home.text
    with home.runtime.warehouse.read() as con:
        inside = con.execute(
            "SELECT count(DISTINCT cio_id) FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost"
        ).fetchall()[0][0]
        linked = con.execute(
            "SELECT count(*) FROM delivery.links WHERE destination = 'hubspot' AND record_id IS NOT NULL "
            "AND cio_id IN (SELECT cio_id FROM identity.persons)"
        ).fetchall()[0][0]
        windows = con.execute("SELECT DISTINCT lane FROM meta.published ORDER BY 1").fetchall()
    assert f"<b>{inside:,}</b><span>in one of" in home.text
    assert re.search(rf"<td class=s>hubspot</td>(<td class=n>[\d,]+</td>){{2}}<td class=n>{linked:,}</td>", home.text)
    nowhere = r"<td class=s>toy</td>(<td class=n>[\d,]+</td>){2}<td class=n>0</td>"
    assert re.search(nowhere, home.text), "who was looked for and not found has no record"
    assert [lane for (lane,) in windows] == ["daily", "realtime"]
    for title in (
        "Health",
        "Audiences",
        "People who act",
        "States",
        "Match rates",
        "Read back",
        "Outcomes and verdicts",
    ):
        assert f"<h2>{title}</h2>" in home.text


def test_flows_are_told_by_week_and_the_newest_audit_by_what_it_found(home: Home) -> None:
    flow = r"<td class=s>here</td><td class=s>there</td>(?:<td class=n>11</td>){6}</tr>"
    assert re.search(flow, home.text), "six weeks of nine, without who arrived"
    assert re.search(r"<td class=s>here</td><td class=s>\(no value\)</td>(?:<td class=n>1</td>){6}</tr>", home.text)
    assert re.search(
        r"<td class=n>900</td><td class=n>400</td><td class=n>7</td><td[^>]*>1.00 % to 3.00 %</td>", home.text
    )
    assert re.search(r"<td class=n>90</td><td class=n>90</td><td class=n>9</td><td[^>]*>10.00 %</td>", home.text), "all"
    assert re.search(r"<td class=s>vip</td><td class=s>kept</td><td class=n>7</td>", home.text)


def test_the_command_says_where_it_is(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "decided", lambda: home.runtime)
    result = CliRunner().invoke(app, ["report", "--out", str(tmp_path / "mine.html"), "--json"])
    told = json.loads(result.stdout)
    assert (result.exit_code, told["report"]) == (0, str(tmp_path / "mine.html"))
    assert told["bytes"] == (tmp_path / "mine.html").stat().st_size
    assert datetime.fromisoformat(told["as_of"].removesuffix(" UTC"))


def test_without_the_extra_it_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    monkeypatch.setattr(command, "decided", lambda: home.runtime)
    monkeypatch.setattr(extra, "import_module", absent)
    result = CliRunner().invoke(app, ["report", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 2
    assert "need the extra [report]; pip install 'cio-activation[report]'" in told["problems"][0]


@pytest.mark.parametrize("installed", [True, False])
def test_the_days_asset_counts_with_or_without_the_extra(
    home: Home, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

    if not installed:
        monkeypatch.setattr(extra, "import_module", absent)
    monkeypatch.setattr(assets, "runtime_of", lambda *_: home.runtime)
    lanes = Lanes.of(home.runtime.activation)
    [asset] = [
        one
        for one in assets.build_assets(home.runtime.activation, lanes, [])
        if one.key == dg.AssetKey(["outcome", "audiences"])
    ]
    with home.runtime.warehouse.read() as con:
        day = con.execute("SELECT max(window_key) FROM meta.published WHERE lane = 'daily'").fetchall()[0][0]
    result = dg.materialize([asset], partition_key=day)
    [shown] = result.asset_materializations_for_node("outcome__audiences")
    arms = [record.data["arm"] for record in shown.metadata["outcomes"].value.records]
    assert arms == ["let in", "held out"]
    verdicts = shown.metadata["verdicts"].value
    if installed:
        assert len(verdicts.records) == 1
    else:
        assert "the extra [report]" in verdicts
