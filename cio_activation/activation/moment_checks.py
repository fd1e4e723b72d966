"""Checks of what an audience starts from, a segment or a moment, and of what only one of the two can say."""

from __future__ import annotations

from datetime import timedelta

from cio_activation.activation.draft import Draft
from cio_activation.activation.durations import format_duration
from cio_activation.activation.expressions import Expression
from cio_activation.activation.file import AudienceFile
from cio_activation.activation.models import ExitReason, Lane
from cio_activation.activation.moment_terms import name_flaw
from cio_activation.activation.moment_where import parse_where
from cio_activation.activation.problems import Path
from cio_activation.errors import ConfigError


def exits(written: AudienceFile) -> tuple[ExitReason, ...]:
    """Return what ends a stay early, each once: leaving the segment always does, where there is one."""
    always = (ExitReason.LEFT_SEGMENT,) if written.moment is None else ()
    said = (e for e in written.exit_on if written.moment is None or e is not ExitReason.LEFT_SEGMENT)
    return tuple(dict.fromkeys((*always, *said)))


def check_source(draft: Draft, name: str, written: AudienceFile) -> None:
    """Note what is wrong with where an audience's people come from."""
    path: Path = ("audiences", name)
    if written.segment is None and written.moment is None:
        draft.problems.add(path, "says not where its people come from; add segment: <id>, or moment: {name: ...}")
    elif written.moment is not None:
        if written.segment is not None:
            draft.problems.add((*path, "moment"), "stands beside a segment; an audience has one source, remove one")
        _check_moment(draft, path, written)


def check_spans(draft: Draft, path: Path, expression: Expression) -> None:
    """Note what an expression asks of moments that are not kept for so long."""
    kept = draft.file.workspace.moment_retention
    for count in expression.moments:
        if count.within > kept:
            draft.problems.add(
                path,
                f"{count}: moments are kept for {format_duration(kept)}; shorten the span, or raise "
                "workspace.moment_retention",
            )


def _check_moment(draft: Draft, path: Path, written: AudienceFile) -> None:
    problems, source = draft.problems, written.moment
    if source is None:
        return
    if (flaw := name_flaw(source.name)) is not None:
        problems.add((*path, "moment", "name"), f"{source.name!r} {flaw}")
    if source.where is not None:
        try:
            parse_where(source.where)
        except ConfigError as error:
            problems.add_all((*path, "moment", "where"), error)
    if written.lane is not Lane.REALTIME:
        problems.add((*path, "lane"), "an audience that starts from a moment is of the realtime lane; write realtime")
    if written.again_after is not None:
        problems.add((*path, "again_after"), "a moment acts once at most; remove it, the next moment lets people in")
    if "exit_on" in written.model_fields_set and ExitReason.LEFT_SEGMENT in written.exit_on:
        problems.add((*path, "exit_on"), "left_segment is for audiences with a segment; remove it")
    _check_times(draft, path, written)


def _check_times(draft: Draft, path: Path, written: AudienceFile) -> None:
    workspace, span = draft.file.workspace, written.expires_after
    if span is None:
        draft.problems.add(path, "expires_after is missing; say how long a moment counts, such as expires_after: 48h")
        return
    place: Path = (*path, "expires_after")
    if timedelta(0) < span < workspace.realtime_window:
        draft.problems.add(
            place,
            f"is shorter than workspace.realtime_window ({format_duration(workspace.realtime_window)}); moments would "
            "be over before a window ends",
        )
    reads_body = written.moment is not None and written.moment.where is not None
    name = "moment_body_retention" if reads_body else "moment_retention"
    kept: timedelta = getattr(workspace, name)
    if span > kept:
        what = "bodies, which where reads," if reads_body else "moments"
        draft.problems.add(
            place, f"is longer than {what} are kept ({format_duration(kept)}); shorten it, or raise workspace.{name}"
        )
    if written.grace >= span:
        draft.problems.add((*path, "grace"), "is as long as a moment counts (expires_after); nobody would ever enter")
