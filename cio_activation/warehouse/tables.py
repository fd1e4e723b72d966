"""The warehouse's tables by name, and the SQL types of what an activation declares. Each stands here once.

A table is made in one of two places: by a migration, if its shape does not depend on the activation (``MIGRATED``),
else by the code of its room (``ACTIVATION_SHAPED`` says which and why). A test holds both lists to what is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from cio_activation.activation.models import AttributeType, PropertyType

SCHEMA_MIGRATIONS = "meta.migrations"
PUBLISHED = "meta.published"
CHANGE_LOG = "meta.change_log"

FILES = "raw.files"
EXPORTS = "raw.exports"
FILES_SET_ASIDE = "raw.files_set_aside"
PEOPLE = "raw.people"
"""The newest daily export."""
PEOPLE_SNAPSHOT = "raw.people_snapshot"
PEOPLE_LIVE = "raw.people_live"
"""Who was fetched since, by the real-time lane."""
PEOPLE_GONE = "raw.people_gone"
"""Whom Customer.io was found not to know since."""
PEOPLE_CURRENT = "raw.people_current"
"""A view of the three: everybody as last observed."""
MEMBERSHIPS = "raw.memberships"
MEMBERSHIP_CHANGES = "raw.membership_changes"
MEMBERS_CHECKED = "raw.members_checked"
SEGMENTS_UNEXPLAINED = "raw.segments_unexplained"
MOMENTS = "raw.moments"
SEGMENTS = "raw.segments"
SEGMENT_STATES = "raw.segment_states"
SEGMENT_CHANGES = "raw.segment_changes"
SEGMENT_TURNOVER = "raw.segment_turnover"
STALE_CELLS = "raw.stale_cells"

QUARANTINE = "quarantine.rows"

PERSONS = "identity.persons"
KEY_CLASHES = "identity.key_clashes"
PHONE_MAP = "identity.phone_map"

STATE_VERSIONS = "state.versions"
DERIVATIONS = "state.derivations"
VALUE_CHANGES = "state.value_changes"
MEDIAN_GAPS = "state.median_gaps"

AUDIENCE_MEMBERSHIPS = "audience.memberships"
ELIGIBILITY = "audience.eligibility"
DECISIONS = "audience.decisions"
DECISION_COUNTS = "audience.counts"
LAUNCHES = "audience.launches"
PAUSES = "audience.pauses"
SIGNATURES = "audience.signatures"
ACTIVATIONS = "audience.activations"
ASSIGNMENTS = "audience.assignments"
CURRENT_EVIDENCE = "audience.current_evidence"
HANDOVERS = "audience.handovers"
ROTATIONS = "audience.rotations"
ESCALATIONS = "audience.escalations"
ACTS = "feedback.acts"
OWNERS = "feedback.owners"
CONTEXTS = "feedback.contexts"
RECORDS = "feedback.records"
READINGS = "feedback.readings"
OUTCOME_FIELDS = "feedback.outcome_fields"
REVIEWS = "feedback.reviews"

ACCOUNTS = "delivery.accounts"
LINKS = "delivery.links"
RECORD_CLASHES = "delivery.key_clashes"
GONE_RECORDS = "delivery.gone_records"
MEMBERS = "delivery.members"
ACTIONS = "delivery.actions"
AUDITS = "delivery.audits"
AUDIT_FINDINGS = "delivery.audit_findings"
SAMPLES = "delivery.samples"
OUTREACH_FLAGS = "delivery.outreach_flags"
CATALOG = "delivery.catalog"
DEFINITIONS = "delivery.definitions"
LEDGER = "delivery.ledger"
REJECTED = "delivery.rejected"
LAST_FOLD = "delivery.last_fold"
PLANS = "delivery.plans"
RELEASES = "delivery.releases"
CONFLICTS = "delivery.conflicts"
DEFERRED = "delivery.deferred"
SCOPES = "delivery.scopes"
HUBSPOT_LISTS = "delivery.hubspot_lists"
RETIRED_LISTS = "delivery.retired_lists"
PIPEDRIVE_PERSONS = "delivery.pipedrive_persons"
PIPEDRIVE_MIRROR_STATE = "delivery.pipedrive_mirror_state"
PIPEDRIVE_RELEASED = "delivery.pipedrive_released"
PIPEDRIVE_FIELD_CODES = "delivery.pipedrive_field_codes"

WRITE_VOLUME = "outcome.write_volume"
"""A view: what was written, by day, destination and audience."""
WARNINGS = "outcome.warnings"
FORGET_REQUESTS = "privacy.requests"
TOMBSTONES = "privacy.tombstones"
TOMBSTONE_SALT = "privacy.salt"
RECEIPTS = "privacy.receipts"
LEFTOVERS = "privacy.leftovers"
MATCH_RATES = "outcome.match_rates"
WHY_DECISIONS = "outcome.why_decisions"
"""Views of what is told of one person, a kind of fact each."""
WHY_WRITES = "outcome.why_writes"
WHY_ACTS = "outcome.why_acts"
WHY_OBSTACLES = "outcome.why_obstacles"
WHY_VALUES = "outcome.why_values"
MEASURED_ENTRIES = "outcome.entries"
GOVERNANCE = "outcome.governance"

MIGRATED = frozenset({
    MEASURED_ENTRIES, GOVERNANCE, DEFINITIONS, ROTATIONS, SCHEMA_MIGRATIONS, PUBLISHED, CHANGE_LOG, FILES, EXPORTS,
    FILES_SET_ASIDE, PEOPLE_GONE,
    MEMBERSHIPS, MEMBERSHIP_CHANGES, MEMBERS_CHECKED, SEGMENTS_UNEXPLAINED, MOMENTS, STALE_CELLS, SEGMENTS,
    SEGMENT_STATES, SEGMENT_CHANGES, SEGMENT_TURNOVER, QUARANTINE, PERSONS, KEY_CLASHES, PHONE_MAP, STATE_VERSIONS,
    MEDIAN_GAPS, AUDIENCE_MEMBERSHIPS, ELIGIBILITY, DECISIONS, DECISION_COUNTS, LAUNCHES, PAUSES, ACTIVATIONS,
    ASSIGNMENTS, CURRENT_EVIDENCE, ACTS, OWNERS, CONTEXTS, READINGS, RECORD_CLASHES, GONE_RECORDS, ACTIONS,
    OUTREACH_FLAGS, AUDITS, AUDIT_FINDINGS, HANDOVERS, ESCALATIONS, RECORDS, ACCOUNTS, LINKS, MEMBERS, CATALOG,
    LEDGER, REJECTED, LAST_FOLD, PLANS, RELEASES, CONFLICTS, DEFERRED, SCOPES, HUBSPOT_LISTS, RETIRED_LISTS,
    PIPEDRIVE_PERSONS, PIPEDRIVE_MIRROR_STATE, PIPEDRIVE_RELEASED, PIPEDRIVE_FIELD_CODES, WRITE_VOLUME, WARNINGS,
    MATCH_RATES, FORGET_REQUESTS, TOMBSTONES, TOMBSTONE_SALT, RECEIPTS, LEFTOVERS, WHY_DECISIONS, WHY_WRITES,
    SIGNATURES, SAMPLES, WHY_ACTS, WHY_OBSTACLES, DERIVATIONS, VALUE_CHANGES, WHY_VALUES, OUTCOME_FIELDS, REVIEWS,
    PEOPLE_SNAPSHOT,
})  # fmt: skip
"""What the migrations make."""

ACTIVATION_SHAPED: Mapping[str, str] = {
    PEOPLE: "a column for each declared attribute",
    PEOPLE_LIVE: "the columns of raw.people",
    PEOPLE_CURRENT: "a view with the columns of raw.people",
    "state.*_properties": "a column for each property of the lane, a hash for each destination",
    "delivery.shadow_*": "a column for each field that the destination is given in the lane",
}
"""Name, or pattern of names, of what code makes -> why no migration can: what its shape depends on."""

SQL_TYPE: Mapping[AttributeType | PropertyType, str] = {
    AttributeType.TEXT: "VARCHAR",
    AttributeType.NUMBER: "DOUBLE",
    AttributeType.MONEY: "DOUBLE",
    AttributeType.INTEGER: "BIGINT",
    AttributeType.TIMESTAMP: "TIMESTAMP",  # naive UTC
    AttributeType.DATE: "DATE",
    AttributeType.BOOLEAN: "BOOLEAN",
    PropertyType.ENUM: "VARCHAR",
    PropertyType.TEXT: "VARCHAR",
    PropertyType.FLAG: "BOOLEAN",
    PropertyType.DATE: "DATE",
    PropertyType.NUMBER: "DOUBLE",
}
"""How a value is stored. An attribute and a property of the same kind (text, date, number) are stored alike."""


def is_activation_shaped(name: str) -> bool:
    """Return whether ``name`` (``schema.table``) is of those whose shape depends on the activation."""
    return any(fnmatchcase(name, pattern) for pattern in ACTIVATION_SHAPED)


def split(name: str) -> tuple[str, str]:
    """Return schema and table of ``schema.table``."""
    schema, _, table = name.partition(".")
    return schema, table
