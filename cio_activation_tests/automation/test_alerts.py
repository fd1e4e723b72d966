"""A failed run is announced, with the step's own words and without the address in any message."""

from __future__ import annotations

import asyncio

import dagster as dg
import pytest

from cio_activation.automation.alerts import alert_on_failure, tell_owed
from cio_activation.automation.channels import post
from cio_activation.transport.errors import VendorError
from cio_activation_tests.automation.conftest import Hook
from cio_activation_tests.drivers.mail import mail_server

TOLD = "daily 2026-11-21 failed: breaks: hubspot/properties_daily: 401"


@dg.op
def breaks() -> None:
    raise dg.Failure("hubspot/properties_daily: 401")


@dg.job(tags={"dagster/partition": "2026-11-21"})
def daily() -> None:
    breaks()


def fail(instance: dg.DagsterInstance) -> str:
    """Run a job that fails, and show the failure to the sensor as Dagster does; return the run's id."""
    result = daily.execute_in_process(instance=instance, raise_on_error=False)
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_on_failure",
        dagster_event=result.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=result.dagster_run,
    ).for_run_failure()
    alert_on_failure(context)
    return result.run_id


def tag_of(instance: dg.DagsterInstance, run_id: str, channel: str = "webhook") -> str | None:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.tags.get(f"cio/alert_{channel}")


def test_a_failed_run_is_told_by_webhook_and_mail_with_its_window_and_step(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server() as box, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("ALERT_URL", hook.url)
        monkeypatch.setenv("ALERT_EMAIL_TO", "ann@example.com")
        monkeypatch.setenv("ALERT_EMAIL_FROM", "alerts@example.com")
        monkeypatch.setenv("SMTP_URL", f"smtp://localhost:{box.port}")
        run_id = fail(instance)
        assert [tag_of(instance, run_id, channel) for channel in ("webhook", "email")] == ["told", "told"]
    ((path, text),) = hook.came
    assert path == "/hook/sesame?x=1"
    assert TOLD in text
    assert TOLD in box.texts[0]
    assert box.came[0]["Subject"] == "cio_activation: daily 2026-11-21 failed"


def test_a_failed_run_that_was_not_taken_is_owed_and_told_later_once(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_URL", hook.url)
    hook.answer = 403
    said: list[str] = []
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = fail(instance)
        assert tag_of(instance, run_id) == "owed"

        def owed() -> bool:
            return tell_owed(instance, "webhook", lambda _subject, text: asyncio.run(post(hook.url, text)), said.append)

        assert owed(), "the other sensor may be at it still"
        monkeypatch.setattr("cio_activation.automation.alerts.AFTER_S", -1.0)
        assert not owed()
        hook.answer = 200
        assert owed()
        assert owed()
        assert tag_of(instance, run_id) == "told"
    assert [TOLD in text for text in hook.texts] == [True]
    assert "answered 403" in said[0]
    assert "sesame" not in said[0]


def test_without_a_channel_nothing_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALERT_URL", "ALERT_EMAIL_TO"):
        monkeypatch.delenv(name, raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        assert tag_of(instance, fail(instance)) is None


def test_an_address_that_refuses_is_an_error_without_the_address(hook: Hook) -> None:
    hook.answer = 403
    with pytest.raises(VendorError) as caught:
        asyncio.run(post(hook.url, "text"))
    assert "sesame" not in str(caught.value)
