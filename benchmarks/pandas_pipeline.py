"""The daily run as one pandas script: read, resolve, derive, decide, compare. The peer of the whole run.

It keeps what it needs between days in Parquet files, has no history, no quarantine table and no transactions.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import pandas_people, pandas_state, people
from benchmarks.homes import Site
from benchmarks.pandas_state import Ages
from cio_activation.activation.models import Activation, Lane
from cio_activation.identity import phones
from cio_activation.runtime import Runtime
from cio_activation.warehouse.sql import literal

Frame = pd.DataFrame
_EMAIL = r"[^\s@]+@[^\s@]+\.[^\s@]+"
_GATES: dict[str | None, Callable[[Ages, Frame], Any]] = {
    None: lambda p, s: s["cio_id"].notna(),  # noqa: ARG005
    "lapse_bucket = '91-180' AND ltv_tier <> 'bronze'": lambda p, s: (  # noqa: ARG005
        s["lapse_bucket"].eq("91-180") & s["ltv_tier"].notna() & s["ltv_tier"].ne("bronze")
    ),
    "orders_count = 1": lambda p, s: p.orders_count.eq(1),  # noqa: ARG005
    "ltv_tier IN ('gold', 'platinum') AND median_days_between_orders >= 7": lambda p, s: (
        s["ltv_tier"].isin(["gold", "platinum"]) & (p.median_days_between_orders >= 7)
    ),
    "churn_risk": lambda p, s: s["churn_risk"],  # noqa: ARG005
    "wismo_clicks_30d >= 2 AND days_since(last_order_at) <= 30": lambda p, s: (  # noqa: ARG005
        p.wismo_clicks_30d.ge(2) & (p.days("last_order_at") <= 30)
    ),
}
"""Gates by their text in the activation: a changed one fails here instead of being compared with something else."""


def export(site: Site, run: Runtime) -> None:
    """Write what the script starts from: shadow, phone map, segment members."""
    with run.warehouse.read() as con:
        for name, query in {
            "shadow": "FROM delivery.shadow_hubspot_daily",
            "phones": "FROM identity.phone_map",
            "segments": "SELECT segment_id, cio_id FROM raw.memberships",
        }.items():
            con.execute(f"COPY ({query}) TO {literal(str(_file(site, name)))} (FORMAT parquet)")


def run_day(site: Site, activation: Activation, day: int) -> dict[str, Any]:
    """Run a day; return the ids to push, people per audience and shared e-mails."""
    received, bad = pandas_people.read(site.csv(day), activation)
    persons = _resolve(received, activation, pd.read_parquet(_file(site, "phones")))
    state = pandas_state.derive(received, activation, people.window(day).as_of)
    eligible = _eligible(received, state, activation, day, pd.read_parquet(_file(site, "segments")))
    known = pd.read_parquet(_file(site, "shadow"))
    wanted = state.loc[persons["deliverable"].to_numpy()]
    changed = _changed(wanted, known, activation)
    wanted[wanted["cio_id"].isin(changed)].to_parquet(_file(site, "push"), index=False)
    state.to_parquet(_file(site, "state"), index=False)
    return {"ids": changed, "eligible": eligible, "bad": len(bad), "phones": int(persons["phone"].notna().sum())}


def _file(site: Site, name: str) -> Path:
    return site.root / f"pandas-{name}.parquet"


def _resolve(received: Frame, activation: Activation, known: Frame) -> Frame:
    """Normalize e-mail and phone; give each e-mail one owner."""
    email = received["email"].str.strip().str.lower()
    email = email.where(email.str.fullmatch(_EMAIL).fillna(False).astype(bool))
    raw = received["phone"].str.strip()
    written = raw.str.fullmatch(r"\+[1-9][0-9]{7,14}").fillna(False).astype(bool)
    parsed = known.set_index("raw")["e164"]
    rest = raw[~written & raw.notna()]
    missing = set(rest.unique()) - set(parsed.index)
    if missing:
        found = dict(phones.parse(missing, activation.workspace.default_region))
        parsed = pd.concat([parsed, pd.Series(found)])
    phone = raw.where(written)
    phone.loc[rest.index] = rest.map(parsed)
    persons = Frame({
        "cio_id": received["cio_id"], "external_id": received["external_id"], "email": email, "phone": phone,
        "created_at": received["created_at"],
    })  # fmt: skip
    shared = persons[persons["email"].notna() & persons["email"].duplicated(keep=False)]
    ranked = shared.assign(without=shared["external_id"].isna()).sort_values(
        ["email", "without", "created_at", "cio_id"], na_position="last"
    )
    losers = ranked.index[ranked["email"].duplicated(keep="first")]
    persons["deliverable"] = persons["email"].notna() & ~persons.index.isin(losers)
    return persons


def _eligible(received: Frame, state: Frame, activation: Activation, day: int, segments: Frame) -> dict[str, int]:
    ages = Ages(received, people.window(day).as_of)
    found = {}
    for audience in activation.lane_audiences(Lane.DAILY):
        members = received["cio_id"].isin(segments.loc[segments["segment_id"] == audience.segment, "cio_id"])
        found[audience.name] = int((members & _GATES[audience.gate](ages, state).fillna(False).astype(bool)).sum())
    return found


def _changed(wanted: Frame, known: Frame, activation: Activation) -> list[str]:
    names = [p.name for p in activation.lane_properties(Lane.DAILY, "hubspot")]
    both = wanted[["cio_id", *names]].merge(known, on="cio_id", how="left", indicator="side")
    differs = both["side"].eq("left_only")
    for name in names:
        value = both[name]
        if pd.api.types.is_datetime64_any_dtype(value):
            value = value.dt.strftime("%Y-%m-%d")
        elif pd.api.types.is_bool_dtype(value):
            value = value.map({True: "true", False: "false"})
        held = both[f"p_{name}"]
        differs |= ~(value.eq(held).fillna(False).astype(bool) | (value.isna() & held.isna()))
    return [str(i) for i in both.loc[differs, "cio_id"]]
