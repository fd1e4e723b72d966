"""Announces failed runs, a held plan among them, to where the user wants to be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import dagster as dg

from cio_activation.activation.settings import Settings
from cio_activation.automation.channels import NOWHERE, Send, channels, told

_OWED, _TOLD = "owed", "told"
AFTER_S = 120.0
"""A failed run that is still owed so long after its end is told by the other sensor: this one did not get through."""
LONGEST = 4_000
"""Characters of a failed run's words: chats refuse long messages, and one that is refused is tried for ever."""


def tag(channel: str) -> str:
    """Return the tag of a failed run that says whether a channel was told."""
    return f"cio/alert_{channel}"


@dg.run_failure_sensor(
    name="alert_on_failure",
    description="Tells of each failed run by webhook and e-mail: lane, window, steps and their words; nobody's data.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def alert_on_failure(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Tell each channel; without one, only Dagster's own log has it.

    The run is tagged as owed first: Dagster shows a run here once, whatever comes of it.
    """
    found, problems = channels(Settings())
    for problem in problems:
        context.log.error(problem)
    if not found:
        return dg.SkipReason(problems[0] if problems else NOWHERE)
    run = context.dagster_run
    context.instance.add_run_tags(run.run_id, {tag(channel): _OWED for channel in found})
    for channel, send in found.items():
        _tell(context.instance, run, channel, send, context.log.error)
    return None


def tell_owed(instance: dg.DagsterInstance, channel: str, send: Send, log: Callable[[str], None]) -> bool:
    """Tell of the failed runs that a channel did not take when they failed; return whether it takes something now."""
    records = instance.get_run_records(dg.RunsFilter(tags={tag(channel): _OWED}), limit=20, ascending=True)
    late = [r for r in records if r.end_time is None or r.end_time < time.time() - AFTER_S]
    return all(_tell(instance, record.dagster_run, channel, send, log) for record in late)


def _tell(
    instance: dg.DagsterInstance, run: dg.DagsterRun, channel: str, send: Send, log: Callable[[str], None]
) -> bool:
    window = run.tags.get("dagster/partition", "no partition")
    subject = f"cio_activation: {run.job_name} {window} failed"
    failed = "; ".join(words(instance, run))[:LONGEST]
    taken, problem = told(send, subject, f"{subject}: {failed} (run {run.run_id})")
    if problem:
        log(f"the alert {'was taken by some only' if taken else 'could not be delivered'}: {problem}")
    if taken:
        instance.add_run_tags(run.run_id, {tag(channel): _TOLD})
    return taken


def words(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[str]:
    """Give each failed step and its failure's description, else what the run itself says."""
    steps = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    yield from (_words_of(entry.dagster_event) for entry in steps if entry.dagster_event)
    if not steps:
        whole = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        yield from (str(entry.dagster_event.message) for entry in whole if entry.dagster_event)


def _words_of(event: dg.DagsterEvent) -> str:
    """Return a failed step and its failure's description; of a defect only the kind, its text may hold anything."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    cause = data.error.cause or data.error if data.error else None
    return f"{event.step_key}: {cause.cls_name if cause else 'failed'}"
