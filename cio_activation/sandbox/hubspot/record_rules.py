"""What HubSpot asks of a record beyond its single values: due times, owners, queues, stages, rules of administrators.

Questions that the documents leave open are switches (:class:`Settings`): the fact sheet, sections 5, 7 and 9.
"""

from __future__ import annotations

from cio_activation.sandbox.hubspot.account import Account
from cio_activation.sandbox.hubspot.errors import VALIDATION, Invalid, Refusal, invalid_values, stamp
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.values import LOOSE_VERSION

STATUSES = ("NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED")
OWNER, QUEUES, COMPLETION = "hubspot_owner_id", "hs_queue_membership_ids", "hs_task_completion_date"
_TIMED = {"tasks": "TASK", "notes": "NOTE"}


def prepare(account: Account, object_type: str, changes: dict[str, str], record: Record | None, version: str) -> None:
    """Fill what HubSpot fills in a record's checked changes; raises for what it refuses."""
    if object_type in _TIMED and record is None and not changes.get("hs_timestamp"):
        raise Refusal(
            400,
            VALIDATION,
            f"Error creating {_TIMED[object_type]}. Some required properties were not set.",
            context={"properties": ["hs_timestamp"]},
        )
    if object_type == "tasks":
        _queues(account, changes)
        complete(account, changes, record)
    if object_type == "deals":
        _stage(account, changes, record)
    _owner(account, changes)
    if version == LOOSE_VERSION:
        _required(account, object_type, changes, record)


def complete(account: Account, changes: dict[str, str], record: Record | None) -> None:
    """Fill a task's status and its completion date, which reportedly holds the due date while the task is open."""
    if record is None:
        changes.setdefault("hs_task_status", "NOT_STARTED")
    if not {"hs_task_status", "hs_timestamp"} & set(changes):
        return
    values = {**(record.values if record else {}), **changes}
    done = values.get("hs_task_status") == "COMPLETED"
    was_done = record is not None and record.values.get("hs_task_status") == "COMPLETED"
    if done and not was_done:
        changes[COMPLETION] = stamp(account.now)
    elif not done:
        changes[COMPLETION] = values.get("hs_timestamp", "") if account.settings.completion_date_is_due else ""


def _queues(account: Account, changes: dict[str, str]) -> None:
    """Read-only in one account of it, set at creation in another: a switch."""
    if QUEUES not in changes or account.settings.queues == "taken":
        return
    if account.settings.queues == "refused":
        raise invalid_values([Invalid(QUEUES, "READ_ONLY_VALUE", f'"{QUEUES}" is a read only property')])
    del changes[QUEUES]


def _owner(account: Account, changes: dict[str, str]) -> None:
    """Refuse, drop or take owners that do not exist or are deactivated; the code is not confirmed."""
    wanted = changes.get(OWNER)
    if not wanted:
        return
    found = account.owner(wanted)
    settings = account.settings
    fate = settings.unknown_owners if found is None else settings.archived_owners if found["archived"] else "taken"
    if fate == "refused":
        raise invalid_values([Invalid(OWNER, "INVALID_OWNER_ID", f"Owner {wanted} does not exist or is not active")])
    if fate == "dropped":
        del changes[OWNER]


def _stage(account: Account, changes: dict[str, str], record: Record | None) -> None:
    """Put a deal into a pipeline; its stage must belong to that."""
    values = {**(record.values if record else {}), **changes}
    pipeline = account.pipelines["deals"].get(values.get("pipeline") or "default")
    if pipeline is None:
        raise invalid_values([Invalid("pipeline", "INVALID_OPTION", f"{values['pipeline']} is no pipeline")])
    stages = [stage["id"] for stage in pipeline["stages"]]
    if record is None or "pipeline" in changes:
        changes.setdefault("pipeline", pipeline["id"])
        changes.setdefault("dealstage", stages[0])
    if changes.get("dealstage", stages[0]) not in stages:
        text = f"{changes['dealstage']} was not one of the allowed options: {stages}"
        raise invalid_values([Invalid("dealstage", "INVALID_OPTION", text)])


def _required(account: Account, object_type: str, changes: dict[str, str], record: Record | None) -> None:
    """Hold the rules that an administrator made: required at creation, or whenever another property has a value."""
    old = record.values if record else {}
    values = {**old, **changes}
    lacking: list[Invalid] = []
    for rule in account.required.get(object_type, ()):
        if values.get(rule.name):
            continue
        if rule.when is None:
            if record is None:
                lacking.append(Invalid(rule.name, "MISSING_REQUIRED_PROPERTY", f"{rule.name} is required"))
        elif values.get(rule.when[0]) == rule.when[1] and (record is None or {rule.name, rule.when[0]} & set(changes)):
            text = f"{rule.name} is required when {rule.when[0]} is {rule.when[1]}"
            lacking.append(Invalid(rule.name, "MISSING_CONDITIONAL_REQUIRED_PROPERTY", text))
    if lacking:
        raise invalid_values(lacking)
