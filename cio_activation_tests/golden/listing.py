"""The code location in words: one fact a line, in an order that no set or dictionary decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg

from cio_activation.activation.models import Activation
from cio_activation.definitions import build_definitions

_OF_DAGSTER = "dagster/"


def texts(activation: Activation) -> dict[str, str]:
    """Return the texts ``definitions/...`` of the code location built for ``activation``."""
    location = build_definitions(activation)
    repository = location.get_repository_def()
    specs = {s.key.to_user_string(): s for s in location.resolve_all_asset_specs()}
    graph = location.resolve_asset_graph()
    assets = [line for name in sorted(specs) for line in _asset(specs[name], graph)]
    jobs = [
        line
        for job in sorted(repository.get_all_jobs(), key=lambda j: j.name)
        if not job.name.startswith("__")
        for line in _job(job)
    ]
    schedules = [line for s in sorted(repository.schedule_defs, key=lambda s: s.name) for line in _schedule(s)]
    sensors = [line for s in sorted(repository.sensor_defs, key=lambda s: s.name) for line in _sensor(s)]
    return {
        "definitions/assets.txt": _text(assets),
        "definitions/jobs.txt": _text(jobs),
        "definitions/automation.txt": _text([*schedules, *sensors]),
    }


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def _asset(spec: dg.AssetSpec, graph: Any) -> Iterator[str]:
    node = graph.get(spec.key)
    yield f"asset {spec.key.to_user_string()}"
    yield f"  group {spec.group_name}"
    yield f"  kinds {', '.join(sorted(spec.kinds))}"
    yield f"  owners {', '.join(sorted(spec.owners))}"
    yield f"  partitions {_partitions(node.partitions_def)}"
    yield from (f"  tag {k} {v}" for k, v in sorted(spec.tags.items()) if not k.startswith(_OF_DAGSTER))
    for key in sorted((d.asset_key for d in spec.deps), key=dg.AssetKey.to_user_string):
        mapping = node.partition_mappings.get(key)
        yield f"  dep {key.to_user_string()}" + (f" by {type(mapping).__name__}" if mapping is not None else "")
    for check in sorted(node.check_keys, key=lambda k: k.name):
        yield f"  check {check.name} ({'blocking' if graph.get_check_spec(check).blocking else 'tells only'})"
    for name, value in sorted(spec.metadata.items()):
        if isinstance(value, dg.TableSchema):
            yield from (f"  column {c.name} {c.type}" for c in value.columns)
        else:
            yield f"  metadata {name}" + (f" {value}" if isinstance(value, str) else "")


def _partitions(partitions: dg.PartitionsDefinition | None) -> str:
    if partitions is None:
        return "none"
    assert isinstance(partitions, dg.TimeWindowPartitionsDefinition)
    ahead = f", {partitions.end_offset} ahead" if partitions.end_offset else ""
    return f"{partitions.cron_schedule} {partitions.timezone} from {partitions.start:%Y-%m-%dT%H:%M}{ahead}"


def _job(job: Any) -> Iterator[str]:
    yield f"job {job.name}"
    yield f"  partitions {_partitions(job.partitions_def)}"
    yield from (f"  tag {k} {v}" for k, v in sorted(job.tags.items()))
    keys = sorted(k.to_user_string() for k in job.asset_layer.executable_asset_keys)
    yield from (f"  asset {key}" for key in keys)


def _schedule(schedule: dg.ScheduleDefinition) -> Iterator[str]:
    yield f"schedule {schedule.name}"
    yield f"  cron {schedule.cron_schedule} {schedule.execution_timezone}"
    yield f"  job {schedule.job_name}"
    yield f"  at first {schedule.default_status.value.lower()}"


def _sensor(sensor: dg.SensorDefinition) -> Iterator[str]:
    yield f"sensor {sensor.name}"
    yield f"  kind {sensor.sensor_type.value.lower()}"
    yield f"  every {sensor.minimum_interval_seconds} s" if sensor.minimum_interval_seconds else "  every tick"
    yield from (f"  job {target.job_name}" for target in sensor.targets)
    yield f"  at first {sensor.default_status.value.lower()}"
