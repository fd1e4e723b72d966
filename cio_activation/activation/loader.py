"""From ``activation.yaml`` to an :class:`Activation`: one pass that reports every problem of the file at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Protocol

from pydantic import BaseModel

from cio_activation.activation import checks
from cio_activation.activation.action_checks import check_asks
from cio_activation.activation.actions import AsksSomebody
from cio_activation.activation.aliases import with_present_keys
from cio_activation.activation.draft import Draft
from cio_activation.activation.file import AudienceFile, PropertyFile
from cio_activation.activation.life_checks import check_life, life_defaults
from cio_activation.activation.models import (
    Activation,
    Attribute,
    AttributeType,
    Audience,
    DestinationLimits,
    Lane,
    Property,
    PropertyType,
)
from cio_activation.activation.moment_checks import check_source, exits
from cio_activation.activation.ordering import read_order
from cio_activation.activation.outcome_checks import check_names as check_outcome_names
from cio_activation.activation.outcome_checks import outcomes_of, switched_on
from cio_activation.activation.problems import Path, Problems, meant
from cio_activation.activation.rules import read_rule
from cio_activation.activation.source import read_source
from cio_activation.activation.structure import read_file, read_model
from cio_activation.errors import ConfigError


class DestinationOptions(Protocol):
    """What the loader knows of a destination: its name, and the models of its options in the file.

    A model may name keys and values that are designed but not built yet in ``not_built``, see :class:`Model`.
    """

    @property
    def name(self) -> str:
        """The key under ``destinations`` and under ``deliver``."""

    @property
    def settings_model(self) -> type[BaseModel]:
        """Options under ``destinations: <name>:``."""

    @property
    def audience_model(self) -> type[BaseModel] | None:
        """Options under ``audiences: <audience>: deliver: <name>:``; None: it takes no property and no audience."""


def load_activation(path: FilePath, destinations: Sequence[DestinationOptions]) -> Activation:
    """Return the activation in the YAML file ``path``, delivered to some of the known ``destinations``.

    Raises ConfigError with all problems of the file, in its order; each names line, key, and mend. Keys under a name
    of an earlier release are read with a warning.
    """
    problems = Problems(path.name)
    data = switched_on(with_present_keys(read_source(path, problems), problems))
    file, broken = read_file(data, problems)
    if file is None:
        problems.stop()
        raise ConfigError(f"{path.name}: cannot be read")
    unsure = {str(place[1]) for place in broken if place[0] in {"attributes", "properties"} and len(place) > 1}
    draft = Draft(file, problems, unsure, broken)
    known = {destination.name: destination for destination in destinations}
    draft.receiving = tuple(n for n in file.destinations if n not in known or known[n].audience_model is not None)
    settings = _settings(draft, known)
    draft.attributes = _attributes(draft)
    for check in (
        checks.check_workspace,
        checks.check_governance,
        checks.check_names,
        checks.check_unique,
        checks.check_audiences,
        check_outcome_names,
    ):
        check(draft)
    properties = _properties(draft)
    audiences = _audiences(draft, properties, known)
    _check_priorities(draft, settings, properties)
    problems.stop()
    return Activation(
        workspace=file.workspace,
        match=file.match,
        profile=file.profile,
        attributes=draft.attributes,
        properties=properties,
        audiences=audiences,
        limits=file.limits,
        governance=file.governance,
        outreach_outcomes=file.outreach_outcomes,
        destinations=settings,
    )


def _settings(draft: Draft, known: Mapping[str, DestinationOptions]) -> dict[str, BaseModel]:
    settings: dict[str, BaseModel] = {}
    for name, options in draft.file.destinations.items():
        path: Path = ("destinations", name)
        if name not in known:
            offered = ", ".join(known) or "none"
            draft.problems.add(path, f"is not a known destination{meant(name, known)} (known: {offered})")
            continue
        model = read_model(known[name].settings_model, options or {}, path, draft.problems)
        if model is not None:
            settings[name] = model
    return settings


def _attributes(draft: Draft) -> dict[str, Attribute]:
    return {
        name: Attribute(
            name=name,
            source=written.source or name,
            type=written.type,
            unit=written.unit,
            description=written.description,
        )
        for name, written in draft.file.attributes.items()
    }


def _properties(draft: Draft) -> dict[str, Property]:
    properties: dict[str, Property] = {}
    for name, written in draft.file.properties.items():
        found = _property(draft, name, written)
        if found is None:
            draft.unsure.add(name)
        else:
            properties[name] = found
    return properties


def _property(draft: Draft, name: str, written: PropertyFile) -> Property | None:
    path: Path = ("properties", name)
    owner = draft.owner((*path, "owner"), written.owner)
    deliver = written.deliver if written.deliver is not None else draft.receiving
    for index, destination in enumerate(deliver):
        _check_destination(draft, (*path, "deliver", index), destination)
        if destination in deliver[:index]:
            draft.problems.add((*path, "deliver", index), f"{destination!r} is named twice; keep one of them")
    ruled = read_rule(draft, path, written)
    if ruled is None:
        return None
    return Property(
        name=name,
        label=written.label or checks.default_label(name),
        description=written.description or ruled.sentence,
        owner=owner,
        version=written.version,
        reviewed=draft.reviewed(written.reviewed),
        lane=written.lane,
        rule=ruled.rule,
        type=ruled.type,
        labels=ruled.labels,
        min_dwell=written.min_dwell,
        deliver=deliver,
        on_conflict=written.on_conflict,
    )


def _audiences(
    draft: Draft, properties: Mapping[str, Property], known: Mapping[str, DestinationOptions]
) -> dict[str, Audience]:
    audiences: dict[str, Audience] = {}
    for name, written in draft.file.audiences.items():
        deliver = _deliver(draft, ("audiences", name, "deliver"), written, known)
        touch = written.touch or any(isinstance(o, AsksSomebody) and o.asks_somebody for o in deliver.values())
        check_source(draft, name, written)
        check_life(draft, name, written, properties, touch=touch)
        check_asks(draft, name, written, deliver, properties)
        audiences[name] = Audience.model_validate(
            {key: value for key, value in dict(written).items() if value is not None}
            | {"name": name, "deliver": deliver, "touch": touch}
            | {"owner": draft.owner(("audiences", name, "owner"), written.owner)}
            | {"reviewed": draft.reviewed(written.reviewed)}
            | {"exit_on": exits(written)}
            | outcomes_of(draft, name, written, deliver)
            | (life_defaults(written) if touch else {})
        )
    return audiences


def _deliver(
    draft: Draft, path: Path, written: AudienceFile, known: Mapping[str, DestinationOptions]
) -> dict[str, Any]:
    if not written.deliver:
        draft.problems.add(path, f"is empty; name at least one of {', '.join(draft.receiving)}")
    options: dict[str, Any] = {}
    for destination, chosen in written.deliver.items():
        if not _check_destination(draft, (*path, destination), destination) or destination not in known:
            continue
        if (model := known[destination].audience_model) is not None:
            options[destination] = read_model(model, chosen or {}, (*path, destination), draft.problems)
    return options


def _check_destination(draft: Draft, path: Path, name: str) -> bool:
    offered = draft.file.destinations
    if name in offered and name not in draft.receiving:
        draft.problems.add(path, f"{name!r} is given no properties and no audiences; remove it here")
        return False
    if name in offered or ("destinations",) in draft.broken or ("destinations", name) in draft.broken:
        return name in offered
    near = meant(name, offered)
    draft.problems.add(path, f"{name!r} is not under destinations{near}; add it there or remove it here")
    return False


def _check_priorities(draft: Draft, settings: Mapping[str, BaseModel], properties: Mapping[str, Property]) -> None:
    """Note what a destination's ``priority`` may not read: both lanes rank people by it, so by daily properties."""
    types: dict[str, AttributeType | PropertyType] = {a.name: a.type for a in draft.attributes.values()}
    types |= {p.name: p.type for p in properties.values()}
    for name, model in settings.items():
        if not isinstance(model, DestinationLimits) or model.priority is None:
            continue
        path: Path = ("destinations", name, "priority")
        try:
            ranks = read_order(model.priority, types, {}, draft.unsure)
        except ConfigError as error:
            draft.problems.add_all(path, error)
            continue
        for rank in ranks:
            if rank.name in properties and properties[rank.name].lane is Lane.REALTIME:
                draft.problems.add(path, f"{rank.name!r} is a realtime property; name attributes and daily properties")
