"""The documentation names everything a user can set, call or see, and what it shows runs."""

from __future__ import annotations

import fnmatch
import io
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from ruamel.yaml import YAML
from typer.testing import CliRunner

from cio_activation.activation.loader import load_activation
from cio_activation.activation.settings import DEFAULT_ACTIVATION, Access, Settings
from cio_activation.audience.codes import MEANING, Code
from cio_activation.cli.main import app
from cio_activation.destinations import DESTINATIONS
from cio_activation_tests.docs import old_home, pages
from cio_activation_tests.docs.emitted import metadata_keys

_TOP = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = _TOP | {
    f"{name} {below}": command
    for name, group in _TOP.items()
    for below, command in getattr(group, "commands", {}).items()
}
SQL = pages.blocks("sql")
FRAGMENTS = pages.blocks("yaml")


def sections(name: str) -> dict[str, str]:
    """Return heading -> text of a page's second-level sections."""
    _, *parts = re.split(r"^## ", pages.text_of(name), flags=re.MULTILINE)
    return {part.split("\n", 1)[0].strip(): part for part in parts}


def access_classes(base: type[Access] = Access) -> set[type[Access]]:
    """Return every class that takes settings from the environment, of the product's own."""
    below = {c for one in base.__subclasses__() for c in {one, *access_classes(one)}}
    return {c for c in below if c.__module__.startswith("cio_activation.")}


def shadow(table: str) -> str:
    """Return a table's name as the page writes it: shadows by their pattern."""
    found = re.fullmatch(r"delivery\.shadow_.*_(daily|realtime)", table)
    return "delivery.shadow_<destination>_<lane>" if found else table


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_and_a_section_that_names_each_option(command: str) -> None:
    section = sections("reference/commands.md")[command]
    assert COMMANDS[command].help
    for parameter in COMMANDS[command].params:
        option = parameter.opts[0]
        assert getattr(parameter, "help", None), f"{command} {option} has no help"
        if option == "--json":
            continue  # said once, for all commands
        named = option if option.startswith("--") else parameter.name.upper()
        assert f"`{named}`" in section, f"{command} {named}"


def test_no_option_is_documented_that_is_not_there() -> None:
    for command, section in sections("reference/commands.md").items():
        there = {o for p in COMMANDS[command].params for o in p.opts}
        assert set(re.findall(r"`(--[a-z-]+)`", section)) <= there, command


def test_every_command_stands_in_the_operating_page() -> None:
    page = pages.text_of("operating.md")
    assert [c for c in COMMANDS if f"`cio-activation {c}" not in page] == []


def test_the_page_of_fields_is_what_the_command_prints_for_the_default_activation() -> None:
    """``cio-activation fields --markdown > docs/reference/fields.md`` makes it anew."""
    result = CliRunner().invoke(app, ["fields", "--activation", str(DEFAULT_ACTIVATION), "--markdown"])
    assert result.exit_code == 0
    assert result.stdout == pages.text_of("reference/fields.md")


def test_every_setting_is_documented_and_none_that_is_not_there() -> None:
    assert Settings in access_classes()
    assert len(access_classes()) >= len(DESTINATIONS)
    there = {name.upper() for model in access_classes() for name in model.model_fields}
    documented = {
        w for w in pages.words(pages.text_of("reference/settings.md")) if re.fullmatch(r"[A-Z]+(_[A-Z]+)+", w)
    }
    assert documented == there


def test_every_setting_has_a_line_in_the_example() -> None:
    example = (pages.ROOT / ".env.example").read_text()
    there = {name.upper() for model in access_classes() for name in model.model_fields}
    assert {n for n in there if not re.search(rf"^#?{n}=", example, re.MULTILINE)} == set()


def test_every_metadata_key_is_documented_and_none_that_no_asset_shows() -> None:
    emitted = metadata_keys()
    assert len(emitted) > 50
    rows = re.findall(r"^\| (.*?) \|", pages.text_of("reference/metadata.md"), re.MULTILINE)
    listed = [re.sub(r"\(.*?\)", "", row) for row in rows]
    documented = {key for row in listed for key in re.findall(r"`([^`]+)`", row)}
    older = {key for row in rows for old in re.findall(r"\((.*?)\)", row) for key in re.findall(r"`([^`]+)`", old)}
    missing = [k for k in emitted if k not in older and not any(fnmatch.fnmatchcase(d, k) for d in documented)]
    assert missing == []
    renamed = {d for d, row in ((d, r) for r in rows for d in re.findall(r"`([^`]+)`", r)) if "(" in row}
    gone = [d for d in documented - renamed if not any(fnmatch.fnmatchcase(d, k) for k in emitted)]
    assert gone == []


def test_every_table_is_documented_and_none_that_is_not_there() -> None:
    there = {shadow(table) for table in old_home.columns()}
    rows = re.findall(r"^\| (`.*?) \|", pages.text_of("reference/tables.md"), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert documented == there


@pytest.mark.parametrize("page", pages.pages(), ids=lambda p: str(p.relative_to(pages.ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert [name for name, there in pages.named_files(page) if not there] == []


def test_the_sql_of_the_documentation_runs(tmp_path: Path) -> None:
    """On a home in which both lanes ran."""
    assert SQL
    with old_home.opened(tmp_path).warehouse.read() as con:
        for block in SQL:
            for statement in con.extract_statements(block.text):
                con.execute(statement).fetchall()


@pytest.mark.parametrize("block", FRAGMENTS, ids=lambda b: b.page)
def test_the_yaml_of_the_documentation_loads(block: pages.Block, tmp_path: Path) -> None:
    """As a part of the default activation, in place of what that says there."""
    yaml = YAML(typ="safe")
    whole = merged(yaml.load(DEFAULT_ACTIVATION.read_text()), yaml.load(block.text))
    written = io.StringIO()
    yaml.dump(whole, written)
    path = tmp_path / "activation.yaml"
    path.write_text(written.getvalue())
    load_activation(path, DESTINATIONS)


def merged(whole: Any, part: Any) -> Any:
    """Return ``whole`` with what ``part`` says in its place, key by key."""
    if not (isinstance(whole, dict) and isinstance(part, dict)):
        return part
    return whole | {key: merged(whole.get(key), value) for key, value in part.items()}


def test_the_page_on_audiences_lists_the_codes_in_the_order_in_which_they_are_asked() -> None:
    lines = [line for line in pages.text_of("audiences.md").splitlines() if line.startswith("| `")]
    assert lines == [f"| `{code}` | {meaning} |" for code, meaning in MEANING.items()]
    assert list(MEANING) == list(Code)
