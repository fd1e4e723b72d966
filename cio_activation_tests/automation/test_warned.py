"""Warnings are told once when they begin and once when they are over, by every channel, and none of them is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from cio_activation.activation.models import Activation
from cio_activation.automation import telling, warned
from cio_activation.automation.warned import warnings_sensor
from cio_activation.outcome.warning_kinds import FoundWarning, Kind
from cio_activation.outcome.warnings import replace
from cio_activation.runtime import Runtime
from cio_activation_tests.automation.conftest import Hook
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.mail import Mailbox, mail_server

HOUR = 3_600.0
PEOPLE = dg.AssetKey(["customerio", "people"])


@dg.asset(
    key=PEOPLE,
    check_specs=[dg.AssetCheckSpec(name, asset=PEOPLE) for name in ("last_good", "none_parked", "unchanged", "heard")],
)
def people() -> dg.MaterializeResult:  # type: ignore[empty-body, type-arg]
    """Checked by what the tests report."""


@dataclass
class Watch:
    """An installation, and its sensor ticking on a clock of the test's own."""

    runtime: Runtime
    instance: dg.DagsterInstance
    hook: Hook
    now: float = 1_762_000_000.0
    cursor: str | None = None
    skipped: str = ""

    def tick(self, later: float = 30.0, *, dies: bool = False) -> list[str]:
        """Tick ``later`` seconds on; return what came to the webhook. ``dies``: before Dagster stores the cursor."""
        self.now += later
        begun = len(self.hook.came)
        sensor = warnings_sensor(self.runtime.activation, [people])
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursor) as context:
            found = sensor(context)
        assert isinstance(found, dg.SensorResult)
        assert isinstance(found.skip_reason, dg.SkipReason)
        self.skipped = str(found.skip_reason.skip_message)
        if not dies:
            self.cursor = found.cursor
        return self.hook.texts[begun:]

    def without_owner(self, people: int) -> None:
        with self.runtime.warehouse.write() as con:
            con.execute("DELETE FROM audience.counts")
            con.execute(
                "INSERT INTO audience.counts VALUES ('vip', 'daily', 'w', ?, 'withheld', 'no_owner', ?)",
                [datetime(2026, 11, 2), people],
            )

    def check(self, name: str, *, passed: bool, severity: str = "WARN", **counts: int) -> None:
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=PEOPLE,
                check_name=name,
                passed=passed,
                metadata=counts,
                severity=dg.AssetCheckSeverity(severity),
            )
        )


def model() -> Activation:
    return builders.activation(audiences=[builders.audience("vip")])


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    return builders.runtime(tmp_path_factory.mktemp("warned"), model())


