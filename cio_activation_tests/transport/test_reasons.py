"""No code stands alone where people look: each is told with what it means and what to do."""

from __future__ import annotations

import pytest

from cio_activation.transport.policy import STATUS
from cio_activation.transport.reasons import meaning_of, told


@pytest.mark.parametrize("status", ["200", "207", *map(str, STATUS), "418", "599"])
def test_a_bare_status_is_a_sentence(status: str) -> None:
    sentence = told(status)
    assert sentence.startswith(f"{status}: ")
    assert len(sentence.split()) > 7
    assert "next run" in sentence or "cio-activation" in sentence


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("400 VALIDATION_ERROR", "does not take the value"),
        ("400 VALIDATION_ERROR INVALID_OPTION cio_lapse_bucket", "none of the property's options"),
        ("403 MISSING_SCOPES", "`cio-activation check` names it"),
        ("409 CONFLICT OBJECT_ALREADY_EXISTS", "merge the two"),
        ("400 ERR_SCHEMA_VALIDATION_FAILED: audiences", "no value of this kind"),
        ("no answer", "looked up by the next run"),
    ],
)
def test_a_code_is_told_with_what_to_do(reason: str, words: str) -> None:
    assert words in told(reason)
    assert told(reason).startswith(reason)


def test_a_sentence_of_ours_is_left_as_it_is() -> None:
    for reason in ("is there already; linked", "the vendor's answer does not mention this record"):
        assert (told(reason), meaning_of(reason)) == (reason, None)
