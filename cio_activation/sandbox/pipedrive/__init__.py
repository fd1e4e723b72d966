"""The stand-in for Pipedrive: one company in memory, API v2 and what is left of v1."""
