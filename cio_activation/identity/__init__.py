"""Identity: one row per person with normalized match keys, and one owner for every key."""
