"""State: what is true of each person as of an instant, derived set-based and incrementally from raw people."""
