"""Which option of a field is which of our labels, and options that stand in our way.

An option is known by its id, so a colleague may call it something else. One that we do not know yet is ours if it reads
like our label, whatever its case; for a flag also if it says yes or no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cio_activation.destinations.pipedrive.wanted import FLAG_LABELS, OPTIONED, WantedField

OPTIONS_MAX = 10_000
"""Options of one field (help centre)."""
_SAYS = {"true": ("true", "yes"), "false": ("false", "no")}


def option_ids(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, int]:
    """Return label -> option id of the wanted labels that have one: by the id we know, else by the label."""
    options = _options(wanted, field)
    reads = {_folded(o): int(o["id"]) for o in reversed(options)}
    found = {
        label: reads[text] for label in wanted.labels for text in reversed(_spellings(wanted, label)) if text in reads
    }
    exact = {str(o["label"]): int(o["id"]) for o in reversed(options)}
    found |= {label: exact[label] for label in wanted.labels if label in exact}
    if previous.get(f"field:{wanted.logical}") == field["field_code"]:
        present = {int(o["id"]) for o in options}
        known = {label: previous.get(f"option:{wanted.logical}:{label}") for label in wanted.labels}
        found |= {label: option_id for label, option_id in known.items() if option_id in present}
    return {label: found[label] for label in wanted.labels if label in found}


def missing_labels(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> list[str]:
    """Return the labels that the field has no option for, in order; a field of texts needs none."""
    found = option_ids(wanted, field, previous)
    return [label for label in wanted.labels if label not in found] if field["field_type"] in OPTIONED else []


def problems(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> list[str]:
    """Return which options say something else than what they hold, or do not fit any more, each with its mend."""
    ours = option_ids(wanted, field, previous)
    labels = {option_id: label for label, option_id in ours.items()}
    told = [
        f"Pipedrive's field {field['field_name']!r} shows people of {labels[int(o['id'])]!r} as {o['label']!r}, which "
        f"is another of our values (option {o['id']} was renamed): rename it to {labels[int(o['id'])]!r} there"
        for o in _options(wanted, field)
        if int(o["id"]) in labels
        for other in wanted.labels
        if _folded(o) == other.strip().casefold() and other != labels[int(o["id"])]
    ]
    count, missing = len(_options(wanted, field)), missing_labels(wanted, field, previous)
    if count + len(missing) > OPTIONS_MAX:
        told.append(
            f"Pipedrive takes {OPTIONS_MAX:,} options a field and {field['field_name']!r} has {count:,}: of "
            f"{len(missing)} more that are needed ({', '.join(missing[:3])}) some do not fit; delete what nobody uses"
        )
    return told


def doubled(wanted: WantedField, field: Mapping[str, Any], previous: Mapping[str, Any]) -> list[str]:
    """Return which of our options have a twin of the same label that is not ours: advice."""
    ours = option_ids(wanted, field, previous)
    return [
        f"Pipedrive's field {field['field_name']!r} has the option {label!r} twice: ours is {option_id}, and option "
        f"{o['id']} reads the same; move its people to ours and delete it there"
        for label, option_id in ours.items()
        for o in _options(wanted, field)
        if int(o["id"]) not in ours.values() and _folded(o) == label.strip().casefold()
    ]


def _options(wanted: WantedField, field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(field.get("options") or ()) if wanted.labels else []


def _folded(option: Mapping[str, Any]) -> str:
    return str(option["label"]).strip().casefold()


def _spellings(wanted: WantedField, label: str) -> tuple[str, ...]:
    return _SAYS[label] if wanted.labels == FLAG_LABELS else (label.strip().casefold(),)
