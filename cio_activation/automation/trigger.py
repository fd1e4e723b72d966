"""Launches a run as soon as the inbox has news: half a second after a webhook instead of the sensor's up to five.

Runs beside the receiver, in its process, and talks to Dagster only through the webserver's public GraphQL API, so a
run goes through the queue with its limits and is seen in the UI like any other. It never asks for a run while one
waits, or while one has just begun and will land what is there. The sensor stays underneath: it knows, by the tag
``cio/news``, what was asked for here, and asks itself when nothing came of it.

Imports nothing of Dagster: the receiver stays small.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from cio_activation.customerio.inbox import Inbox, News
from cio_activation.errors import CioActivationError
from cio_activation.transport.http import VendorClient

log = logging.getLogger("cio_activation.trigger")

NEWS_TAG = "cio/news"
"""Tag of a run: the mark of the news it was asked for."""
POLL_S = 0.25
"""How often the inbox is read: one read of an index."""
LANDING_S = 4.0
"""A run that began so recently has probably not landed the inbox yet, and will take what is new with it.

A guess is enough. Where the run has landed already, the next read after it ends asks for another, which could not have
begun before: the lane has one run at a time. Where it lands later than this, one run more waits, and finds less to do.
"""
AGAIN_S = 30.0
"""Events that are still there so long after a run was asked for are the sensor's business too."""
PAUSE_S = 5.0
"""Between tries while the webserver does not answer; the sensor works meanwhile."""
JOB = "realtime"
_KEY = "%Y-%m-%dT%H:%M"

_FIND = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }"""
_KEYS = """query($p: PipelineSelector!) { pipelineOrError(params: $p) { __typename ... on Pipeline {
    partitionKeysOrError(limit: 2, reverse: true) { partitionKeys } } } }"""
_BUSY = """query($f: RunsFilter!) { runsOrError(filter: $f, limit: 10) { ... on Runs {
    results { status startTime creationTime } } ... on PythonError { message } } }"""
_LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_LIVE = ["QUEUED", "NOT_STARTED", "STARTING", "STARTED"]


class Refusal(CioActivationError):
    """Dagster answered, but not with what was asked for; says with what."""


class Trigger:
    """Watches ``inbox`` and launches runs of the real-time job through the webserver at ``url``."""

    def __init__(self, inbox: Inbox, url: str) -> None:
        self._inbox, self._url = inbox, url
        self._asked, self._asked_at = "", float("-inf")
        self._selector: dict[str, str] = {}
        self._last, self._length = datetime.min.replace(tzinfo=UTC), timedelta()

    async def watch(self) -> None:
        """Read the inbox and launch until cancelled; whatever does not work is logged once and tried again."""
        said = ""
        while True:
            try:
                async with VendorClient("dagster", self._url, {}, attempts=1, timeout_s=30.0) as client:
                    while True:
                        await self.launch_for_news(client)
                        said = ""
                        await asyncio.sleep(POLL_S)
            except (CioActivationError, sa.exc.SQLAlchemyError, KeyError, TypeError) as error:
                told = f"{type(error).__name__}: {error}" if isinstance(error, CioActivationError) else repr(error)
                if told != said:
                    log.warning("no run can be launched at once, the sensor will: %s", told)
                said = told
                await asyncio.sleep(PAUSE_S)

    async def launch_for_news(self, client: VendorClient) -> str | None:
        """Launch a run if there is news that no run is about to take; return its id."""
        news = await asyncio.to_thread(self._inbox.news)
        now = time.time()
        if not news.events or (news.mark == self._asked and now - self._asked_at < AGAIN_S):
            return None
        if not self._selector:
            await self._learn(client)
        runs = (await self._ask(client, _BUSY, {"f": {"pipelineName": JOB, "statuses": _LIVE}}))["runsOrError"]
        if takes_it_with_it(runs["results"], now):
            return None
        return await self._launch(client, news, now)

    async def _launch(self, client: VendorClient, news: News, now: float) -> str:
        tags = {"dagster/partition": self._window(now), NEWS_TAG: news.mark}
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
        params = {"selector": self._selector, "runConfigData": {}, "executionMetadata": metadata}
        answer = (await self._ask(client, _LAUNCH, {"p": params}))["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            self._selector = {}  # the location may have another name by now
            raise Refusal(f"Dagster answered {answer['__typename']}: {str(answer.get('message', ''))[:200]}")
        self._asked, self._asked_at = news.mark, now
        return str(answer["run"]["runId"])

    async def _learn(self, client: VendorClient) -> None:
        """Find the job's location, and how its windows are cut, by its last two."""
        found = (await self._ask(client, _FIND, {}))["repositoriesOrError"]
        for node in found.get("nodes", ()):
            if any(job["name"] == JOB for job in node["jobs"]):
                place = {"repositoryLocationName": node["location"]["name"], "repositoryName": node["name"]}
                break
        else:
            raise Refusal(f"no code location has a job {JOB}")
        selector = {**place, "pipelineName": JOB}
        keys = (await self._ask(client, _KEYS, {"p": selector}))["pipelineOrError"]["partitionKeysOrError"]
        newest, before = sorted((_instant(k) for k in keys["partitionKeys"]), reverse=True)
        self._last, self._length = newest, newest - before
        self._selector = {**place, "jobName": JOB}

    def _window(self, now: float) -> str:
        past = datetime.fromtimestamp(now, UTC) - self._last
        return (self._last + past // self._length * self._length).strftime(_KEY)

    @staticmethod
    async def _ask(client: VendorClient, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        # Not repeatable: a launch whose answer is lost may have been made.
        answer = (await client.request("POST", "/graphql", operation="graphql", json=body)).json()
        if answer.get("errors"):
            raise Refusal(f"Dagster refused a query: {str(answer['errors'][0].get('message'))[:200]}")
        return dict(answer["data"])


def takes_it_with_it(runs: Sequence[dict[str, Any]], now: float) -> bool:
    """Tell whether a run of the lane waits, or has only just begun: it will land what is in the inbox now."""
    return any(r["status"] != "STARTED" or now - (r["startTime"] or now) < LANDING_S for r in runs)


def _instant(key: str) -> datetime:
    return datetime.strptime(key, _KEY).replace(tzinfo=UTC)
