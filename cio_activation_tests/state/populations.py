"""Hypothesis strategies: people whose times and numbers lie on, just before and just after the edges of the rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

NOW = datetime(2026, 11, 22, 5)
_AGES = [timedelta(days=d) for d in (0, 1, 2, 4, 7, 10, 17, 31, 61, 91, 181, 400)] + [
    timedelta(hours=h) for h in (1, 2)
]
_SHIFTS = [timedelta(0), timedelta(microseconds=1), timedelta(microseconds=-1), timedelta(hours=5), timedelta(days=-3)]

moments = st.one_of(
    st.none(),
    st.builds(lambda age, shift: NOW - age + shift, st.sampled_from(_AGES), st.sampled_from(_SHIFTS)),
    st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1)),
)
person = st.fixed_dictionaries(
    {},
    optional={
        "last_order_at": moments,
        "clicked_at": moments,
        "born_on": st.one_of(st.none(), moments.filter(bool).map(lambda m: m.date())),  # type: ignore[union-attr]
        "spent": st.sampled_from([None, 0.0, 74.99, 75.0, 200.49, 200.5, 1e6, float("nan")]),
        "score": st.sampled_from([None, -2.5, 0.0, 3.0]),
        "orders": st.sampled_from([None, 0, 1, 2, 50]),
        "gap_days": st.sampled_from([None, None, 0.0, -1.0, 0.4, 7.0, 9.5, 30.0, 1e9, float("nan")]),
        "category": st.sampled_from([None, "tea", "tea", "rugs"]),
        "unsubscribed": st.sampled_from([None, True, False]),
    },
)
people = st.lists(person, max_size=14).map(lambda rows: {f"p{i:02}": row for i, row in enumerate(rows)})
spans = st.one_of(
    st.integers(0, 20 * 86_400).map(lambda s: timedelta(seconds=s)),
    st.sampled_from([timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1), timedelta(days=200)]),
)
Person = dict[str, Any]
