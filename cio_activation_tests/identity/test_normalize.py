"""Match keys: spellings that must meet, spellings that must be refused, and laws that hold for any text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cio_activation.identity.normalize import is_e164, is_email, is_sendable, trimmed
from cio_activation.identity.phones import parse
from cio_activation.warehouse.addresses import email, email_sql, learn_spellings
from cio_activation.warehouse.phone_numbers import phone
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import scalar
from cio_activation_tests.forms import form

GOOD = {
    "ada@example.com": "ada@example.com",
    " Ada.Lovelace+x@Example.COM ": "ada.lovelace+x@example.com",
    "\u00a0ada@example.com\u3000": "ada@example.com",
    "\ufeffada@example.com\u200b": "ada@example.com",
    "\tada@example.com\r\n": "ada@example.com",
    "jose\u0301@example.com": "jos\u00e9@example.com",
    "o'brien@example.co.uk": "o'brien@example.co.uk",
    "a@b\u00fccher.example": "a@xn--bcher-kva.example",
    "A@BU\u0308CHER.example": "a@xn--bcher-kva.example",
    "ada@exam\u00adple.com": "ada@example.com",
    "a\u200bda@exam\u2060ple.com": "ada@example.com",
    "ada@example\u3002com": "ada@example.com",
    "a@xn--bcher-kva.xn--p1ai": "a@xn--bcher-kva.xn--p1ai",
}
BAD = [
    "", " ", "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "a b@example.com", "ada@exa mple.com",
    "ada@example..com", "ada@.example.com", ".ada@example.com", "ada.@example.com", "a..b@example.com",
    "ada@-example.com", "ada@example-.com", "ada@example.c", "ada@example.com,bob@example.com", "<ada@example.com>",
    "mailto:ada@example.com", "ada@example.com.", "ada@127.0.0.1", "x" * 65 + "@example.com",
    "a@" + "x" * 250 + ".com",
]  # fmt: skip


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    house = Warehouse(tmp_path_factory.mktemp("home") / "w.duckdb")
    house.migrate()
    with house.read() as connection:
        yield connection


def normalized(con: Connection, text: object) -> object:
    cleaned = in_sql(con, text)
    assert cleaned == email(None if text is None else str(text))
    return scalar(con, f"SELECT CASE WHEN {is_email('c')} THEN c END FROM (SELECT ?::VARCHAR AS c)", [cleaned])


def in_sql(con: Connection, text: object) -> object:
    con.execute("CREATE OR REPLACE TEMP TABLE given AS SELECT ?::VARCHAR AS v", [text])
    learn_spellings(con, ["SELECT v FROM given"])
    return scalar(con, f"SELECT {email_sql('v')} FROM given")


@pytest.mark.parametrize("text", GOOD)
def test_addresses_meet(con: Connection, text: str) -> None:
    assert normalized(con, text) == GOOD[text]


INVISIBLE = ["\u200b", "\u200c", "\u2060", "\ufeff", "\u00ad", "\u200e"]
_domains = st.builds(
    "{}.{}".format,
    st.sampled_from(["b\u00fccher", "example", "caf\u00e9", "\u043f\u0440\u0438\u043c\u0435\u0440", "shop24"]),
    st.sampled_from(["com", "de", "\u0440\u0444"]),
)


@st.composite
def two_spellings(draw: st.DrawFn) -> tuple[str, str]:
    """Return one address as people or programs write it, twice."""
    address = f"{draw(st.from_regex('[a-z][a-z0-9.+]{0,8}[a-z0-9]', fullmatch=True))}@{draw(_domains)}"
    return draw(respelled(address)), draw(respelled(address))


@st.composite
def respelled(draw: st.DrawFn, address: str) -> str:
    local, _, domain = address.partition("@")
    if draw(st.booleans()):
        domain = domain.encode("idna").decode()
    text = draw(st.sampled_from([str.upper, str.title, str.lower, str]))(f"{local}@{domain}")
    text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), text)
    for mark in draw(st.lists(st.sampled_from(INVISIBLE), max_size=3)):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + mark + text[place:]
    around = st.sampled_from(["", " ", "\u00a0", "\t", "\u3000", "\r\n"])
    return f"{draw(around)}{text}{draw(around)}"


@settings(max_examples=form(80, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pair=two_spellings())
def test_spellings_of_one_address_meet_in_ascii(con: Connection, pair: tuple[str, str]) -> None:
    one, other = (in_sql(con, text) for text in pair)
    assert one == other == email(pair[0]) == email(pair[1])
    assert str(one).isascii()


@pytest.mark.parametrize(("text", "sendable"), [("ada@example.com", True), ("jos\u00e9@example.com", False)])
def test_what_stands_before_the_at_has_to_be_ascii_to_be_sent(con: Connection, text: str, sendable: bool) -> None:
    assert scalar(con, f"SELECT {is_sendable('?')}", [text]) is sendable


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused(con: Connection, text: str) -> None:
    assert normalized(con, text) is None


def test_no_address_stays_none(con: Connection) -> None:
    assert normalized(con, None) is None


_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
_addresses = st.builds(
    "{}{}@{}.{}{}".format,
    st.sampled_from(["", " ", "\u00a0", "\u200b", "\t"]),
    st.text(st.characters(categories=["Ll", "Lu", "Nd", "Mn"]), min_size=1, max_size=12),
    st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=12),
    st.text(st.characters(categories=["Ll", "Lu"]), min_size=2, max_size=5),
    st.sampled_from(["", " ", "\u3000", "\r\n"]),
)


@settings(max_examples=form(80, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(_addresses, _texts))
def test_normalizing_twice_changes_nothing_more(con: Connection, text: str) -> None:
    once = normalized(con, text)
    assert once is None or normalized(con, once) == once


@settings(max_examples=form(60, 1000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_addresses)
def test_composition_and_blanks_do_not_matter(con: Connection, text: str) -> None:
    assert normalized(con, unicodedata.normalize("NFD", text)) == normalized(con, text)
    assert normalized(con, f" {text}\u00a0") == normalized(con, text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=_texts)
def test_trimming_leaves_no_blank_at_the_ends(con: Connection, text: str) -> None:
    left = scalar(con, f"SELECT {trimmed('v')} FROM (SELECT ?::VARCHAR AS v)", [text])
    assert left is None or (isinstance(left, str) and left == left.strip() and left in text)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("(212) 555-0123", "+12125550123"), ("212.555.0123", "+12125550123"), ("1-212-555-0123", "+12125550123"),
        ("+49 30 901820", "+4930901820"), ("011 49 30 901820", "+4930901820"), ("tel:+1-212-555-0123", "+12125550123"),
        ("555-0123", None), ("n/a", None), ("0000000000", None), ("12", None), ("+999 1234567", None),
    ],
)  # fmt: skip
def test_phones_become_e164_or_nothing(text: str, e164: str | None) -> None:
    assert parse([text], "US") == [(text, e164)]


_NUMBERS = ["+12125550123", "+4930901820", "+442079460018", "+33142685300", "+390236618300", "+81332345678"]
_FORMATS = [
    phonenumbers.PhoneNumberFormat.E164, phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.RFC3966,
]  # fmt: skip


@st.composite
def number_respelled(draw: st.DrawFn, e164: str) -> str:
    """Return a number as people, programs and address books write it."""
    text = phonenumbers.format_number(phonenumbers.parse(e164), draw(st.sampled_from(_FORMATS)))
    text = (
        text.replace("-", draw(st.sampled_from(["-", ".", " ", " - ", "\u2011", "/"]))) if draw(st.booleans()) else text
    )
    for mark in draw(st.lists(st.sampled_from(INVISIBLE), max_size=2)):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + mark + text[place:]
    around = st.sampled_from(["", " ", "\u00a0", "\t", "\u202a", "\u202c"])
    return f"{draw(around)}{text}{draw(around)}"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(e164=st.sampled_from(_NUMBERS), data=st.data(), region=st.sampled_from(["US", "DE", "IT"]))
def test_spellings_of_one_number_meet_on_both_sides(
    con: Connection, e164: str, data: st.DataObject, region: str
) -> None:
    """Ours pass SQL first, a vendor's pass the function alone: both come to the same."""
    text = data.draw(number_respelled(e164))
    raw = str(scalar(con, f"SELECT {trimmed('v')} FROM (SELECT ?::VARCHAR AS v)", [text]))
    ours = raw if scalar(con, f"SELECT {is_e164('?')}", [raw]) else dict(parse([raw], region))[raw]
    assert ours == phone(text, region) == e164


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(_texts, st.from_regex(r"\+?[0-9 ().x#-]{3,20}", fullmatch=True)))
def test_whatever_is_read_as_a_number_reads_as_itself(con: Connection, text: str) -> None:
    found = phone(text, "US")
    assert found is None or (phone(found, "DE") == found and scalar(con, f"SELECT {is_e164('?')}", [found]))


def test_a_number_with_an_extension_is_nobodys_own() -> None:
    assert [phone(t, "US") for t in ("+1 212 555 0123 ext. 5", "212-555-0123 x5", "tel:+12125550123;ext=5")] == [
        None
    ] * 3


def test_the_default_region_decides_national_numbers() -> None:
    assert parse(["030 901820"], "DE") == [("030 901820", "+4930901820")]
    assert parse(["030 901820"], "US") == [("030 901820", None)]


@pytest.mark.parametrize(("text", "fits"), [("+12125550123", True), ("+1 2125550123", False), ("+0123456789", False)])
def test_e164_is_recognized(con: Connection, text: str, fits: bool) -> None:
    assert scalar(con, f"SELECT {is_e164('?')}", [text]) is fits
