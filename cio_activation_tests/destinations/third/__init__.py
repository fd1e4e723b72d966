"""A third destination as a stranger would add it: the package ``sheet``, and the one line that registers it.

The test puts ``sheet/`` beside the project's own destinations in a copy of the project; here it is only data.
"""
