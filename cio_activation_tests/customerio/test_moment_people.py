"""Moments without a ``cio_id``: named by what the warehouse knows, else by Customer.io, and nobody is guessed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from cio_activation.activation.models import Lane
from cio_activation.customerio import moment_people
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.inbox import Event, Inbox, Source
from cio_activation.customerio.live import LivePull, pull_live
from cio_activation.customerio.moments import MomentsPull, pull_moments
from cio_activation.customerio.people import pull_people
from cio_activation.journal.attempts import Journal
from cio_activation.transport.errors import VendorError
from cio_activation.warehouse import published
from cio_activation.warehouse.tables import PEOPLE_LIVE
from cio_activation_tests.drivers.builders import FAST, START, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.tables import query

RT = Lane.REALTIME
BATCH, BY_EMAIL = "POST /v1/customers/attributes", "GET /v1/customers"
NOW = datetime(2026, 11, 2, 12)


class Shop:
    """An installation beside the stand-in: visitors appear at Customer.io, webhooks arrive, runs are made."""

    def __init__(self, site: CustomerioBench) -> None:
        self.site, self.run = site, site.runtime(rt=(11,))
        self.inbox = Inbox(Journal(self.run.settings.journal))
        self.visitors: list[str] = []
        self.events = 0

    def visitor(self, **who: str) -> str:
        self.visitors.append(str(self.site.edit(action="add_person", **who)["cio_id"]))
        return self.visitors[-1]

    def webhook(self, **body: Any) -> None:
        self.events += 1
        raw = json.dumps({"event": "cart_updated", **body}).encode()
        self.inbox.add([Event(Source.JOURNEY, f"k{self.events:03}", "cart_updated", raw, START.timestamp())])

    def moments(self) -> MomentsPull:
        return pull_moments(self.run, window(2, RT))

    def live(self, after: timedelta = timedelta(0)) -> LivePull:
        return pull_live(self.run, window(2, RT), clock=lambda: NOW + after)

    def named(self) -> list[Any]:
        return query(self.run, "SELECT cio_id, named_by, problem FROM raw.moments ORDER BY event_id")

    def landed(self) -> list[str]:
        return [c for (c,) in query(self.run, "SELECT cio_id FROM raw.people_live ORDER BY 1")]

    def quarantined(self) -> list[Any]:
        return query(
            self.run, "SELECT reason, \"column\", row FROM quarantine.rows WHERE layer = 'moments' ORDER BY ALL"
        )


@pytest.fixture
def shop(site: CustomerioBench) -> Iterator[Shop]:
    here = Shop(site)
    yield here
    for cio_id in here.visitors:
        site.edit(action="delete_person", cio_id=cio_id)


def known(site: CustomerioBench) -> Mapping[str, Any]:
    """Return a person of the generated world: cio_id, id, email."""
    row = next(row for _, row in sorted(site.picture().identifiers.items()) if row[1] and row[2])
    return {"cio_id": row[0], "id": row[1], "email": row[2]}


@pytest.mark.parametrize("by", ["id", "email"])
def test_a_person_the_warehouse_knows_is_named_and_fetched_without_asking_who_it_is(shop: Shop, by: str) -> None:
    who = known(shop.site)
    pull_people(shop.run, window(1), poll=FAST)
    shop.webhook(identifiers={"id": who["id"]} if by == "id" else {"id": "", "email": f"  {who['email'].upper()} "})
    landed = shop.moments()
    assert (landed.named, landed.people, landed.unnamed) == ({by: 1}, 1, 0)
    assert shop.named() == [(who["cio_id"], by, None)]
    shop.site.clear_log()
    fetched = pull_live(shop.run, window(2, RT))
    assert (fetched.rows, fetched.asked) == (1, 0)
    assert BY_EMAIL not in shop.site.calls()


@pytest.mark.parametrize("by", ["id", "email"])
def test_a_new_visitor_is_asked_for_and_landed_in_the_same_run(shop: Shop, by: str) -> None:
    added = shop.visitor(id="New-1", email="new+one@example.com")
    shop.webhook(**({"customer": {"id": "New-1"}} if by == "id" else {"email": "New+One@Example.com"}))
    assert shop.moments().unnamed == 1
    fetched = shop.live()
    assert (fetched.asked, fetched.named, fetched.rows) == (1, {by: 1}, 1)
    assert shop.named() == [(added, by, None)]
    assert query(shop.run, "SELECT cio_id, external_id, email FROM raw.people_live") == [
        (added, "New-1", "new+one@example.com")
    ]
    shop.site.clear_log()
    assert shop.moments().unnamed == 0
    again = shop.live(timedelta(hours=1))
    assert (again.asked, again.rows) == (0, 0)
    assert not {BATCH, BY_EMAIL} & set(shop.site.calls())


def test_several_new_visitors_cost_one_call_by_id_and_one_each_by_email(shop: Shop) -> None:
    ids = [shop.visitor(id=f"N{n}") for n in range(5)]
    emails = [shop.visitor(email=f"n{n}@example.com") for n in range(3)]
    for n in (0, 1, 2, 3, 4, 4):
        shop.webhook(identifiers={"id": f"N{n}"})
    for n in range(3):
        shop.webhook(email=f"n{n}@example.com")
    shop.moments()
    shop.site.clear_log()
    fetched = shop.live()
    assert (fetched.asked, fetched.named, fetched.rows) == (8, {"id": 6, "email": 3}, 8)
    assert shop.landed() == sorted(ids + emails)
    # One call for the ids, then everybody's attributes: by id, and by cio_id for those who have none.
    assert (shop.site.calls()[BATCH], shop.site.calls()[BY_EMAIL]) == (3, 3)


def test_an_id_in_another_case_is_another_person_and_asking_for_nobody_ends(shop: Shop) -> None:
    shop.visitor(id="Case-1", email="case@example.com")
    shop.webhook(identifiers={"id": "case-1"})
    shop.moments()
    for turn in range(moment_people.ASKED_AT_MOST):
        assert shop.named() == [(None, None, None)]
        assert shop.live(timedelta(minutes=15 * turn)).asked == 1
        assert shop.live(timedelta(minutes=15 * turn, seconds=5)).asked == 0, "not again at once"
    assert shop.named() == [(None, None, moment_people.UNKNOWN)]
    ((reason, column, row),) = shop.quarantined()
    assert (reason, column, json.loads(row)["identifiers"]) == (moment_people.UNKNOWN, "id", {"id": "case-1"})
    shop.moments()
    assert shop.live(timedelta(days=1)).asked == 0
    assert shop.landed() == []


def test_a_visitor_found_at_a_later_asking_is_named(shop: Shop) -> None:
    shop.webhook(email="late@example.com")
    shop.moments()
    assert shop.live().named == {}
    added = shop.visitor(email="late@example.com")
    assert shop.live(timedelta(minutes=2)).named == {"email": 1}
    assert shop.named() == [(added, "email", None)]


def test_an_email_of_several_people_names_nobody_here_or_there(shop: Shop) -> None:
    shop.visitor(id="A", email="Home@example.com")
    shop.visitor(id="B", email="home@example.com")
    shop.webhook(email="HOME@example.com")
    assert shop.moments().unnamed == 1
    asked = shop.live()
    assert (asked.quarantined, asked.rows) == ({moment_people.SEVERAL: 1}, 0)
    pull_people(shop.run, window(1), poll=FAST)
    shop.webhook(email="home@example.com")
    landed = shop.moments()
    assert (landed.quarantined, landed.people, landed.unnamed) == ({moment_people.SEVERAL: 1}, 0, 0)
    assert [(cio_id, problem) for cio_id, _, problem in shop.named()] == [(None, moment_people.SEVERAL)] * 2
    assert [column for _, column, _ in shop.quarantined()] == ["email", "email"]


def test_an_id_alone_decides_though_the_email_beside_it_is_somebody_elses(shop: Shop) -> None:
    who = known(shop.site)
    pull_people(shop.run, window(1), poll=FAST)
    added = shop.visitor(id="Guest", email="guest@example.com")
    shop.webhook(identifiers={"id": "Guest", "email": who["email"]})
    assert shop.moments().unnamed == 1
    shop.live(timedelta(days=1))
    assert shop.named() == [(added, "id", None)]


@pytest.mark.parametrize("line", ["asking", "writing down"])
def test_a_run_killed_before_the_answers_are_kept_asks_again_and_loses_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    added = shop.visitor(id="Killed", email="killed@example.com")
    shop.webhook(identifiers={"id": "Killed"})
    shop.moments()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if line == "asking":
            patch.setattr(CustomerIO, "people_with_ids", die)
        else:
            patch.setattr(published, "publish", lambda con, name, *_: die() if name == PEOPLE_LIVE else None)
        with pytest.raises(KeyboardInterrupt):
            shop.live()
    assert (shop.named(), shop.landed()) == ([(None, None, None)], [])
    assert shop.live().named == {"id": 1}
    assert (shop.named(), shop.landed()) == ([(added, "id", None)], [added])


def test_a_call_without_an_answer_is_not_an_answer(shop: Shop, no_sleep: object) -> None:
    added = shop.visitor(email="unlucky@example.com")
    shop.webhook(email="unlucky@example.com")
    shop.moments()
    for turn in range(moment_people.ASKED_AT_MOST + 1):
        shop.site.fault(kind="status", method="GET", path="/v1/customers", status=404, times=1)
        with pytest.raises(VendorError):
            shop.live(timedelta(hours=turn))
    assert shop.live(timedelta(days=1)).named == {"email": 1}
    assert shop.named() == [(added, "email", None)]


def test_one_id_that_customerio_refuses_does_not_cost_the_others(shop: Shop) -> None:
    added = [shop.visitor(id=f"Fine-{n}") for n in range(3)]
    for n in range(3):
        shop.webhook(identifiers={"id": f"Fine-{n}"})
    shop.moments()
    shop.site.fault(kind="status", method="POST", path="/v1/customers/attributes", status=400, times=1)
    assert shop.live().named == {"id": 3}
    assert shop.landed() == sorted(added)


def test_more_than_a_run_may_ask_for_waits_and_nobody_starves(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment_people, "EMAILS_PER_RUN", 2)
    added = shop.visitor(email="z@example.com")
    for name in "abcz":
        shop.webhook(email=f"{name}@example.com")
    shop.moments()
    first, second = shop.live(), shop.live(timedelta(hours=1))
    assert [(p.asked, p.waiting) for p in (first, second)] == [(2, 2), (2, 2)]
    assert second.named == {"email": 1}, "those never asked for go first"
    assert added in shop.landed()
