"""A Dagster upgrade fails here first: one room uses Dagster's private modules, and this is what it uses of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from cio_activation_tests.dagster_runtime.insides import ABSENT, PACKAGE, ROOM, private_modules, signature, used

RECORD = Path(__file__).parents[2] / "docs" / "decisions" / "0010-one-room-for-dagsters-insides.md"
REVIEWED = {
    "dagster._cli.api:execute_run_command": "(*args: Any, **kwargs: Any) -> Any",
    "dagster._cli.api:execute_run_command.main": "(args: Sequence[str] | None = None, prog_name: str | None = None, complete_var: str | None = None, standalone_mode: bool = True, windows_expand_args: bool = True, **extra: Any) -> Any",
    "dagster._core.event_api:EventHandlerFn": "Callable[[EventLogEntry, str], None]",
    "dagster._core.execution.api": "module",
    "dagster._core.launcher:CheckRunHealthResult": "(status: WorkerStatus, msg: str | None = None, transient: bool | None = None, run_worker_id: str | None = None)",
    "dagster._core.launcher:LaunchRunContext": "(dagster_run: DagsterRun, workspace: Optional[ForwardRef(BaseWorkspaceRequestContext)])",
    "dagster._core.launcher:LaunchRunContext.dagster_run": "property",
    "dagster._core.launcher:LaunchRunContext.job_code_origin": "property",
    "dagster._core.launcher:RunLauncher": "()",
    "dagster._core.launcher:RunLauncher._instance": "property",
    "dagster._core.launcher:RunLauncher.check_run_worker_health": "(self, run: DagsterRun) -> CheckRunHealthResult",
    "dagster._core.launcher:RunLauncher.dispose": "(self) -> None",
    "dagster._core.launcher:RunLauncher.launch_run": "(self, context: LaunchRunContext) -> None",
    "dagster._core.launcher:RunLauncher.supports_check_run_worker_health": "property",
    "dagster._core.launcher:RunLauncher.terminate": "(self, run_id: str) -> bool",
    "dagster._core.launcher:WorkerStatus": "enum of RUNNING, NOT_FOUND, FAILED, SUCCESS, UNKNOWN",
    "dagster._core.launcher:WorkerStatus.FAILED": "FAILED",
    "dagster._core.launcher:WorkerStatus.RUNNING": "RUNNING",
    "dagster._core.run_coordinator.queued_run_coordinator": "module",
    "dagster._core.storage.event_log": "module",
    "dagster._core.storage.event_log.polling_event_watcher:SqlPollingEventWatcher": "(event_log_storage: EventLogStorage)",
    "dagster._core.storage.event_log.polling_event_watcher:SqlPollingEventWatcher.close": "(self) -> None",
    "dagster._core.storage.event_log.polling_event_watcher:SqlPollingEventWatcher.unwatch_run": "(self, run_id: str, handler: Callable[[EventLogEntry, str], None]) -> None",
    "dagster._core.storage.event_log.polling_event_watcher:SqlPollingEventWatcher.watch_run": "(self, run_id: str, cursor: str | None, callback: Callable[[EventLogEntry, str], None]) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:INDEX_SHARD_NAME": "index",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage": "(base_dir: str, inst_data: ConfigurableClassData | None = None)",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage._connect": "(self, shard: str) -> Iterator[Connection]",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage._db_lock": "attribute",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage._initdb": "(self, engine: Engine, for_index_shard=False) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.conn_string_for_shard": "(self, shard_name: str) -> str",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.delete_events": "(self, run_id: str) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.path_for_shard": "(self, run_id: str) -> str",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.dispose": "(self) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.end_watch": "(self, run_id: str, handler: Callable[[EventLogEntry, str], None]) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.has_table": "(self, table_name: str) -> bool",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.watch": "(self, run_id: str, cursor: str | None, callback: Callable[[EventLogEntry, str], None]) -> None",
    "dagster._core.storage.event_log.sqlite.sqlite_event_log:SqliteEventLogStorage.wipe": "(self) -> None",
    "dagster._core.storage.runs": "module",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage": "(conn_string: str, inst_data: ConfigurableClassData | None = None)",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage.connect": "(self) -> Iterator[Connection]",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage.dispose": "(self) -> None",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage:SqliteRunStorage.from_local": "classmethod (cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage:SqliteScheduleStorage": "(conn_string: str, inst_data: ConfigurableClassData | None = None)",
    "dagster._core.storage.schedules.sqlite.sqlite_schedule_storage:SqliteScheduleStorage.from_local": "classmethod (cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> SqliteScheduleStorage",
    "dagster._core.storage.sqlite:SQLITE_BUSY_TIMEOUT_SECONDS": "30",
    "dagster._core.storage.sqlite:create_db_conn_string": "(base_dir: str, db_name: str) -> str",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage": "(base_dir: str, inst_data: ConfigurableClassData | None = None)",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage._event_log_storage": "attribute",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage._inst_data": "attribute",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage._run_storage": "attribute",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage._schedule_storage": "attribute",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage.base_dir": "attribute",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage.config_type": "classmethod (cls) -> Union[type[bool | float | int | str], type[dict[Any, Any] | list[Any]], ForwardRef(ConfigType), ForwardRef(Field), Mapping[str, Any], Sequence[Any]]",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage.from_config_value": "classmethod (cls, inst_data: ConfigurableClassData, config_value: SqliteStorageConfig) -> DagsterSqliteStorage",
    "dagster._core.storage.sqlite_storage:DagsterSqliteStorage.from_local": "classmethod (cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self",
    "dagster._grpc.types:ExecuteRunArgs": "(job_origin: JobPythonOrigin, run_id: str, instance_ref: InstanceRef | None, set_exit_code_on_failure: bool | None = None)",
    "dagster._grpc.types:ExecuteRunArgs.instance_ref": "property",
    "dagster._grpc.types:ExecuteRunArgs.run_id": "property",
    "dagster._serdes.config_class:ConfigurableClassData": "(module_name: str, class_name: str, config_yaml: str)",
    "dagster._serdes:ConfigurableClass": "()",
    "dagster._serdes:ConfigurableClass.config_type": "classmethod (cls) -> UserConfigSchema",
    "dagster._serdes:ConfigurableClass.from_config_value": "classmethod (cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self",
    "dagster._serdes:ConfigurableClass.inst_data": "property",
    "dagster._serdes:deserialize_value": "(val: str, as_type: type[~T_PackableValue] | tuple[type[~T_PackableValue], type[~U_PackableValue]] | None = None, whitelist_map: WhitelistMap = ...) -> Union[Sequence[PackableValue], Mapping[str, PackableValue], str, int, float, bool, NamedTuple, ForwardRef(BaseModel), ForwardRef(DataclassInstance), set[PackableValue], frozenset[PackableValue], Enum, IHaveNew, NoneType, ~T_PackableValue, ~U_PackableValue]",
    "dagster._serdes:serialize_value": "(val: Union[Sequence[PackableValue], Mapping[str, PackableValue], str, int, float, bool, NamedTuple, ForwardRef(BaseModel), ForwardRef(DataclassInstance), set[PackableValue], frozenset[PackableValue], Enum, IHaveNew, NoneType], whitelist_map: WhitelistMap = ..., **json_kwargs: Any) -> str",
}
"""Name or member -> how it looked when the code that uses it was last read against Dagster's own."""


