"""Builders every test shares: properties, audiences and activations by few words, runtimes, windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cio_activation.activation.loader import load_activation
from cio_activation.activation.models import (
    Activation,
    Attribute,
    AttributeType,
    Audience,
    Flag,
    Guards,
    Lane,
    Limits,
    Match,
    Profile,
    Property,
    PropertyType,
    Tiers,
    Value,
    Workspace,
)
from cio_activation.activation.windows import Window
from cio_activation.customerio.exports import Poll
from cio_activation.destinations import DESTINATIONS
from cio_activation.runtime import Runtime
from cio_activation_tests.drivers import access

START = datetime(2026, 11, 1, tzinfo=UTC)
OWNER = "retention@example.com"
FAST = Poll(first_s=0.02, factor=1.2, widest_s=0.05)
"""How to wait for exports that are ready soon."""


def window(day: int = 1, lane: Lane = Lane.DAILY) -> Window:
    """Return the ``day``-th window of the tests' calendar, from 1; a day long in both lanes."""
    start = START + timedelta(days=day - 1)
    return Window(lane, start.strftime("%Y-%m-%d"), start, start + timedelta(days=1))


def prop(
    name: str,
    kind: PropertyType = PropertyType.ENUM,
    lane: Lane = Lane.DAILY,
    labels: Iterable[str] = (),
    *,
    deliver: Iterable[str],
    rule: Any = None,
    **more: Any,
) -> Property:
    """Return a property; without a ``rule`` a flag is always true, and any other kind copies its namesake attribute."""
    plain = Flag(when="true") if kind is PropertyType.FLAG else Value(attribute=name)
    values: dict[str, Any] = {
        "name": name,
        "label": name.replace("_", " ").title(),
        "description": f"What {name} says",
        "owner": OWNER,
        "lane": lane,
        "rule": plain if rule is None else rule,
        "type": kind,
        "labels": tuple(labels),
        "deliver": tuple(deliver),
    }
    return Property(**(values | more))


def tier(name: str, *deliver: str, lane: Lane = Lane.DAILY) -> Property:
    """Return an enumerated property of the attribute ``amount`` with four labels, the last of which is ``bad``."""
    labels = ("low", "high", "top", "bad")
    rule = Tiers(attribute="amount", edges=(10.0,), labels=labels)
    return prop(name, PropertyType.ENUM, lane, labels, deliver=deliver, rule=rule)


def audience(name: str, lane: Lane = Lane.DAILY, *, segment: int = 1, **more: Any) -> Audience:
    """Return an audience of everybody in ``segment``, delivered nowhere if ``more`` says nothing else."""
    values: dict[str, Any] = {
        "name": name,
        "label": name,
        "description": name,
        "owner": OWNER,
        "segment": segment,
        "lane": lane,
        "deliver": {},
    }
    return Audience(**(values | more))


def activation(
    *properties: Property,
    audiences: Iterable[Audience] = (),
    attributes: Mapping[str, AttributeType] | None = None,
    destinations: Mapping[str, Any] | None = None,
    workspace: Workspace | None = None,
    profile: Profile | None = None,
    match: Match | None = None,
    **guards: Any,
) -> Activation:
    """Return an activation. ``attributes``: name -> type, ``amount`` alone by default; ``guards``: fields of Guards."""
    types = {"amount": AttributeType.MONEY} if attributes is None else attributes
    return Activation(
        workspace=workspace or Workspace(),
        profile=profile or Profile(),
        match=match or Match(),
        attributes={name: Attribute(name=name, source=name, type=kind) for name, kind in types.items()},
        properties={p.name: p for p in properties},
        audiences={a.name: a for a in audiences},
        limits=Limits(guards=Guards(**guards)),
        destinations=dict(destinations or {}),
    )


def load(folder: Path, text: str, destinations: Any = DESTINATIONS) -> Activation:
    """Return the activation that ``text`` is, as the loader reads it from a file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "activation.yaml"
    path.write_text(text, encoding="utf-8")
    return load_activation(path, destinations)


def runtime(home: Path, model: Activation, **settings: Any) -> Runtime:
    """Return a runtime over ``home``; ``settings`` by name, also a destination's access; no ``.env`` file is read."""
    return Runtime.build(access.settings(home, settings), model)
