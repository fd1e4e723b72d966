"""Two toy destinations and one small, correct activation file that the tests bend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent
from typing import Annotated

from pydantic import BaseModel, Field

from cio_activation.activation.base import Model
from cio_activation.activation.models import Activation
from cio_activation_tests.drivers import builders


class ToySettings(Model):
    not_built = frozenset({"daily_tokens", "on_conflict: keep"})

    rate_share: Annotated[float, Field(gt=0, le=1)] = 0.8


class ToyTask(Model):
    not_built = frozenset({"due"})

    subject: str


class ToyAudience(Model):
    not_built = frozenset({"activity"})

    list: bool = True
    task: ToyTask | None = None


@dataclass(frozen=True)
class Toy:
    name: str
    settings_model: type[BaseModel] = ToySettings
    audience_model: type[BaseModel] = ToyAudience


TOYS = (Toy("hubspot"), Toy("pipedrive"))

ATTRIBUTES = """
  last_order_at: {type: timestamp}
  joined_on: {from: joined, type: date}
  orders_count: {type: integer}
  cart_value: {type: money}
  gap: {from: median_days_between_orders, type: number}
  category: {type: text}
  unsubscribed: {type: boolean}
"""
PROPERTIES = """
  lapse:
    {days_since: last_order_at, edges: [30, 90], labels: ["0-30", "31-90", "91+"], lane: daily, owner: a@example.com}
  cart_tier: {tiers: cart_value, edges: [75], labels: [low, high], lane: realtime, owner: team:growth}
"""
AUDIENCES = """
  vip_cart:
    label: RET - VIP Cart - Call
    owner: a@example.com
    segment: 1
    lane: realtime
    gate: cart_value >= 200 AND lapse = '0-30'
    deliver: {hubspot: {list: true}}
"""
SECTIONS = {
    "workspace": "{timezone: America/New_York, purchase_attribute: last_order_at}",
    "attributes": ATTRIBUTES,
    "properties": PROPERTIES,
    "audiences": AUDIENCES,
    "destinations": "{hubspot: {}, pipedrive: {}}",
}


def text(extra: str = "", **sections: str) -> str:
    """Return the small file with some sections replaced, ``extra`` at the end. A name ``more_x`` adds to x."""
    told = dict(SECTIONS)
    for name, content in sections.items():
        if name.startswith("more_"):
            told[name[5:]] += "\n" + indent(dedent(content).strip("\n"), "  ") + "\n"
        else:
            told[name] = content
    parts = [f"{name}:{content if content.startswith(chr(10)) else ' ' + content}" for name, content in told.items()]
    return "\n".join([*(part.rstrip() for part in parts), dedent(extra)])


def load(folder: Path, written: str) -> Activation:
    """Return ``written`` as loaded from a file called activation.yaml."""
    return builders.load(folder, written, TOYS)
