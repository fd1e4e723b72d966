"""The receiver beside another command: it takes webhooks while that runs, and ends with it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from cio_activation.cli.receiver_process import receiver_beside
from cio_activation.customerio.inbox import Inbox
from cio_activation.errors import CioActivationError
from cio_activation.journal.attempts import Journal
from cio_activation_tests.drivers.receiver import KEY, clicked, encoded, signed

pytestmark = pytest.mark.slow


def test_it_receives_until_the_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    monkeypatch.setenv("CUSTOMERIO_WEBHOOK_SIGNING_KEY", KEY)
    body = encoded(clicked(1))
    with receiver_beside() as webhooks:
        assert httpx.post(webhooks["reporting"], content=body, headers=signed(body), timeout=30).status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(webhooks["reporting"], content=body, headers=signed(body), timeout=30)
    journal = Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    assert len(Inbox(journal).new()) == 1
    journal.close()


def test_why_it_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACTIVATION_HOME", str(tmp_path))
    monkeypatch.delenv("CUSTOMERIO_WEBHOOK_SIGNING_KEY", raising=False)
    with pytest.raises(CioActivationError, match="CUSTOMERIO_WEBHOOK_SIGNING_KEY is not set"), receiver_beside():
        pass
