"""How an activation says what follows from an outcome, as people write it, and what is wrong with it."""

from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cio_activation.activation.outcomes import Follows, Outcome, Outcomes, Retry
from cio_activation.cli.main import app
from cio_activation.errors import ConfigError
from cio_activation_tests.drivers.builders import load

DAY = timedelta(days=1)


def file(outcomes: str = "", audience: str = "", properties: str = "") -> str:
    """Return a file with an audience that asks somebody and one that does not."""
    return f"""
attributes: {{seen: {{type: text}}}}
properties: {{{properties}}}
audiences:
  a: {{label: A, owner: o@example.com, segment: 1, lane: daily, deliver: {{hubspot: {{task: {{subject: Call}}}}}}{audience}}}
  b: {{label: B, owner: o@example.com, segment: 2, lane: daily, deliver: {{hubspot: {{}}}}}}
{outcomes}
destinations: {{hubspot: {{}}}}
"""


@pytest.mark.parametrize("said", ["outreach_outcomes:", "outreach_outcomes: {}"])
def test_named_alone_it_has_all_defaults_for_whoever_asks_somebody(tmp_path: Path, said: str) -> None:
    loaded = load(tmp_path, file(said))
    assert loaded.outreach_outcomes == loaded.audiences["a"].outcomes == Outcomes()
    assert loaded.audiences["b"].outcomes is None
    assert loaded.outreach_outcomes.retries == {Outcome.NO_ANSWER: Retry(after=2 * DAY, max=2)}
    off = load(tmp_path, file())
    assert (off.outreach_outcomes, off.audiences["a"].outcomes) == (None, None)


def test_an_audience_says_otherwise_outcome_by_outcome(tmp_path: Path) -> None:
    own = ", outcomes: {no_answer: {cooldown: 1d}, bad_timing: {snooze: 3d}}"
    found = load(tmp_path, file("outreach_outcomes: {converted: {cooldown: 30d}}", own)).audiences["a"].outcomes
    assert found == Outcomes(
        converted=Follows(cooldown=30 * DAY), no_answer=Follows(cooldown=DAY), bad_timing=Follows(snooze=3 * DAY)
    )
    assert found.retries == {}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (file("outreach_outcomes: {no_answer: {snooze: 1d, retry: {}}}"), "says snooze and retry; keep one of them"),
        (file("outreach_outcomes: {no_answer: {cooldown: -1d}}"), "cooldown must not be negative"),
        (file("outreach_outcomes: {no_answer: {retry: {after: -1d}}}"), "after must not be negative"),
        (file("outreach_outcomes: {no_answer: {retry: {max: 0}}}"), "outreach_outcomes.no_answer.retry.max: 0 "),
        (file("outreach_outcomes: {maybe: {}}"), "outreach_outcomes.maybe: is not a known key"),
        (file("", ", outcomes: {}"), "audiences.a.outcomes: is read where outreach_outcomes stands; add it"),
        (
            file("outreach_outcomes:", properties="cx_outreach_active: {flag: seen = 'x', lane: daily, owner: o@example.com}"),
            "properties.cx_outreach_active: cio_cx_outreach_active is the field that humans write",
        ),
        (
            file("outreach_outcomes:").replace("deliver: {hubspot: {}}}", "outcomes: {}, deliver: {hubspot: {}}}"),
            "audiences.b.outcomes: is for audiences with an action; add one, or remove it",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_named_with_its_mend(tmp_path: Path, written: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, written)
    assert [one for one in caught.value.problems if problem in one], caught.value.problems


def test_what_each_outcome_leads_to_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "activation.yaml"
    path.write_text(file("outreach_outcomes:"))
    told = CliRunner().invoke(app, ["check", "--activation", str(path), "--explain", "a"]).stdout.splitlines()
    assert [line for line in told if line.startswith(("What came", *Outcome))] == [
        "What came of it is read from `cio_outreach_outcome` on the record, with the day in `cio_outreach_outcome_on`. "
        "People write these; they are emptied when the person enters anew.",
        "converted: it ends, and nobody asks again within 90d.",
        "not_interested: it ends, and nobody asks again within 90d.",
        "bad_timing: it ends, and the person comes again on the day beside it, or after 14d without one.",
        "wrong_person: it ends, and nobody asks again within 90d; the person is listed for review by "
        "`cio-activation rejected`.",
        "no_answer: it is asked again 2d later, at most 2 times and while the reason lives; after that it ends, and "
        "nobody asks again within 7d.",
    ]
