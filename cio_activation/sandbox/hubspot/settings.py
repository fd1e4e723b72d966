"""Behaviours of the HubSpot stand-in that tests turn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """Behaviours that the fact sheet leaves open, or that tests want to turn."""

    search_lag_s: float = 3.0
    echo_trace_ids: bool = True
    omit_empty_ids: bool = False
