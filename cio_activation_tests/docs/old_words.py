"""Words that had several meanings up to release 0.1.0, what is said now, and the names that may still hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class OldWord:
    """A word that no name may hold with its old meaning. ``allowed``: name -> what it means there."""

    words: tuple[str, ...]
    now: str
    allowed: Mapping[str, str] = field(default_factory=dict)
    places: tuple[str, ...] = ("*",)
    """Modules it is looked for in."""
    others: tuple[str, ...] = ("sandbox/*",)
    """Modules in which it means something else."""

    def concerns(self, place: str) -> bool:
        """Tell whether the word is looked for in ``place``."""
        return any(fnmatchcase(place, p) for p in self.places) and not any(fnmatchcase(place, p) for p in self.others)


_KEEP = "on_conflict: keep, what a human changed and we leave"
_RECORD = "local: what a record holds; to be called current"

OLD_WORDS: tuple[OldWord, ...] = (
    OldWord(
        ("moment", "moments"),
        "an instant, ..._at",
        {
            "moment_retention": "a moment is an event here",
            "moment_body_retention": "a moment is an event here",
        },
        others=(
            "sandbox/*",
            "customerio/moment*",
            "activation/*",
            "audience/*",
            "outcome/entries.py",
            "destinations/common/actions/*",
            "customerio/assets.py",
            "warehouse/tables.py",
            "sql:raw.moments",
            "sql:audience.memberships",
            "sql:sql/*/task/*",
            "sql:sql/*/activity/*",
        ),
    ),
    OldWord(
        ("held",),
        "undeliverable, current, leased, reserved, deferred",
        {
            "held_because": "of a stopped plan",
            "held_for": "why an operation is held",
            "HELD_FOR": "why an operation is held",
            "_held_now": "plans that are held",
            "_held_by_run": "plans that are held",
            "held_out": "the field's word for whom an experiment leaves out",
        },
        others=(
            "sandbox/*",
            "cli/*",
            "delivery/plan.py",
            "delivery/plan_rows.py",
            "delivery/report.py",
            "delivery/release.py",
            "sql:delivery.plans",
            # Local: what a record holds; to be called current.
            "destinations/pipedrive/*",
            "sql:sql/pipedrive/*",
        ),
    ),
    OldWord(
        ("kept", "picture", "pictures", "young"),
        "retained, raw file, snapshot, fresh, max_age",
        {
            "KEPT": _KEEP,
            "_was_kept": _KEEP,
            "kept_properties": _KEEP,
            "KEPT_MAX": "options of Pipedrive's set field that stay",
            "KeptSqliteStorage": "the name that dagster.yaml of release 0.1.0 has",
            "kept": _KEEP,
        },
    ),
    OldWord(
        ("patience", "give_way", "gives_way", "leave_over", "left_over", "goes_on", "hand_on"),
        "time_slice, yielded, deferred, reserve_next",
    ),
    OldWord(
        ("moved", "turn", "turns", "about"),
        "change_log, sequence, table, changed_since",
        {
            "moved": "went from one place to another: a member between segments, an attempt to the ledger",
            "_moved": "whom the change log names, and whether a plan is another one by now",
            "about": "whom an error of the vendor, or an action, is about",
            "turn": "an instant at which a condition turns true or false",
            "turns": "an instant at which a day turns",
            "_turns": "callers one after another; instants at which a condition turns",
            "_in_turn": "callers one after another",
            "_turns_at": "an instant at which a day turns",
        },
    ),
    OldWord(
        ("looking", "looked", "few", "among", "narrows", "look", "looks"),
        "scope, fingerprint",
        {
            "LOOKED_UP": "asked of the vendor",
            **dict.fromkeys(("looked_up_email", "looked_up_phone", "look_up", "LooksUp"), "asked of the vendor"),
            "among": "a SELECT of people, given to a statement",
            "_compare_few": "the members that a shortcut names, compared",
        },
    ),
    OldWord(
        ("doubt",),
        "in_doubt",
        dict.fromkeys(
            ("in_doubt", "_in_doubt", "_is_in_doubt", "_lists_in_doubt", "_members_in_doubt", "fields_in_doubt"),
            "says in doubt",
        ),
    ),
    OldWord(("standing", "watching"), "segment_shortcut, segment_probe"),
    OldWord(("naming", "moments_kept", "moment_bodies_kept"), "moment_people, moment_retention"),
    OldWord(
        ("conflicts",),
        "key_clashes",
        places=("identity/*", "customerio/*", "state/*", "audience/*", "sql:identity.*", "sql:raw.*"),
    ),
    OldWord(
        ("superseded",),
        "unneeded",
        {"_superseded": "of a window", "superseded": "of a window"},
        others=("sandbox/*", "audience/*", "customerio/*", "identity/*", "state/*"),
    ),
    OldWord(("gate",), "queue lock", places=("warehouse/*",)),
    OldWord(("refusals", "options", "definitions"), "errors, config, property_definitions", places=("*/__init__.py",)),
    OldWord(("schemas",), "contract"),
    OldWord(
        ("fallback", "zone"),
        "median_gaps, timezone_sql",
        {"_fallback": "the gap a rule falls back to", "zone": "a time zone"},
        ("state/*",),
    ),
    OldWord(
        ("warm", "workers", "worker", "beside", "switches"),
        "fork_server, run_claims, receiver_process, toggles",
        {
            "WarmRunLauncher": "the name that dagster.yaml of release 0.1.0 has",
            "warm_up": "imports ahead of a fork",
            "_warm": "the process that has everything imported",
            "worker": "Dagster's word for a run's process",
            "WORKER_TAG": "Dagster's word for a run's process",
            "check_run_worker_health": "Dagster's name",
            "supports_check_run_worker_health": "Dagster's name",
            "beside": "what runs next to the server",
            "receiver_beside": "a receiver next to the demo",
            "BESIDE_NEWS_EVERY": "what is fetched along with news",
            "STALE_BESIDE_NEWS": "what is fetched along with news",
        },
    ),
    OldWord(
        ("helping", "helpers", "helper", "sharing"),
        "nothing: there is one sender a plan",
        {"_sharing": "the journal's version 2, which had helpers"},
    ),
    OldWord(
        ("dressed", "dirt", "draw", "gallery", "picture", "hand", "shell", "shapes"),
        "custom_attributes, dirty_data, deterministic_random, snapshot_cache, snapshot, manual_edits, body_checks",
        {
            "asgi_shell": "the ASGI app around the vendors",
            "_Shell": "the ASGI app around the vendors",
            "hand_picked": "chosen by a person",
            "set_by_hand": "set by a person",
        },
        ("sandbox/*",),
        (),
    ),
)
