"""The switch of an audience in Dagster's UI: a job that pauses one, or lets people in again."""

import dagster as dg
from pydantic import Field

from cio_activation.activation.models import Activation
from cio_activation.lanes.failures import failures
from cio_activation.lanes.runs import runtime_of

JOB = "pause_audience"


class Switch(dg.Config):
    """What the launchpad asks for."""

    audience: str = Field(description="Its name, as in activation.yaml.")
    why: str = Field(description="Why, for whoever wonders later that nobody enters.")
    who: str = Field(default="somebody in the Dagster UI", description="Who wants it.")
    resume: bool = Field(default=False, description="True lets people in again.")


def pause_job(activation: Activation) -> dg.JobDefinition:
    """Return the job that pauses an audience of ``activation``: nobody enters, exits clear as ever."""

    @dg.op(name="pause_or_resume", description="Nobody enters a paused audience; exits clear as ever.")
    def switch(context: dg.OpExecutionContext, config: Switch) -> None:
        from datetime import UTC, datetime

        from cio_activation.audience import pauses

        with failures(), runtime_of(activation).warehouse.write() as con:
            now = datetime.now(UTC).replace(tzinfo=None)
            if config.resume:
                over = pauses.resume(con, config.audience, now, config.who)
                context.log.info("people enter %s again with its next run; it was %s", config.audience, over)
            else:
                found = pauses.pause(con, activation, config.audience, now, config.who, config.why)
                context.log.info("%s is %s; nobody enters with its next run", config.audience, found)

    @dg.job(
        name=JOB,
        executor_def=dg.in_process_executor,
        description="The switch of an audience: pause it, or let people in again (resume: true). Paused, nobody enters "
        "with its next run, and whoever is in leaves as ever.",
    )
    def job() -> None:
        switch()

    return job
