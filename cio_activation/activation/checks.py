"""Checks that need more than one key of the file: workspace, names, owners, and what must be unique."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo, available_timezones

from cio_activation.activation.draft import Draft
from cio_activation.activation.models import AttributeType, ExitReason
from cio_activation.activation.problems import Path, meant

LONGEST_FIELD_NAME = 100
"""HubSpot's limit for an internal property name."""

_PERSON_COLUMNS = frozenset(
    {"cio_id", "external_id", "email", "phone", "first_name", "last_name", "content_hash", "changed_at"}
    | {"observed_at", "as_of", "row_hash", "source_hash", "next_transition_at", "rowid"}
)
"""Columns that the tables of people and of state have besides those the file declares; rowid is DuckDB's own."""
_PLAN_COLUMNS = frozenset({"record_id", "keys", "urgency"})
"""Columns that stand beside the properties where a plan compares them with what a destination holds."""


def check_workspace(draft: Draft) -> None:
    """Note what is wrong with time zone, real-time window, retention, purchase attribute, match keys and profile."""
    workspace, problems = draft.file.workspace, draft.problems
    if not _is_timezone(workspace.timezone):
        near = meant(workspace.timezone, available_timezones())
        problems.add(("workspace", "timezone"), f"{workspace.timezone!r} is not an IANA time zone{near}")
    if not _divides_the_day(workspace.realtime_window):
        problems.add(
            ("workspace", "realtime_window"),
            "must divide an hour into whole minutes (5m, 15m, 30m, 1h) or a day into whole hours (2h, 3h, 6h)",
        )
    for name in ("moment_retention", "moment_body_retention"):
        if getattr(workspace, name) < timedelta(days=1):
            problems.add(
                ("workspace", name), "must be a day (1d) or more; webhooks come late and are looked into later"
            )
    for name in ("raw_retention", "plan_retention"):
        if getattr(workspace, name) < timedelta(days=1):
            problems.add(("workspace", name), "must be a day (1d) or more; a window that is run again reads its files")
    for name in ("decision_retention", "ledger_retention", "quarantine_retention", "run_retention"):
        if getattr(workspace, name) < timedelta(days=1):
            problems.add(("workspace", name), "must be a day (1d) or more; it is pruned once a day")
    if workspace.last_good_for < timedelta(days=1):
        problems.add(("workspace", "last_good_for"), "must be a day (1d) or more; a snapshot comes once a day")
    if workspace.history_retention < timedelta(0):
        problems.add(("workspace", "history_retention"), "must not be negative; 0d keeps no history, 400d is usual")
    if workspace.purchase_attribute is not None:
        path = ("workspace", "purchase_attribute")
        draft.attribute(path, workspace.purchase_attribute, (AttributeType.TIMESTAMP,))
    if workspace.order_count_attribute is not None:
        path = ("workspace", "order_count_attribute")
        draft.attribute(path, workspace.order_count_attribute, (AttributeType.INTEGER,))
    if workspace.total_spent_attribute is not None:
        path = ("workspace", "total_spent_attribute")
        draft.attribute(path, workspace.total_spent_attribute, (AttributeType.MONEY, AttributeType.NUMBER))
    if workspace.unsubscribed_attribute is not None:
        path = ("workspace", "unsubscribed_attribute")
        draft.attribute(path, workspace.unsubscribed_attribute, (AttributeType.BOOLEAN,))
    if draft.file.limits.human_touches_per_person.per <= timedelta(0):
        problems.add(("limits", "human_touches_per_person", "per"), "must be longer than zero, such as 7d")
    keys = draft.file.match.keys
    if not keys or len(set(keys)) != len(keys):
        problems.add(("match", "keys"), "must name each key once, in order of trust, such as [external_id, email]")
    _check_email_system(draft)
    if draft.file.match.phone and draft.file.profile.phone is None:
        problems.add(("match", "phone"), "needs profile.phone, the Customer.io attribute that holds the number")
    for part, name in draft.file.profile.model_dump().items():
        if name is not None and not name.strip():
            problems.add(("profile", part), "is empty; name the Customer.io attribute, or write null if there is none")


def _check_email_system(draft: Draft) -> None:
    systems = ("customerio", *draft.file.destinations)
    if (named := draft.file.match.email_system) not in systems:
        draft.problems.add(
            ("match", "email_system"), f"{named!r} is none of {', '.join(systems)}{meant(named, systems)}"
        )


