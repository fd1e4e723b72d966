"""Phone numbers as both sides of every match compare them: ours, and those that a vendor shows.

One function, :func:`phone`, decides. A number is what E.164 (ITU-T) makes of it; nothing is guessed: a number with an
extension is the line of a whole house, and is no number of a person.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

E164_PATTERN: Final = r"\+[1-9][0-9]{7,14}"
"""RE2 and Python. What is written so is taken as it is, in SQL too: reading it would cost 30 µs a number."""


def phone(text: str | None, region: str) -> str | None:
    """Return a number in E.164; None if ``text`` is no valid number of ``region`` or of the world."""
    import phonenumbers

    if text is None:
        return None
    # Marks that nobody sees come along where a number is copied from an address book.
    shown = "".join(c for c in text if unicodedata.category(c) != "Cf").strip()
    if re.fullmatch(E164_PATTERN, shown):
        return shown
    try:
        number = phonenumbers.parse(shown, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return found if re.fullmatch(E164_PATTERN, found) else None


def national(e164: str) -> str | None:
    """Return a number of E.164 without its country code; None if it is of no country."""
    import phonenumbers

    try:
        return str(phonenumbers.national_significant_number(phonenumbers.parse(e164)))
    except phonenumbers.NumberParseException:
        return None