def changes(reviewed: dict[str, str]) -> list[str]:
    """Return a line for each reviewed name that looks otherwise in the Dagster that is installed."""
    looks = {what: signature(what) for what in reviewed}
    return [f"{what}: was {reviewed[what]}, is {looks[what]}" for what in reviewed if looks[what] != reviewed[what]]


def names(reviewed: dict[str, str]) -> set[str]:
    """Return what the record has to name: modules, names and members, as they stand in code."""
    return {re.split(r"[:.]", what)[-1] if ":" in what else what for what in reviewed}


def test_only_one_room_imports_dagsters_private_modules() -> None:
    found = [
        f"{file.relative_to(PACKAGE.parent)}:{line} {name}"
        for file in sorted(PACKAGE.rglob("*.py"))
        if not file.is_relative_to(ROOM)
        for line, name in private_modules(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not found, "only cio_activation/dagster_runtime may: " + "; ".join(found)


def test_every_way_to_name_a_private_module_is_found() -> None:
    code = (
        "import dagster._core.launcher\nfrom dagster._grpc import types\nfrom dagster import _check\nP = ('dagster._serdes',)\n"
        "dg._utils.x\n'''About dagster._core, in words.'''\nimport dagster\nfrom dagster import op\n"
    )
    found = {name for _line, name in private_modules(ast.parse(code))}
    assert found == {
        "dagster._core.launcher", "dagster._grpc.types", "dagster._check", "dagster._serdes", "dagster._utils",
    }  # fmt: skip


def test_every_private_name_and_member_is_as_it_was_reviewed() -> None:
    changed = changes(REVIEWED)
    assert not changed, (
        f"Dagster's insides changed; read {RECORD.name}, mend cio_activation/dagster_runtime, then this table:\n"
        + "\n".join(changed)
    )


def test_nothing_is_used_that_was_not_reviewed_and_nothing_reviewed_is_unused() -> None:
    assert used() == REVIEWED.keys()


def test_what_an_upgrade_may_do_to_a_name_is_seen_and_said() -> None:
    launcher = "dagster._core.launcher:RunLauncher"
    told = {
        "dagster._core.starter:RunLauncher": "()",
        "dagster._core.launcher:RunStarter": "()",
        f"{launcher}.begin_run": "(self)",
        f"{launcher}.launch_run": "(self, run_id: str)",
        f"{launcher}.terminate": REVIEWED[f"{launcher}.terminate"],
    }
    assert changes(told) == [
        "dagster._core.starter:RunLauncher: was (), is no such module",
        "dagster._core.launcher:RunStarter: was (), is no such name",
        f"{launcher}.begin_run: was (self), is {ABSENT}",
        f"{launcher}.launch_run: was (self, run_id: str), is {REVIEWED[f'{launcher}.launch_run']}",
    ]


def test_the_decision_record_names_them_all() -> None:
    told = set(re.findall(r"`([\w.]+)`", RECORD.read_text(encoding="utf-8")))
    assert not names(REVIEWED) - told