@pytest.fixture
def watch(runtime: Runtime, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    for name in ("ALERT_EMAIL_TO", "ALERT_EMAIL_FROM", "SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACTIVATION_HOME", str(runtime.settings.activation_home))
    monkeypatch.setenv("ALERT_URL", hook.url)
    with dg.DagsterInstance.ephemeral() as instance:
        made = Watch(runtime, instance, hook)
        monkeypatch.setattr(warned, "time", SimpleNamespace(time=lambda: made.now))
        made.without_owner(0)
        yield made
        assert "sesame" not in str(made.cursor) + made.skipped


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server; asked for after ``watch``, which takes the settings away."""
    with mail_server() as made:
        monkeypatch.setenv("ALERT_EMAIL_TO", "ann@example.com, bob@example.com")
        monkeypatch.setenv("ALERT_EMAIL_FROM", "alerts@example.com")
        monkeypatch.setenv("SMTP_URL", f"smtp://localhost:{made.port}")
        yield made


def test_one_message_when_it_begins_one_when_it_is_over_and_quiet_between(watch: Watch, box: Mailbox) -> None:
    assert watch.tick() == []
    watch.without_owner(3)
    [told] = watch.tick()
    assert told.splitlines() == [
        "cio_activation: warnings, 1 new",
        "warning: audience vip: nobody of those named can act for 3 people. Mend: name an active user of the CRM, or a "
        "queue, under the action's `owner`",
    ]
    for number in (3, 9, 4):
        watch.without_owner(number)
        assert watch.tick(HOUR) == []
    watch.without_owner(0)
    assert watch.tick(HOUR - 60) == [], "it may come back with the next window"
    [over] = watch.tick(60)
    assert "over: audience vip: nobody of those named can act for 4 people" in over
    assert watch.tick(HOUR) == []
    assert [t.split("\n")[0].strip() for t in box.texts] == [
        "cio_activation: warnings, 1 new",
        "cio_activation: warnings, 1 over",
    ]
    assert box.came[0]["Subject"] == "cio_activation: warnings, 1 new"


def test_one_that_comes_and_goes_is_told_once(watch: Watch) -> None:
    for number in (3, 0, 3, 0, 3):
        watch.without_owner(number)
        watch.tick(900)
    assert len(watch.hook.came) == 1


def test_a_channel_that_does_not_take_it_is_told_later_and_the_other_one_is_not_told_again(
    watch: Watch, box: Mailbox
) -> None:
    watch.without_owner(3)
    watch.hook.answer = 500
    assert watch.tick() == []
    assert "webhook: could not be told; it is tried again" in watch.skipped
    watch.hook.answer = 200
    assert watch.tick(30) == [], "not before a minute"
    assert len(watch.tick(30)) == 1
    assert watch.tick() == []
    assert len(box.came) == 1


def test_what_is_over_before_it_could_be_told_is_told_all_the_same(watch: Watch) -> None:
    watch.without_owner(3)
    watch.hook.answer = 500
    watch.tick()
    watch.without_owner(0)
    watch.tick(HOUR)
    watch.hook.answer = 200
    [told] = watch.tick(HOUR)
    assert "began, and is over: audience vip" in told
    assert watch.tick(HOUR) == []


def test_whoever_dies_before_noting_it_tells_it_again_and_no_more(watch: Watch) -> None:
    watch.without_owner(3)
    assert len(watch.tick(dies=True)) == 1
    assert len(watch.tick()) == 1
    assert watch.tick() == []


def test_more_than_a_chat_takes_at_once_is_told_bit_by_bit(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    watch.without_owner(3)
    watch.check("last_good", passed=False)
    watch.check("none_parked", passed=False)
    first, then = watch.tick(), watch.tick()
    assert [text.count("warning: ") for text in first + then] == [2, 1]
    assert watch.tick() == []


def test_while_the_warehouse_is_busy_nothing_is_over(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warned, "LOCK_S", 0.2)
    watch.without_owner(3)
    watch.tick()
    with watch.runtime.warehouse.write():
        assert watch.tick(2 * HOUR) == []
    assert watch.tick() == []


def test_checks_that_warn_are_told_and_those_that_say_the_same_as_a_warning_are_not(watch: Watch) -> None:
    for name in ("last_good", "unchanged", "heard"):
        watch.check(name, passed=False, stale_overdue=2)
    [told] = watch.tick()
    assert told.splitlines()[1:] == ["warning: customerio/people: check last_good failed: stale_overdue 2"]
    watch.check("last_good", passed=False, stale_overdue=5)
    assert watch.tick() == []
    watch.check("last_good", passed=True)
    watch.tick()
    assert "over: customerio/people: check last_good failed: stale_overdue 5" in watch.tick(HOUR)[0]


def test_a_check_that_fails_its_run_is_left_to_the_other_sensor(watch: Watch) -> None:
    watch.check("last_good", passed=False, severity="ERROR")
    assert watch.tick() == []


def test_near_duplicates_are_told_as_the_last_daily_run_found_them(watch: Watch) -> None:
    one = FoundWarning("near_duplicate:a:b", Kind.NEAR_DUPLICATE, "a, b", "audiences a and b are alike", "drop one")
    with watch.runtime.warehouse.write() as con:
        replace(con, [one], datetime(2026, 11, 2))
    assert "audiences a and b are alike. Mend: drop one" in watch.tick()[0]
    with watch.runtime.warehouse.write() as con:
        replace(con, [], datetime(2026, 11, 3))


def test_settings_that_are_wrong_are_said_and_the_other_channel_is_told(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_EMAIL_TO", "ann@example.com")
    monkeypatch.setenv("ALERT_EMAIL_FROM", "alerts@example.com")
    monkeypatch.setenv("SMTP_URL", "smtp://u:12/sesame@host")
    watch.without_owner(3)
    assert len(watch.tick()) == 1
    monkeypatch.delenv("ALERT_URL")
    watch.tick()
    assert "SMTP_URL is no address of a mail server" in watch.skipped
    monkeypatch.setenv("ALERT_URL", "chat.example.com/sesame")
    watch.tick()
    assert watch.skipped.startswith("ALERT_URL is no address")
    monkeypatch.delenv("ALERT_URL")
    monkeypatch.delenv("ALERT_EMAIL_TO")
    watch.tick()
    assert watch.skipped == "neither ALERT_URL nor ALERT_EMAIL_TO is set"
    monkeypatch.setenv("ALERT_URL", watch.hook.url)
    assert watch.tick() == [], "it was told before"


def test_an_empty_home_and_a_cursor_of_another_release_are_no_trouble(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, Any] = {"k": {"text": "was", "found_at": watch.now, "told": True, "later": 1}}
    watch.cursor = json.dumps({"webhook": {"said": said, "later": 2}})
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path / "nowhere"))
    assert watch.tick() == []
    assert not (tmp_path / "nowhere").exists()
    assert "over: was" in watch.tick(HOUR)[0]
