"""The properties that the attributes found allow: states in few buckets, their edges where the sample's values lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cio_activation.activation.models import AttributeType
from cio_activation.onboarding.attributes import AttributeFound
from cio_activation.onboarding.meanings import Meaning, meaning_of

LAPSE_EDGES = (30, 90, 180)
"""Days: what teams name such buckets by; kept unless nearly everybody would be in one of them."""
MOST = 8
"""More than these nobody keeps in mind; ``check`` says so too."""
CART_EDGES, SPENT_EDGES = (75.0, 200.0), (100.0, 500.0, 2000.0)
"""Where the sample says nothing: to be looked at."""


@dataclass(frozen=True, kw_only=True)
class PropertyDraft:
    """One property: what the file says, and why."""

    name: str
    rule: Mapping[str, Any]
    """Its keys in the file, but for lane and owner."""
    lane: str
    why: Sequence[str]
    """Comment lines."""
    scarce: bool = False
    """Worth a custom field where these are scarce: it makes somebody act."""


@dataclass(frozen=True, kw_only=True)
class Meant:
    """The attributes that were recognised, and what each is called there."""

    by_meaning: Mapping[Meaning, AttributeFound] = field(default_factory=dict)
    doubtful: Sequence[str] = ()
    """Sentences on names that several attributes could have, or that differ only by letter case."""

    def has(self, *meanings: Meaning) -> bool:
        """Tell whether all of them were found."""
        return all(m in self.by_meaning for m in meanings)


def recognised(attributes: Sequence[AttributeFound]) -> Meant:
    """Return what the attributes probably are; of several for one meaning the one that most people have."""
    found: dict[Meaning, AttributeFound] = {}
    doubtful: list[str] = []
    for attribute in attributes:  # most filled first
        meaning = meaning_of(attribute.name, attribute.type)
        if meaning is None:
            continue
        if meaning in found:
            doubtful.append(
                f"{attribute.name} could be {meaning} as well as {found[meaning].name}, which more people have"
            )
        else:
            found[meaning] = attribute
    return Meant(by_meaning=found, doubtful=doubtful)


def drafted(meant: Meant) -> list[PropertyDraft]:
    """Return the properties, those that an audience or a human reads first: :data:`MOST` at most."""
    makers = (_lapse, _spent, _cart, _engaged, _second, _reorder, _refunded, _category, _average)
    return [one for make in makers if (one := make(meant)) is not None][:MOST]


def _lapse(meant: Meant) -> PropertyDraft | None:
    if not meant.has(Meaning.LAST_ORDER):
        return None
    quantiles = meant.by_meaning[Meaning.LAST_ORDER].quantiles
    edges = [float(edge) for edge in LAPSE_EDGES]
    why = "the usual buckets"
    if quantiles:
        inside = ", ".join(
            f"{share:.0%} within {_shown(quantiles[share])}" for share in (0.25, 0.5, 0.8, 0.95) if share in quantiles
        )
        why = f"of those who ordered, days since then: {inside}"
        if quantiles.get(0.9, 0) <= LAPSE_EDGES[0] or quantiles.get(0.1, 0) > LAPSE_EDGES[-1]:
            edges = _edges([quantiles.get(s) for s in (0.5, 0.8, 0.95)], whole=True) or edges
            why += "; the usual 30, 90, 180 would have put nearly everybody into one bucket"
    starts = [0, *(int(edge) + 1 for edge in edges)]
    labels = [f"{a}-{int(b)}" for a, b in zip(starts, edges, strict=False)] + [f"{starts[-1]}+"]
    rule = {"days_since": str(Meaning.LAST_ORDER), "edges": [int(e) for e in edges], "labels": labels}
    return PropertyDraft(
        name="lapse_bucket", rule=rule | {"label": "Lapse bucket (days)"}, lane="daily", why=[why], scarce=True
    )


def _spent(meant: Meant) -> PropertyDraft | None:
    tiers = _tiers(meant, Meaning.SPENT, (0.5, 0.8, 0.95), SPENT_EDGES, ("bronze", "silver", "gold", "platinum"))
    if tiers is None:
        return None
    rule, why = tiers
    return PropertyDraft(
        name="ltv_tier", rule=rule | {"label": "Lifetime value tier"}, lane="daily", why=[why], scarce=True
    )


def _cart(meant: Meant) -> PropertyDraft | None:
    tiers = _tiers(meant, Meaning.CART_VALUE, (0.5, 0.8), CART_EDGES, ("low", "mid", "high"))
    if tiers is None:
        return None
    rule, why = tiers
    return PropertyDraft(name="cart_value_tier", rule=rule, lane="realtime", why=[why], scarce=True)


def _average(meant: Meant) -> PropertyDraft | None:
    tiers = _tiers(meant, Meaning.AVERAGE, (0.33, 0.67), (), ("low", "mid", "high"))
    if tiers is None:
        return None
    rule, why = tiers
    return PropertyDraft(name="aov_tier", rule=rule | {"label": "Average order value tier"}, lane="daily", why=[why])


def _second(meant: Meant) -> PropertyDraft | None:
    since = next((m for m in (Meaning.FIRST_ORDER, Meaning.LAST_ORDER) if meant.has(m)), None)
    if since is None or not meant.has(Meaning.ORDERS):
        return None
    rule = {"flag": f"{Meaning.ORDERS} = 1 AND days_since({since}) BETWEEN 21 AND 35"}
    return PropertyDraft(name="repeat_due", rule=rule, lane="daily", why=["ordered once, three to five weeks ago"])


def _reorder(meant: Meant) -> PropertyDraft | None:
    if not meant.has(Meaning.LAST_ORDER, Meaning.GAP):
        return None
    expected: dict[str, Any] = {
        "from": str(Meaning.LAST_ORDER),
        "every": str(Meaning.GAP),
        "open": "-3d",
        "close": "+7d",
    }
    why = "before, open, due or overdue around the next expected order"
    group = next((m for m in (Meaning.CATEGORY, Meaning.FAVOURITE) if meant.has(m)), None)
    if group is not None:
        expected["fallback_by"] = str(group)
        why += "; who has no gap of their own takes their category's"
    return PropertyDraft(name="reorder_window", rule={"expect_next": expected}, lane="daily", why=[why])


def _refunded(meant: Meant) -> PropertyDraft | None:
    if not meant.has(Meaning.REFUNDED):
        return None
    rule = {"flag": f"days_since({Meaning.REFUNDED}) < 30"}
    return PropertyDraft(name="return_risk", rule=rule, lane="daily", why=["had money back in the last 30 days"])


def _category(meant: Meant) -> PropertyDraft | None:
    named = {Meaning.CATEGORY: "last_category", Meaning.FAVOURITE: "top_category"}
    found = next((m for m in named if meant.has(m)), None)
    if found is None:
        return None
    why = f"{meant.by_meaning[found].kinds} different ones in the sample: text, as it is, for whoever writes to them"
    return PropertyDraft(name=named[found], rule={"value": str(found)}, lane="daily", why=[why])


def _engaged(meant: Meant) -> PropertyDraft | None:
    if not meant.has(Meaning.CLICKED):
        return None
    rule = {"days_since": str(Meaning.CLICKED), "edges": [7, 30, 90], "labels": ["0-7", "8-30", "31-90", "91+"]}
    why = "clicks, not openings: mail programs open too"
    return PropertyDraft(name="engagement_bucket", rule=rule, lane="daily", why=[why])


def _tiers(
    meant: Meant, meaning: Meaning, shares: Sequence[float], otherwise: Sequence[float], labels: Sequence[str]
) -> tuple[dict[str, Any], str] | None:
    """Return rule and reason; None where there is no such attribute, or the sample does not tell tiers apart."""
    if not meant.has(meaning) or meant.by_meaning[meaning].type not in (
        AttributeType.MONEY, AttributeType.NUMBER, AttributeType.INTEGER
    ):  # fmt: skip
        return None
    quantiles = meant.by_meaning[meaning].quantiles
    edges = _edges([quantiles.get(share) for share in shares], whole=False)
    why = "of those who have one, " + ", ".join(
        f"{1 - share:.0%} have {_shown(quantiles[share])} or more" for share in shares if share in quantiles
    )
    if not edges:
        edges, why = [float(edge) for edge in otherwise], "too few in the sample have one: these edges are made up"
    if not edges:
        return None
    rule = {
        "tiers": str(meaning),
        "edges": [_plain(e) for e in edges],
        "labels": [*list(labels[: len(edges)]), labels[-1]],
    }
    return rule, why


def _edges(values: Sequence[float | None], *, whole: bool) -> list[float]:
    """Return the values as rising edges; what does not rise is left out."""
    edges: list[float] = []
    for value in values:
        edge = None if value is None else float(round(value)) if whole else value
        if edge and (not edges or edge > edges[-1]):
            edges.append(edge)
    return edges


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _shown(value: float) -> str:
    return f"{_plain(value):,}"
