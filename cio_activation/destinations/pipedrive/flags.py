"""Which option of the audiences field is which audience's: known by its id, whatever it is called there or here.

Catalog: ``flag:<audience>`` -> option id, beside ``option:audiences:<label>``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Activation
from cio_activation.delivery.catalog import ADVICE
from cio_activation.destinations.pipedrive.api import PipedriveApi
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, audience_labels
from cio_activation.transport.errors import Rejected, Stop

_OPTION = f"option:{AUDIENCES}:"


async def rename(
    api: PipedriveApi, activation: Activation, field: Mapping[str, Any], previous: Mapping[str, Any]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Give options the labels that changed in the activation; return the field and the catalog as they are then.

    The option is the audience's under its new label also where Pipedrive does not let us rename it.
    """
    known, options = dict(previous), [dict(o) for o in field.get("options") or ()]
    for name, label in audience_labels(activation).items():
        option = next((o for o in options if int(o["id"]) == previous.get(f"flag:{name}")), None)
        if option is None or _OPTION + label in known or label in {o["label"] for o in options}:
            continue
        if _shared(activation, name, int(option["id"]), previous):
            continue
        try:
            await api.rename_option(str(field["field_code"]), int(option["id"]), label)
            option["label"] = label
        except (Rejected, Stop) as error:
            if isinstance(error, Stop) and error.status != 403:
                raise
        known = {k: v for k, v in known.items() if not (k.startswith(_OPTION) and v == option["id"])}
        known[_OPTION + label] = option["id"]
    return {**field, "options": options}, known


def entries(activation: Activation, catalog: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ``flag:`` entries of a catalog that has the options; an audience that left may come back."""
    labels = audience_labels(activation).items()
    options = {option for key, option in catalog.items() if key.startswith(_OPTION)}
    left = {key: option for key, option in previous.items() if key.startswith("flag:") and option in options}
    return left | {f"flag:{name}": catalog[_OPTION + label] for name, label in labels if _OPTION + label in catalog}


def shown(
    activation: Activation, fields: Sequence[Mapping[str, Any]], catalog: Mapping[str, Any]
) -> list[tuple[int, str, str, str | None]]:
    """Return our options that are there: id, label there, label here, and the audience; None: it is none's any more."""
    code = catalog.get(f"field:{AUDIENCES}")
    there = {int(o["id"]): str(o["label"]) for f in fields if f["field_code"] == code for o in f.get("options") or ()}
    labels = {label: name for name, label in audience_labels(activation).items()}
    return [
        (int(option), there[option], key.removeprefix(_OPTION), labels.get(key.removeprefix(_OPTION)))
        for key, option in catalog.items()
        if key.startswith(_OPTION) and option in there
    ]


def called_otherwise(audience: str, there: str, here: str) -> tuple[tuple[str, str], ...]:
    """Return that an audience's option is called something else there, with the mend; nothing if it is not."""
    if there == here:
        return ()
    sentence = (
        f"Pipedrive's option of audience {audience} is called {there!r} there and {here!r} here; it is "
        "delivered to all the same"
    )
    return ((sentence, f"To take that name over, change audiences.{audience}.label"),)


def advice(
    activation: Activation, fields: Sequence[Mapping[str, Any]], catalog: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return what a person may want to know of our options, as a catalog's entry; nothing is wrong."""
    told = []
    for _, there, here, audience in shown(activation, fields, catalog):
        if audience is None:
            told.append(
                f"Pipedrive's option {there!r} was an audience's that is not delivered any more: everybody is taken "
                "off it; delete it in Pipedrive when nothing there needs it"
            )
        else:
            told += [f"{sentence}. {mend}" for sentence, mend in called_otherwise(audience, there, here)]
    return {ADVICE: told} if told else {}


def _shared(activation: Activation, name: str, option_id: int, previous: Mapping[str, Any]) -> bool:
    """Return whether another audience goes on under the option: two with one label share it."""
    others = {n: label for n, label in audience_labels(activation).items() if n != name}
    return any(previous.get(_OPTION + label) == option_id for label in others.values())
