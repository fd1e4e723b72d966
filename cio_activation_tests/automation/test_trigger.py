"""The receiver's trigger: a run per piece of news, none while one waits or has just begun."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import Lane
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.automation.trigger import LANDING_S, NEWS_TAG, Refusal, Trigger
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal.attempts import Journal
from cio_activation.lanes.partitions import Lanes
from cio_activation.transport.http import VendorClient

LANES = Lanes.of(load_activation(DEFAULT_ACTIVATION, DESTINATIONS))


class Webserver:
    """Answers the trigger's queries as Dagster's webserver does."""

    def __init__(self, home: Path) -> None:
        self.inbox = Inbox(Journal(f"sqlite:///{home / 'journal.sqlite'}"))
        self.runs: list[dict[str, Any]] = []
        self.launched: list[dict[str, str]] = []
        self.refusal: str | None = None
        self.trigger = Trigger(self.inbox, "http://dagster.test")

    def look(self) -> str | None:
        async def ask() -> str | None:
            transport = httpx.MockTransport(self._answer)
            async with VendorClient("dagster", "http://dagster.test", {}, attempts=1, transport=transport) as client:
                return await self.trigger.launch_for_news(client)

        return asyncio.run(ask())

    def arrive(self, number: int) -> None:
        self.inbox.add([Event(Source.JOURNEY, f"e{number}", "cart_updated", b"{}", 1.0)])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        for words, answer in self._answers().items():
            if words in asked["query"]:
                return httpx.Response(200, json={"data": answer(asked["variables"])})
        raise AssertionError(asked["query"])

    def _answers(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        keys = LANES.realtime.get_partition_keys()[-2:]
        node = {"name": "__repository__", "location": {"name": "somewhere"}, "jobs": [{"name": "realtime"}]}
        return {
            "repositoriesOrError": lambda _: {"repositoriesOrError": {"nodes": [node]}},
            "partitionKeysOrError": lambda _: {"pipelineOrError": {"partitionKeysOrError": {"partitionKeys": keys}}},
            "runsOrError": lambda _: {"runsOrError": {"results": self.runs}},
            "launchRun": self._launch,
        }

    def _launch(self, variables: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            return {"launchRun": {"__typename": self.refusal, "message": "no"}}
        params = variables["p"]
        assert params["selector"]["repositoryLocationName"] == "somewhere"
        self.launched.append({t["key"]: t["value"] for t in params["executionMetadata"]["tags"]})
        return {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": f"run-{len(self.launched)}"}}}


@pytest.fixture
def webserver(tmp_path: Path) -> Webserver:
    return Webserver(tmp_path)


def test_news_gets_one_run_of_the_current_window(webserver: Webserver) -> None:
    assert webserver.look() is None
    webserver.arrive(1)
    before = datetime.now(UTC)
    assert webserver.look() == "run-1"
    (tags,) = webserver.launched
    windows = {LANES.window_at(Lane.REALTIME, moment).key for moment in (before, datetime.now(UTC))}
    assert tags["dagster/partition"] in windows
    assert tags[NEWS_TAG] == webserver.inbox.news().mark
    assert webserver.look() is None  # nothing came since
    webserver.arrive(2)
    assert webserver.look() == "run-2"


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING"])
def test_a_waiting_run_takes_the_news_with_it(webserver: Webserver, status: str) -> None:
    webserver.arrive(1)
    webserver.runs = [{"status": status, "startTime": None}]
    assert webserver.look() is None
    webserver.runs = []
    assert webserver.look() == "run-1"


def test_a_run_that_has_just_begun_takes_it_too_and_a_later_one_does_not(webserver: Webserver) -> None:
    webserver.arrive(1)
    webserver.runs = [{"status": "STARTED", "startTime": time.time()}]
    assert webserver.look() is None
    webserver.runs = [{"status": "STARTED", "startTime": time.time() - LANDING_S - 1}]
    assert webserver.look() == "run-1"


def test_a_quick_run_that_ended_without_the_news_leaves_it_to_the_next_look(webserver: Webserver) -> None:
    webserver.arrive(1)
    assert webserver.look() == "run-1"
    webserver.arrive(2)  # run-1 had looked at the inbox already
    webserver.runs = [{"status": "STARTED", "startTime": time.time()}]
    assert webserver.look() is None
    webserver.runs = []  # it has ended, sooner than LANDING_S after it began
    assert webserver.look() == "run-2"


def test_a_refused_launch_is_tried_again(webserver: Webserver) -> None:
    webserver.arrive(1)
    webserver.refusal = "PipelineNotFoundError"
    with pytest.raises(Refusal, match="PipelineNotFoundError"):
        webserver.look()
    webserver.refusal = None
    assert webserver.look() == "run-1"


def test_a_webserver_that_is_away_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox(Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}"))
    inbox.add([Event(Source.JOURNEY, "e1", "cart_updated", b"{}", 1.0)])

    async def watch() -> None:
        async with asyncio.timeout(2):
            await Trigger(inbox, "http://127.0.0.1:1").watch()

    with pytest.raises(TimeoutError):
        asyncio.run(watch())
    assert "the sensor will" in caplog.text
