"""``cio-activation``: the one command line. Exit code 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

import typer

from cio_activation.cli import (
    actions,
    audit,
    check,
    demo,
    doctor,
    fields,
    forget,
    init,
    metrics,
    pause,
    plan,
    receive,
    rejected,
    release,
    report,
    resync,
    run,
    sample,
    sandbox,
    sign,
    sql,
    why,
)
from cio_activation.cli.group import Group

app = typer.Typer(
    name="cio-activation",
    cls=Group,
    help="Carries Customer.io's decisions into HubSpot and Pipedrive.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals hold credentials and people
    add_completion=False,
)
app.command("demo")(demo.demo)
app.command("sample")(sample.sample)
app.command("sandbox")(sandbox.sandbox)
app.command("check")(check.check)
app.command("doctor")(doctor.doctor)
app.command("fields")(fields.fields)
app.command("forget")(forget.forget)
app.command("init")(init.init)
app.add_typer(actions.actions)
app.command("audit")(audit.audit)
app.command("metrics")(metrics.metrics)
app.command("pause")(pause.pause)
app.command("resume")(pause.resume)
app.command("plan")(plan.plan)
app.command("receive")(receive.receive)
app.command("rejected")(rejected.rejected)
app.command("release")(release.release)
app.command("report")(report.report)
app.command("resync")(resync.resync)
app.command("run")(run.run)
app.command("sign")(sign.sign)
app.command("sql")(sql.sql)
app.command("why")(why.why)


if __name__ == "__main__":
    app()
