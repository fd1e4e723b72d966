import os
import signal

import pytest

from cio_activation.warehouse import sessions
from cio_activation_tests.drivers.fresh_homes import fresh_homes_are_copies
from cio_activation_tests.drivers.postgres import journal_url, postgres
from cio_activation_tests.drivers.scopes import few_come_out_like_all
from cio_activation_tests.forms import VARIABLE

__all__ = ["few_come_out_like_all", "fresh_homes_are_copies", "journal_url", "postgres"]

# The stand-ins commit at once, or after a delay that a test sets: nobody waits for a vendor to settle.
os.environ.setdefault("VENDOR_SETTLE_S", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="the long form: every fault, every kill, many histories")


def pytest_configure(config: pytest.Config) -> None:
    """Say which form it is before a test module is imported, and let processes that tests start hear Ctrl-C.

    A shell starts what it puts into the background with SIGINT ignored, and whoever is started from there inherits that.

    In the short form DuckDB works with one thread in the tests' own processes: beside other workers a second one costs a
    sixth more and gives nothing. Processes that tests start have as many as there are cores, as has the long form.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--long"):
        os.environ[VARIABLE] = "1"
    else:
        sessions._CONFIG.setdefault("threads", 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what is for the long form only to that, and put the files with slow tests first.

    Whoever draws one of them last works alone at the end.
    """
    if not config.getoption("--long"):
        for_later = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=for_later)
        items[:] = [item for item in items if item not in for_later]
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
