"""The activation file: what it may say (``file``, ``models``), how it is read and checked (``loader``), what its
expressions become (``expressions``), and the spans of time everything else decides by (``windows``, ``durations``).
"""
