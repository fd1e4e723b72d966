"""The journal: the small, transactional store that all processes share, beside the warehouse (design 3).

Attempts in flight and the claims of creations, leases, the vendors' rates and days, the webhooks' inbox. SQLite in WAL
mode by default, PostgreSQL by URL.
"""
