"""What HubSpot calculates of phones for its search: area code and local number (guide to CRM search)."""

from __future__ import annotations

import phonenumbers

SEARCHABLE_PHONES = {
    "hs_searchable_calculated_phone_number": "phone",
    "hs_searchable_calculated_mobile_number": "mobilephone",
}
"""Calculated property -> the one it is calculated from."""
HOME = "US"


def searchable(typed: str | None) -> str | None:
    """Return the number that search goes by; None of what is no number."""
    try:
        read = phonenumbers.parse(typed or "", HOME)
    except phonenumbers.NumberParseException:
        return None
    return str(phonenumbers.national_significant_number(read))
