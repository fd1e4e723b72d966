"""Dagster's own history, kept as long as the workspace says: runs, their events, and what they printed.

By Dagster's own API. What the lanes look for among finished runs stays however old it is: the newest run of each job
(what it deferred, what it read of segments) and the newest that ended well. A window whose run went shows as not
materialized in the UI; asked for again it publishes and sends nothing, as it is older than what was.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

MOST = 2_000
"""Runs of one day's pruning at most: a home that was never pruned catches up over some days."""
_PAGE = 200
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def prune(instance: dg.DagsterInstance, before: datetime, most: int = MOST) -> int:
    """Delete finished runs that were made before an instant (naive UTC), oldest first; return how many that were.

    A run's events go first: whoever dies in between leaves a run without events, which the next pruning deletes.
    """
    old = _old(instance, before, most)
    for run_id in old:
        instance.event_log_storage.delete_events(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.delete_run(run_id)
    return len(old)


def _old(instance: dg.DagsterInstance, before: datetime, most: int) -> list[str]:
    """Return the ids of finished runs from before an instant that nobody needs, oldest first, ``most`` of them."""
    asked = dg.RunsFilter(statuses=_FINISHED, created_before=before.replace(tzinfo=UTC))
    needed: dict[str, set[str]] = {}
    found: list[str] = []
    cursor: str | None = None
    while page := instance.get_run_records(asked, limit=_PAGE, ascending=True, cursor=cursor):
        for run in (record.dagster_run for record in page):
            if run.job_name not in needed:
                needed[run.job_name] = _needed(instance, run.job_name)
            if run.run_id not in needed[run.job_name]:
                found.append(run.run_id)
            if len(found) == most:
                return found
        cursor = page[-1].dagster_run.run_id
    return found


def _needed(instance: dg.DagsterInstance, job: str) -> set[str]:
    """Return the ids of the job's newest run, and of its newest that ended well."""
    newest = instance.get_run_records(dg.RunsFilter(job_name=job), limit=1)
    well = instance.get_run_records(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)
    return {record.dagster_run.run_id for record in (*newest, *well)}
