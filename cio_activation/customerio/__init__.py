"""Customer.io: exports, segments, attributes and webhooks, into the raw layer; the only source of truth about people.

``receiver`` takes webhooks into ``inbox`` (the journal's database), ``moments`` lands them.
"""