def check_governance(draft: Draft) -> None:
    """Note an owner of all who could not be asked, and spans that cannot be right."""
    governance, problems = draft.file.governance, draft.problems
    if governance.owner is not None:
        draft.owner(("governance", "owner"), governance.owner)
    for name in ("stale_after", "unused_after", "retire_after"):
        if getattr(governance, name) < timedelta(days=1):
            problems.add(("governance", name), "must be a day (1d) or more; it is looked at once a day")


def check_names(draft: Draft) -> None:
    """Note names that mean two things, cannot be a column, or are too long for a CRM."""
    file, problems = draft.file, draft.problems
    for section, names, reserved in (
        ("attributes", file.attributes, _PERSON_COLUMNS),
        ("properties", file.properties, _PERSON_COLUMNS | _PLAN_COLUMNS),
    ):
        for name in names:
            if name in reserved or name.startswith("hash_"):
                problems.add((section, name), "is the name of a column we keep ourselves; choose another")
    for name, attribute in file.attributes.items():
        if attribute.unit is not None and attribute.type not in (AttributeType.TIMESTAMP, AttributeType.DATE):
            problems.add(("attributes", name, "unit"), "is for timestamps and dates only; remove it")
    for name in file.properties:
        path: Path = ("properties", name)
        if name in file.attributes:
            line = problems.line(("attributes", name))
            problems.add(path, f"is also an attribute (line {line}); rename one, expressions could mean either")
        field = file.workspace.prefix + name
        if field == "cio_id":
            problems.add(path, "would be the CRM field cio_id, which links a record to its person; rename it")
        if len(field) > LONGEST_FIELD_NAME:
            problems.add(
                path, f"makes a field name of {len(field)} characters, more than {LONGEST_FIELD_NAME}; shorten"
            )


def check_unique(draft: Draft) -> None:
    """Note attributes read twice, and labels that people could not tell apart."""
    file = draft.file
    sources = ((("attributes", n, "from"), (a.source or n).casefold()) for n, a in file.attributes.items())
    _once(draft, sources, "reads the same Customer.io attribute as {other}; declare it once")
    labels = ((("audiences", n, "label"), a.label.casefold()) for n, a in file.audiences.items())
    _once(draft, labels, "reads like the label of {other}; people could not tell them apart, rename one")
    fields = (
        (("properties", n, "label"), (p.label or default_label(n)).casefold()) for n, p in file.properties.items()
    )
    _once(draft, fields, "reads like the label of {other}; people could not tell them apart, rename one")


def check_audiences(draft: Draft) -> None:
    """Note labels, spans and exits that cannot be right."""
    for name, audience in draft.file.audiences.items():
        path: Path = ("audiences", name)
        draft.labels((*path, "label"), [audience.label])
        if audience.grace < timedelta(0):
            draft.problems.add((*path, "grace"), "must not be negative")
        if audience.expires_after is not None and audience.expires_after <= timedelta(0):
            draft.problems.add((*path, "expires_after"), "must be longer than zero, such as 48h; or leave it out")
        if len(set(audience.exit_on)) != len(audience.exit_on):
            draft.problems.add((*path, "exit_on"), "names an exit twice; keep one of them")
        if ExitReason.PURCHASE in audience.exit_on and _purchase_is_unset(draft):
            draft.problems.add(
                (*path, "exit_on"),
                "purchase needs workspace.purchase_attribute; set it to the timestamp that moves when a person buys",
            )


def default_label(name: str) -> str:
    """Return ``name`` as a label: ``lapse_bucket`` gives ``Lapse Bucket``."""
    return name.replace("_", " ").title()


def _purchase_is_unset(draft: Draft) -> bool:
    if draft.broken & {("workspace",), ("workspace", "purchase_attribute")}:
        return False  # something stands there, and what is wrong with it was told
    return draft.file.workspace.purchase_attribute is None


def _once(draft: Draft, entries: Iterable[tuple[Path, object]], message: str) -> None:
    first: dict[object, Path] = {}
    for path, value in entries:
        if value in first:
            other = first[value]
            where = f"{other[1]} (line {draft.problems.line(other)})"
            draft.problems.add(path, message.format(other=where))
        first.setdefault(value, path)


def _is_timezone(name: str) -> bool:
    try:
        return ZoneInfo(name) is not None
    except (KeyError, ValueError, OSError):  # OSError: a folder of the database, such as America
        return False


def _divides_the_day(window: timedelta) -> bool:
    hour, day = timedelta(hours=1), timedelta(days=1)
    if window <= timedelta(0) or window % timedelta(minutes=1):
        return False
    return not hour % window or not (window % hour or day % window)
