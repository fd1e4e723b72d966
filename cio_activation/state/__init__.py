"""State: what is true of each person as of a moment, derived set-based and incrementally from raw people."""
