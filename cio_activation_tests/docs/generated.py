"""The pages of the reference that are written by the code: ``python -m cio_activation_tests.docs.generated`` writes them."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from typer.testing import CliRunner

from cio_activation.activation.outcomes import Outcome
from cio_activation.activation.schema import activation_schema
from cio_activation.activation.settings import DEFAULT_ACTIVATION
from cio_activation.audience import codes
from cio_activation.audit import kinds
from cio_activation.cli.main import app
from cio_activation.delivery.effects import Effect
from cio_activation.delivery.outreach import HandledBy, Status
from cio_activation.destinations import DESTINATIONS
from cio_activation.journal.operations import End
from cio_activation.outcome import match_rates, warning_kinds
from cio_activation.outcome.metrics import GAUGES, PREFIX
from cio_activation.why import decisions
from cio_activation_tests.docs import pages
from cio_activation_tests.drivers.receiver import receiving

_HOW = "This page is written by `python -m cio_activation_tests.docs.generated`."
Schema = Mapping[str, Any]


def activation_page() -> str:
    """Every key of the activation file, from its JSON schema and the destinations' own models."""
    whole = activation_schema()
    lines = [
        "# Activation keys",
        "",
        f"Every key of `activation.yaml`: what it holds, what it is if left out, what it does. {_HOW}",
        "",
        "## The file",
        *_keys(whole, whole["$defs"]),
    ]
    for name, definition in sorted(whole["$defs"].items()):
        if "properties" in definition:
            lines += ["", f"## {_title(name)}", *_described(definition), *_keys(definition, whole["$defs"])]
    for destination in DESTINATIONS:
        for title, model in (
            (f"destinations: {destination.name}", destination.settings_model),
            (f"deliver: {destination.name}", destination.audience_model),
        ):
            if model is None:
                continue
            schema = model.model_json_schema()
            below = schema.get("$defs", {})
            lines += ["", f"## {title}", *_described(schema), *_keys(schema, below, title)]
            for name, definition in sorted(below.items()):
                if "properties" in definition:
                    told = [*_described(definition), *_keys(definition, below, title)]
                    lines += ["", f"### {title}: {_title(name)}", *told]
    return "\n".join(lines) + "\n"


