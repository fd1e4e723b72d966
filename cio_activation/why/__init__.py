"""Why: what was decided of one person, by which rules and values, what was sent, and what keeps somebody out."""
