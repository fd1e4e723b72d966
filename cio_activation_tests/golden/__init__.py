"""Reviewed texts of what the default activation comes to: its definitions, and its SQL.

They are compared by ``test_golden.py`` and written anew by ``python -m cio_activation_tests.golden --update``.
"""
