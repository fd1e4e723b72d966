"""Outcome: what a window's deliveries came to, counted from plans and ledger."""
