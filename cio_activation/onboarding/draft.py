"""The first activation, from what was read: what it says, and what is left for a human to decide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cio_activation.delivery.destination import Destination
from cio_activation.delivery.survey import CanBeSurveyed, FirstAsk
from cio_activation.onboarding import audiences, properties
from cio_activation.onboarding.audiences import AudienceDraft
from cio_activation.onboarding.meanings import Meaning
from cio_activation.onboarding.properties import Meant, PropertyDraft
from cio_activation.onboarding.reading import Found

MOST_ROTATING = 3
"""People who take turns at most; whoever knows the team names the right ones."""
NOBODY_KNOWN = "team:retention"
SUBJECTS = {
    "cart_rescue": ("Call about the cart of {cart_value}", "Call about the cart they left"),
    "churn_risk_outreach": ("Call and ask, last order {last_order_at}", "Call and ask: no order for long"),
    "winback_clicked": ("Make a personal offer: clicked the win-back message",) * 2,
}
"""Audience -> what the action says: with the value it shows, and where that is not known."""
OF_THE_WORKSPACE = {
    "purchase_attribute": Meaning.LAST_ORDER,
    "order_count_attribute": Meaning.ORDERS,
    "total_spent_attribute": Meaning.SPENT,
    "unsubscribed_attribute": Meaning.UNSUBSCRIBED,
}
"""Key of ``workspace`` -> which attribute it names."""
_NEEDS = {"cart_rescue": Meaning.CART_VALUE, "churn_risk_outreach": Meaning.LAST_ORDER}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What the file will say."""

    found: Found
    meant: Meant
    properties: Sequence[PropertyDraft]
    audiences: Sequence[AudienceDraft]
    why_not: dict[int, str]
    """Segment -> why no audience starts from it yet."""
    owner: str
    """Who answers for everything until a human says who does."""
    timezone: str
    currency: str
    deliveries: dict[str, dict[str, Any]]
    """Audience -> ``deliver``."""
    undecided: Sequence[str]
    """What a human still has to decide."""

    @property
    def used(self) -> frozenset[Meaning]:
        """The attributes that something in the file reads; only these are declared."""
        written = " ".join(str(part) for part in (*(p.rule for p in self.properties), *self.audiences, self.deliveries))
        read = {m for m in self.meant.by_meaning if re.search(rf"\b{m}\b", written)}
        return frozenset(read | {m for m in OF_THE_WORKSPACE.values() if m in self.meant.by_meaning})


def draft(found: Found, destinations: Sequence[Destination]) -> Draft:
    """Return the first activation for what was found."""
    meant = properties.recognised(found.attributes)
    made = properties.drafted(meant)
    crms = [d for d in destinations if d.name in found.surveys]
    asked = _asked_where(found, crms)
    begun, why_not = audiences.chosen(found.segments, meant, made, can_ask=bool(asked))
    surveys = list(found.surveys.values())
    owners = list(dict.fromkeys(email for survey in surveys for email in survey.owners))
    zone = next((s.timezone for s in surveys if s.timezone), None)
    currency = next((s.currency for s in surveys if s.currency), None)
    deliveries = _deliveries(found, crms, asked, begun, meant)
    return Draft(
        found=found,
        meant=meant,
        properties=made,
        audiences=begun,
        why_not=why_not,
        owner=owners[0] if owners else NOBODY_KNOWN,
        timezone=zone or "UTC",
        currency=currency or "USD",
        deliveries=deliveries,
        undecided=_undecided(found, meant, begun, owners, zone, currency),
    )


def first_day(draft: Draft) -> str:
    """Return the first daily partition: yesterday's, so that there is a full day to begin with."""
    return (draft.found.read_at - timedelta(days=2)).date().isoformat()


def _asked_where(found: Found, crms: Sequence[Destination]) -> list[str]:
    """Return the CRMs in which somebody can be asked to act."""
    return [d.name for d in crms if found.surveys[d.name].owners]


def _deliveries(
    found: Found, crms: Sequence[Destination], asked: Sequence[str], begun: Sequence[AudienceDraft], meant: Meant
) -> dict[str, dict[str, Any]]:
    """Return each audience's ``deliver``. Who is asked in several CRMs is asked in turns: an audience asks in one."""
    made: dict[str, dict[str, Any]] = {}
    asked_before = 0
    for one in begun:
        place = None
        if one.asks:
            place = asked[asked_before % len(asked)]
            asked_before += 1
        made[one.purpose.name] = {
            d.name: d.first_delivery(_ask(found, d.name, one, meant) if d.name == place else None)
            for d in crms
            if isinstance(d, CanBeSurveyed)
        }
    return made


def _ask(found: Found, place: str, one: AudienceDraft, meant: Meant) -> FirstAsk:
    shown, plain = SUBJECTS[one.purpose.name]
    needs = _NEEDS.get(one.purpose.name)
    subject = shown if needs is None or meant.has(needs) else plain
    people = found.surveys[place].owners[:MOST_ROTATING]
    return FirstAsk(subject=subject, body=one.purpose.description, urgent=one.purpose.urgent, people=people)


def _undecided(
    found: Found,
    meant: Meant,
    begun: Sequence[AudienceDraft],
    owners: Sequence[str],
    zone: str | None,
    currency: str | None,
) -> list[str]:
    """Return what nobody could read off an account, most urgent first."""
    told: list[str] = []
    if owners:
        told.append(
            f"owners: {owners[0]} answers for everything here, only because nobody else is known. "
            "Name who does, at each "
            "property and audience."
        )
        told.append("who acts: up to three users take turns. Name those whose work it is (owner, below each action).")
    else:
        told.append(
            f"owners: no user who can be asked was found in any CRM, so {NOBODY_KNOWN} stands for "
            "them and nobody is asked to "
            "act. Invite somebody there, then run init again or add a task or an activity (docs/actions.md)."
        )
    if not begun:
        told.append(
            "audiences: no segment says by its name what somebody would do about its people. Add the first by hand."
        )
    if not meant.has(Meaning.LAST_ORDER):
        told.append(
            "purchases: no attribute of the latest order was found, so a purchase ends nothing: name it (workspace."
            "purchase_attribute), or a webhook that tells of one (workspace.purchase_moment)."
        )
    if meant.by_meaning:
        told.append(
            "edges and gates: they come from the sample. Look at each, and at what it means that an "
            "attribute was taken for "
            "something by its name."
        )
    told += [f"attributes: {unclear}; take the right one." for unclear in meant.doubtful]
    told.append(
        f"time zone and currency: {f'{zone}, as the CRM says' if zone else 'UTC, for want of anything else'}; "
        f"{f'{currency}, as the CRM says' if currency else 'USD, for want of anything else'}."
    )
    if any(one.asks for one in begun):
        told += [
            "the start: of those who are in a segment already ten are let in (launch.backfill), the "
            "others once they have "
            "left it and come again; twenty a day at most. Both are numbers in the file.",
            "measuring: with holdout: 10% at an audience you learn what it brings (docs/worth.md). "
            "Best before it starts.",
            "journeys: if a journey of Customer.io talks to the same people, say so by hold_while, "
            "so that nobody calls meanwhile.",
            "Customer.io: exclude cx_outreach_active from promotions, so that nobody is written to "
            "while somebody calls.",
        ]
    told.append("workflows in a CRM that hang on our lists and fields: switch them on after the sign-off only.")
    if unread := [f"{name} ({what})" for name, survey in found.surveys.items() for what in survey.unread]:
        told.append(f"what could not be read: {', '.join(unread)}; it stands at the end of this file with the reason.")
    return told
