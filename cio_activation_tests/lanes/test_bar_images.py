"""Pictures in Dagster's pages: right bars, numbers as text too, nothing that a page could take for something else."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

from cio_activation.lanes.bar_images import image, svg
from cio_activation.lanes.metadata import bars, counted, plain

COUNTS = {"lapse_bucket": {"0-30": 1200, "31-90": 600, "181+": 1, "none": 0}, "<tier> & [co]": {"a" * 40: 3}}


def picture(markdown: str) -> ElementTree.Element:
    found = re.fullmatch(r"!\[.*\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found is not None, markdown
    return ElementTree.fromstring(base64.b64decode(found[1]))


def test_a_bar_is_as_long_as_its_number_and_none_is_none() -> None:
    drawn = picture(image(COUNTS))
    widths = [int(one.attrib["width"]) for one in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert widths == [230, 115, 1, 0, 230]
    texts = ["".join(one.itertext()) for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:3] == ["lapse_bucket", "0-30", "1,200"]
    assert ("<tier> & [co]" in texts, f"{'a' * 25}…" in texts) == (True, True)


def test_the_numbers_are_the_pictures_text_and_no_markdown() -> None:
    told = str(bars({"match": {"by *key*": 93}}, " %").value)
    assert 'width="214"' in svg({"match": {"by *key*": 93}}, " %")  # of 230: a percent is one of a hundred
    assert told.startswith("![match: by \\*key\\* 93 %](")
    assert re.match(r"!\[[^\n]*and 40 more\]\(", image({"g": {str(n): n for n in range(100)}}))
    assert image({}).startswith("![nothing to show](")


def test_a_picture_is_small_and_asks_nobody_for_anything() -> None:
    drawn = svg(COUNTS)
    assert len(image(COUNTS)) < 4_000
    assert set(re.findall(r"https?://[^\"]+", drawn)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in drawn


def test_a_description_begins_without_marks_and_numbers_are_rounded() -> None:
    assert plain("**RET - VIP** (`x`)\n\n- `gate`") == "RET - VIP (x)\n\n- `gate`"
    assert counted(share=0.123456, rows=3, none=None) == {"share": 0.123, "rows": 3}
