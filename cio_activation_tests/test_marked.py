"""Two commands write into one page: neither takes away what the other wrote, nor the text around."""

from __future__ import annotations

from pathlib import Path

from cio_activation_tests.marked import put


def test_parts_of_a_page_do_not_disturb_each_other(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "page.md"
    put(page, "one", "<1>", "</1>", "Title\n\n<1>\n</1>\n")
    put(page, "two", "<2>", "</2>")
    assert page.read_text() == "Title\n\n<1>\none\n</1>\n\n<2>\ntwo\n</2>\n"
    put(page, "uno", "<1>", "</1>")
    put(page, "due", "<2>", "</2>")
    assert page.read_text() == "Title\n\n<1>\nuno\n</1>\n\n<2>\ndue\n</2>\n"