def codes_page() -> str:
    """Every closed list of codes that a table, a command or a page shows."""
    operations = (
        ("Ends of a decision", "Why somebody left an audience (`audience.decisions`, `left`).", decisions.ENDS),
        ("Ends of an operation", "How an attempt to send it ended (`delivery.ledger`, `attempts`).", commented(End)),
        ("States of an action", "Where what a human was asked to do is (`delivery.actions`).", commented(Status)),
        ("What somebody is on", "Behind `being_handled`: what a CRM says somebody does already.", commented(HandledBy)),
        (
            "What came of an outreach",
            "What whoever acts says on the record ([actions](../actions.md)).",
            commented(Outcome),
        ),
        (
            "What a plan comes to",
            "As `cio-activation plan` sorts it, from what nobody has to look at.",
            commented(Effect),
        ),
        ("How people are matched", "`outcome.match_rates` ([matching](../matching.md)).", match_rates.MEANING),
        ("What an audit finds", "`delivery.audit_findings` ([audit](../audit.md)).", kinds.MEANING),
        ("What becomes of a finding", "The same table's `treatment`.", kinds.DONE),
        (
            "Warnings",
            "Each kind by what is in order while it does not hold; limits and mends: [alerts](../alerts.md).",
            warning_kinds.MEANING,
        ),
    )
    lines = [
        "# Codes",
        "",
        f"Closed lists, as tables, commands and Dagster's pages show them. {_HOW}",
        "",
        "## Decisions",
        "What keeps a candidate out of an audience, in the order in which it is asked; the first that applies counts",
        "([audiences](../audiences.md#codes)).",
        *_rows("code", "means", codes.MEANING),
    ]
    for title, told, meanings in operations:
        lines += ["", f"## {title}", told, *_rows("code", "means", meanings)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric of ``cio-activation metrics`` and of the receiver."""
    lines = [
        "# Metrics",
        "",
        f"In Prometheus' text format; how to have them read: [operating](../operating.md#metrics). {_HOW}",
        "",
        "## `cio-activation metrics`",
        "Gauges, from the warehouse and the journal.",
        "",
        "| metric | labels | says |",
        "|---|---|---|",
    ]
    told = [(f"{PREFIX}{gauge.name}", gauge.labels, gauge.told) for gauge in GAUGES]
    told += [
        (
            f"{PREFIX}day_used",
            ("vendor", "day"),
            "Units (calls, tokens) used of a vendor's day, on the newest day counted.",
        ),
        (
            f"{PREFIX}day_left",
            ("vendor", "day"),
            "Units left of a vendor's day, as it last said, less what was used since.",
        ),
    ]
    lines += [_row(f"`{name}`", ", ".join(f"`{label}`" for label in labels), says) for name, labels, says in told]
    lines += ["", "## The receiver", "At its `/metrics`; those of the inbox as of the moment they are asked for.", ""]
    lines += ["| metric | kind | says |", "|---|---|---|"]
    lines += [_row(f"`{name}`", kind, says) for name, kind, says in _receiver()]
    return "\n".join(lines) + "\n"


def fields_page() -> str:
    """What ``cio-activation fields --markdown`` prints for the default activation."""
    result = CliRunner().invoke(app, ["fields", "--activation", str(DEFAULT_ACTIVATION), "--markdown"])
    assert result.exit_code == 0, result.output
    return result.stdout


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/activation.md": activation_page,
    "reference/codes.md": codes_page,
    "reference/fields.md": fields_page,
    "reference/metrics.md": metrics_page,
}


def commented(enum: type[StrEnum]) -> dict[str, str]:
    """Return value -> the comment that stands behind it in the source; a name without one says it all."""
    found = dict(re.findall(r'^\s+\w+ = "([^"]+)"(?:  # (.*))?$', inspect.getsource(enum), re.MULTILINE))
    return {str(member): found[str(member)] or "as it says" for member in enum}


def _receiver() -> Iterator[tuple[str, str, str]]:
    """Give what a receiver tells before anything happened: name, kind, help."""
    with TemporaryDirectory(prefix="receiver-") as folder, receiving(f"sqlite:///{folder}/journal.sqlite") as running:
        text = httpx.get(f"{running.url}/metrics").text
    kinds_of = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
    for name, says in re.findall(r"^# HELP (\w+) (.*)$", text, re.MULTILINE):
        yield name, kinds_of[name], says


def _rows(first: str, second: str, meanings: Mapping[Any, str]) -> list[str]:
    return ["", f"| {first} | {second} |", "|---|---|", *(_row(f"`{k}`", v) for k, v in meanings.items())]


def _keys(schema: Schema, definitions: Mapping[str, Schema], under: str = "") -> list[str]:
    """Return the table of an object's keys; ``definitions``: what they refer to, headed as ``under`` says."""
    required = set(schema.get("required", ()))
    rows = [
        _row(f"`{name}`", _type(key, definitions, under), "required" if name in required else _default(key), _told(key))
        for name, key in schema.get("properties", {}).items()
    ]
    return ["", "| key | holds | if left out | does |", "|---|---|---|---|", *rows]


def _type(key: Schema, definitions: Mapping[str, Schema], under: str) -> str:
    def inner(one: Schema) -> str:
        return _type(one, definitions, under)

    if reference := key.get("$ref"):
        name = reference.rpartition("/")[2]
        if "properties" not in definitions[name]:
            return inner(definitions[name])
        return f"[{_title(name)}](#{_anchor(f'{under}: {_title(name)}' if under else _title(name))})"
    if "enum" in key:
        return ", ".join(f"`{value}`" for value in key["enum"])
    if "const" in key:
        return f"`{key['const']}`"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in key:
            found = [inner(one) for one in key[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(found)) or "nothing"
    if "patternProperties" in key:
        return f"name: {inner(next(iter(key['patternProperties'].values())))}"
    kind = key.get("type")
    if kind == "array":
        items = key.get("items")
        return f"list of {inner(items)}" if isinstance(items, Mapping) else "list"
    if kind == "object":
        values = key.get("additionalProperties")
        return f"name: {inner(values)}" if isinstance(values, Mapping) and values else "mapping"
    if kind == "string" and str(key.get("pattern", "")).endswith(r"\s*([smhdw])$"):
        return "span, such as `2h`, `7d`"
    if kind == "string" and key.get("pattern") == "%$":
        return "share, such as `10%`"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true` or `false`"}.get(
        str(kind), "anything"
    )


def _anchor(title: str) -> str:
    """Return what a heading is linked by, as the site makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def _default(key: Schema) -> str:
    if key.get("default") is None:
        return ""
    return f"`{json.dumps(key['default'], ensure_ascii=False)}`" if key["default"] not in ({}, []) else "none"


def _told(key: Schema) -> str:
    told = key.get("description") or next(
        (one["description"] for one in key.get("anyOf", ()) if one.get("description")), ""
    )
    return " ".join(told.replace("``", "`").split())


def _described(schema: Schema) -> list[str]:
    return [_told(schema)] if schema.get("description") else []


def _title(name: str) -> str:
    """Return a model's name as people read it: ``AudienceFile`` is an audience."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.removesuffix("File")).lower().capitalize()


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write every page that is not what the code says now."""
    for name, made in PAGES.items():
        path = pages.DOCS / name
        if not path.exists() or path.read_text() != made():
            path.write_text(made())
            print(f"written: {path.relative_to(pages.ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
