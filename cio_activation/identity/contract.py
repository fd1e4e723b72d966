"""The contract of the identity layer, in Pandera: what a row of ``identity.persons`` looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cio_activation.warehouse.tables import PERSONS

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

NOT_SENDABLE = "e-mail is not ASCII before the @"
"""Undeliverable reason: the CRMs refuse such an address."""
UNDELIVERABLE_REASONS = ("no e-mail", "invalid e-mail", "e-mail belongs to another person", NOT_SENDABLE)


def persons_schema() -> pa.DataFrameSchema:
    """Return the schema of one chunk of ``identity.persons``."""
    import pandera.pandas as pa

    def deliverable_means_own_email(frame: pd.DataFrame) -> pd.Series[bool]:
        owns = frame["email"].notna() & frame["email_owner"] & ~frame["undeliverable_reason"].eq(NOT_SENDABLE)
        verdict: pd.Series[bool] = (frame["deliverable"] == owns) & (frame["undeliverable_reason"].isna() == owns)
        return verdict

    return pa.DataFrameSchema(
        {
            "cio_id": pa.Column(str, pa.Check.str_matches(r"^\S+$", error="no cio_id"), nullable=False),
            "external_id": pa.Column(str, nullable=True),
            "email": pa.Column(
                str, pa.Check.str_matches(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", error="not an e-mail"), nullable=True
            ),
            "phone": pa.Column(str, pa.Check.str_matches(r"^\+[1-9]\d{6,14}$", error="not E.164"), nullable=True),
            "email_owner": pa.Column(bool, nullable=False),
            "external_id_owner": pa.Column(bool, nullable=False),
            "phone_owner": pa.Column(bool, nullable=False),
            "deliverable": pa.Column(bool, nullable=False),
            "undeliverable_reason": pa.Column(
                str, pa.Check.isin(UNDELIVERABLE_REASONS, error="not a reason"), nullable=True
            ),
        },
        checks=pa.Check(deliverable_means_own_email, error="deliverable without owning an e-mail, or the reverse"),
        strict=False,
        name=PERSONS,
    )
