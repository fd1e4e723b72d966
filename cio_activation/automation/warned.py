"""The sensor that tells a person of warnings: once when one begins, once when it is over.

It looks for itself, so that it tells also when the run that would have failed. What it tells of: the warnings of
:mod:`cio_activation.outcome.warnings`, and every check of an asset that failed with severity WARN. Checks that say the
same as such a warning are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation
from cio_activation.activation.settings import Settings
from cio_activation.automation import telling
from cio_activation.automation.alerts import tell_owed
from cio_activation.automation.channels import NOWHERE, Send, channels, told
from cio_activation.automation.telling import ChannelState
from cio_activation.customerio.assets import UNCHANGED
from cio_activation.errors import WarehouseBusy
from cio_activation.feedback.assets import HEARD
from cio_activation.lanes.runs import runtime_of
from cio_activation.outcome.warning_kinds import DAILY_KINDS, Kind
from cio_activation.warehouse.sessions import Warehouse

EVERY_S = 30
LOCK_S = 10.0
"""Longest wait for the warehouse: Dagster gives a tick a minute."""
_CHECK = "check:"


def warnings_sensor(activation: Activation, assets: Iterable[Any]) -> dg.SensorDefinition:
    """Return the sensor; ``assets``: those whose checks it tells of."""
    checks = [
        key
        for asset in assets
        if isinstance(asset, dg.AssetsDefinition)
        for key in asset.check_keys
        # Told as segment_changed and feedback_unread; those of outcome/warnings are the warnings themselves.
        if key.name not in (UNCHANGED, HEARD) and key.asset_key.path != ["outcome", "warnings"]
    ]

    @dg.sensor(
        name="alert_on_warnings",
        minimum_interval_seconds=EVERY_S,
        description="Tells of each warning by webhook and e-mail: once when it begins, once when it is over.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alert_on_warnings(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = Settings()
        found, problems = channels(settings)
        for problem in problems:
            context.log.error(problem)
        if not found:
            return dg.SensorResult(skip_reason=problems[0] if problems else NOWHERE, cursor=context.cursor)
        now = time.time()
        holding, is_unknown = _holding(activation, settings, context.instance, checks, now)
        states = telling.read(context.cursor)  # of a channel that is not set now too: it may be again
        said: list[str] = []
        for channel, send in found.items():
            state = states.get(channel, ChannelState()).found(holding, is_unknown, now)
            states[channel] = _tell(context, channel, send, state, now, said)
        reason = "; ".join(said) or f"nothing new: {len(holding)} warnings hold"
        return dg.SensorResult(skip_reason=reason, cursor=telling.written(states))

    return alert_on_warnings


def _tell(
    context: dg.SensorEvaluationContext, channel: str, send: Send, state: ChannelState, now: float, said: list[str]
) -> ChannelState:
    if now < state.try_at:
        return state
    if not tell_owed(context.instance, channel, send, context.log.error):
        said.append(f"{channel}: a failed run could not be told of")
        return state.not_taken(now)
    message = state.message(now)
    if message is None:
        return state
    taken, problem = told(send, *message)
    if problem:
        context.log.error(f"{channel}: {problem}")
    said.append(f"{channel}: {message[0] if taken else 'could not be told; it is tried again'}")
    return state.taken(now) if taken else state.not_taken(now)


def _holding(
    activation: Activation,
    settings: Settings,
    instance: dg.DagsterInstance,
    checks: Sequence[dg.AssetCheckKey],
    now: float,
) -> tuple[dict[str, str], Callable[[str], bool]]:
    """Return key -> text of the warnings that hold, and of which keys nothing can be told now."""
    failed, undecided = _failed_checks(instance, checks)
    stored = _stored(activation, settings, datetime.fromtimestamp(now, UTC).replace(tzinfo=None))

    def is_unknown(key: str) -> bool:
        return key in undecided if key.startswith(_CHECK) else stored is None

    return {**(stored or {}), **failed}, is_unknown


def _stored(activation: Activation, settings: Settings, now: datetime) -> dict[str, str] | None:
    """Return key -> text of the warehouse's warnings; None while somebody else is at work in it."""
    from cio_activation.outcome import warnings

    if not settings.warehouse_path.exists():
        return {}
    try:
        runtime_of(activation)  # migrates a home of an older release
        with Warehouse(
            settings.warehouse_path, lock_timeout_s=LOCK_S, memory_limit=settings.activation_duckdb_memory
        ).read() as con:
            found = warnings.warnings(con, activation, now, set(Kind) - DAILY_KINDS)
            found += warnings.last_found(con, DAILY_KINDS)
    except WarehouseBusy:
        return None
    return {w.key: f"{w.sentence}. Mend: {w.mend}" for w in found}


def _failed_checks(
    instance: dg.DagsterInstance, checks: Sequence[dg.AssetCheckKey]
) -> tuple[dict[str, str], frozenset[str]]:
    """Return key -> text of the checks whose last result is a warning, and the keys of those at work or cut off."""
    failed: dict[str, str] = {}
    undecided: set[str] = set()
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    for check, record in latest.items():
        name = f"{check.asset_key.to_user_string()}: check {check.name}"
        evaluation = record.evaluation
        if not isinstance(evaluation, dg.AssetCheckEvaluation):
            undecided.add(_CHECK + name)
        elif not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.WARN:
            failed[_CHECK + name] = f"{name} failed: {evaluation.description or _counts(evaluation.metadata)}"
    return failed, frozenset(undecided)


def _counts(metadata: Mapping[str, dg.MetadataValue]) -> str:
    return ", ".join(f"{name} {value.value}" for name, value in metadata.items()) or "no detail"
