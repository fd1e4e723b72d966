import os

import pytest

from cio_activation_tests.postgres import journal_url, postgres
from cio_activation_tests.scope_check import few_come_out_like_all

__all__ = ["few_come_out_like_all", "journal_url", "postgres"]

# The stand-ins commit at once, or after a delay that a test sets: nobody waits for a vendor to settle.
os.environ.setdefault("VENDOR_SETTLE_S", "0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with slow tests first: whoever draws one of them last works alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
