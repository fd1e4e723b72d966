"""What an attribute probably is, by its name: names differ from shop to shop, but not by much.

A guess that is wrong costs a look: every line that rests on one says so in the file, and nothing is delivered before
somebody has looked.
"""

from __future__ import annotations

import re
from enum import StrEnum

from cio_activation.activation.models import AttributeType


class Meaning(StrEnum):
    """What a property or a rule can be made of; the value is the name it gets in the activation."""

    LAST_ORDER = "last_order_at"
    FIRST_ORDER = "first_order_at"
    ORDERS = "orders_count"
    SPENT = "total_spent"
    AVERAGE = "average_order_value"
    GAP = "days_between_orders"
    CART_VALUE = "cart_value"
    CLICKED = "last_clicked_at"
    REFUNDED = "last_refund_at"
    CATEGORY = "last_order_category"
    FAVOURITE = "most_bought_category"
    UNSUBSCRIBED = "unsubscribed"


TIMES = frozenset({AttributeType.TIMESTAMP, AttributeType.DATE})
NUMBERS = frozenset({AttributeType.MONEY, AttributeType.NUMBER, AttributeType.INTEGER})
_BOUGHT = r"(?:order|purchase|transaction)(?:ed|d|s)?"
_WHEN = r"(?:_(?:at|on|date|time|timestamp|ts))?"

_PATTERNS: tuple[tuple[Meaning, str, frozenset[AttributeType]], ...] = (
    (Meaning.LAST_ORDER, rf"(?:last|latest|most_recent)_{_BOUGHT}{_WHEN}", TIMES),
    (Meaning.FIRST_ORDER, rf"first_{_BOUGHT}{_WHEN}", TIMES),
    (
        Meaning.ORDERS,
        r"(?:(?:total|number_of|num|nr_of|lifetime)_)?(?:orders?|purchases?)(?:_(?:count|total))?",
        frozenset({AttributeType.INTEGER}),
    ),
    (
        Meaning.SPENT,
        r"(?:total|lifetime|amount|customer_lifetime)_(?:spent|spend|revenue|value|sales)|ltv|clv|revenue",
        NUMBERS,
    ),
    (Meaning.AVERAGE, r"(?:average|avg|mean)_(?:order|basket|purchase)_?(?:value|size|amount)|aov", NUMBERS),
    (Meaning.GAP, r"(?:(?:median|average|avg|mean|usual)_)?days_between_(?:orders|purchases)|reorder_days", NUMBERS),
    (
        Meaning.CART_VALUE,
        r"(?:(?:last|open|current|abandoned)_)?(?:cart|checkout|basket)_(?:value|total|amount|subtotal)",
        NUMBERS,
    ),
    (Meaning.CLICKED, rf"last_(?:email_|message_)?(?:click|clicked|engaged|engagement){_WHEN}", TIMES),
    (Meaning.REFUNDED, rf"(?:last|latest)_(?:refund|refunded|return|returned){_WHEN}", TIMES),
    (
        Meaning.CATEGORY,
        r"(?:last|latest)_(?:(?:order|purchase|purchased|product)_)?category",
        frozenset({AttributeType.TEXT}),
    ),
    (
        Meaning.FAVOURITE,
        r"(?:favou?rite|top|most_bought|preferred)_(?:product_)?category",
        frozenset({AttributeType.TEXT}),
    ),
    (Meaning.UNSUBSCRIBED, r"unsubscribed|opted_out|email_opt_out", frozenset({AttributeType.BOOLEAN})),
)

_PERSONAL = re.compile(
    r"(?:^|_)(?:id|ids|uuid|email|e_?mail|phone|mobile|tel|telephone|sms|whatsapp|name|firstname|lastname|surname|full_?name|"
    r"address|street|city|town|zip|zipcode|postal|postcode|state|country|region|birth|birthday|birthdate|dob|age|gender|sex|ip|"
    r"lat|latitude|lon|lng|longitude|ssn|tax|vat|iban|card|passport|token|password|secret|hash|url|link|avatar|photo|image|"
    r"device|browser|user_agent|notes?|comment|company|title)(?:_|$)"
)
_TIME = re.compile(
    r"(?:_(?:at|on|date|time|timestamp|ts|since|until)|date|timestamp)$|^(?:last|first|latest|created|updated)_"
)
_MONEY = re.compile(r"spen[dt]|value|revenue|price|amount|total|subtotal|ltv|clv|aov|sales|refunded|discount")
_FLAG = re.compile(r"^(?:is|has|was|can)_|unsubscribed|opt(?:ed)?_(?:in|out)|_flag$|^vip$")
LONGEST = 60
"""A longer name is more likely a value that somebody sent as one."""


def plain(name: str) -> str:
    """Return a name in lower case with single underscores: ``lastOrderAt`` is ``last_order_at``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


def meaning_of(name: str, kind: AttributeType) -> Meaning | None:
    """Return what an attribute of this name and type probably is; None if that is not among what is known here."""
    if is_personal(name):
        return None
    return next((m for m, pattern, fit in _PATTERNS if kind in fit and re.fullmatch(pattern, plain(name))), None)


def is_personal(name: str) -> bool:
    """Tell whether the values of such an attribute may say who somebody is: nothing of them is counted or shown."""
    return _PERSONAL.search(plain(name)) is not None


def is_a_name(name: str) -> bool:
    """Tell whether this is an attribute's name, and no value of a person that a sender used as one."""
    return "@" not in name and len(name) <= LONGEST and name.isprintable() and not re.search(r"\d{5}", name)


def says_time(name: str) -> bool:
    """Tell whether the name says that the value is an instant."""
    return _TIME.search(plain(name)) is not None


def says_money(name: str) -> bool:
    """Tell whether the name says that the value is an amount."""
    return _MONEY.search(plain(name)) is not None


def says_flag(name: str) -> bool:
    """Tell whether the name says that the value is yes or no, so that 1 and 0 are these."""
    return _FLAG.search(plain(name)) is not None
