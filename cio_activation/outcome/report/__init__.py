"""The report: one HTML file that needs nothing else. Each module but ``build``, ``page`` and ``charts`` is a section.

Everything is read from the warehouse as of the newest window's end, so the same warehouse gives the same bytes.
"""
