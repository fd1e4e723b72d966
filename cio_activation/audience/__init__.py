"""Audiences: who is in now, since when and why, decided per window from segments, gates and life-cycle rules."""
