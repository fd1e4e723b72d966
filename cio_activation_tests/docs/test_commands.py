"""Each command that a page names is taken by the real command line; those of the guided pages run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cio_activation.cli.main import app
from cio_activation_tests.docs import commands, old_home, pages
from cio_activation_tests.docs.commands import Command

CALLS = ("audit", "check", "plan", "sample", "sign", "forget", "resync")
"""Commands that ask a vendor, or change something; with --offline `check` asks nobody."""


def test_each_command_of_a_block_is_taken() -> None:
    found = commands.in_blocks()
    assert len(found) > 40
    assert [(c.page, c.text, why) for c in found if (why := commands.problem(c))] == []


def test_each_command_of_a_sentence_is_there_with_its_options() -> None:
    found = list(commands.in_sentences())
    assert len(found) > 60
    assert [(c.page, c.text, gone) for c in found if (gone := commands.unknown_options(c))] == []


def test_what_is_wrong_with_a_command_would_be_found() -> None:
    wrong = (
        "cio-activation chekc",
        "cio-activation plan --peple",
        "cio-activation release",
        "scripts/nothing",
        "curl x",
    )
    assert all(commands.problem(Command("x", text)) for text in wrong)
    assert commands.unknown_options(Command("x", "cio-activation plan --peple")) == ["--peple"]


def test_both_guides_lines_stand_on_the_checklist_each_with_a_command() -> None:
    """Eight lines of the one, nine of the other; the commands are complete, and taken as they stand."""
    page = pages.text_of("go-live.md")
    for heading, lines in (("HubSpot", 8), ("Pipedrive", 9)):
        table = re.split(r"^## ", page, flags=re.MULTILINE)[1 if heading == "HubSpot" else 2]
        rows = [line for line in table.splitlines() if line.startswith("|")][2:]
        assert (table.startswith(heading), len(rows)) == (True, lines)
        assert [row for row in rows if "| `cio-activation " not in row] == []
    assert [(c.text, why) for c in commands.in_tables("go-live.md") if (why := commands.problem(c))] == []


def calls_nobody(command: Command) -> bool:
    words = command.words()
    return words[0] == commands.OURS and (words[1] not in CALLS or "--offline" in words)


def test_the_checklists_commands_run_on_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On one of an older release, migrated; those that would call a vendor are only taken (above)."""
    home = old_home.opened(tmp_path).settings.activation_home
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVATION_HOME", str(home))
    run = [c.words()[1:] for c in commands.in_tables("go-live.md") if calls_nobody(c)]
    assert len(run) >= 10
    for arguments in run:
        ended = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert ended.exit_code == 0, (arguments, ended.output)


def test_the_tutorial_quotes_the_example() -> None:
    example = (pages.ROOT / "examples" / "skincare" / "activation.yaml").read_text()
    blocks = [block for language, block in pages.fenced(pages.text_of("tutorial.md")) if language == "yaml"]
    assert blocks
    for block in blocks:
        head, _, rest = block.partition("\n")
        assert head in example
        assert rest in example


@pytest.mark.slow
def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands there, but for fewer people and days; whoever is asked about is somebody of the home."""
    found = [Command("tutorial.md", line) for language, block in pages.fenced(pages.text_of("tutorial.md"))
             if language == "sh" for line in block.splitlines()]  # fmt: skip
    (tmp_path / "examples").symlink_to(pages.ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    begin, *rest = [command.words() for command in found]
    assert begin[0] == "scripts/demo"
    demo = [
        sys.executable,
        "-m",
        "cio_activation.cli.main",
        "demo",
        *begin[1:],
        "--people",
        "40",
        "--days",
        "1",
        "--json",
    ]
    told = json.loads(subprocess.run(demo, capture_output=True, text=True, check=True).stdout)
    assert (told["ok"], told["second_run"]["write_calls"]) == (True, 0)
    for program, *arguments in rest:
        if program == "export":
            for name, value in (setting.split("=") for setting in arguments if not setting.startswith("PATH")):
                monkeypatch.setenv(name, value)
            members = "SELECT cio_id FROM audience.memberships ORDER BY cio_id"
            person = json.loads(CliRunner().invoke(app, ["sql", members, "--json"]).stdout)["rows"][0][0]
        elif program == "cp":
            shutil.copy(*arguments)
        else:
            named = [person if word == "PERSON" else word for word in arguments]
            ended = CliRunner().invoke(app, named, catch_exceptions=False)
            assert (program, ended.exit_code) == (commands.OURS, 0), (named, ended.output)
    assert (tmp_path / ".skincare" / "report.html").is_file()
