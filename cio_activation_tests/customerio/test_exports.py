"""The export as an errand over a running stand-in: resumed, not repeated; refused, not guessed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cio_activation.customerio import exports
from cio_activation.customerio.client import CustomerIO
from cio_activation.customerio.exports import Poll
from cio_activation.customerio.people import FILES_PER_RUN, pull_people
from cio_activation.errors import ContractError
from cio_activation.transport.errors import Stop
from cio_activation_tests.drivers.builders import FAST, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.tables import query

POST, POLL = "POST /v1/exports/customers", "GET /v1/exports/{id}"
LINK, FILE = "GET /v1/exports/{id}/download", "GET /export-files/"


def test_everyone_lands_and_the_file_is_kept(site: CustomerioBench) -> None:
    run = site.runtime()
    result = pull_people(run, window(), poll=FAST)
    everyone = site.stand_in.state()["people"]
    assert result.rows + result.quarantined.get("duplicate cio_id", 0) == everyone > 50
    assert site.calls()[POST] == 1
    kind, path, sha256, rows = query(run, "SELECT kind, path, sha256, rows FROM raw.files")[0]
    assert (kind, sha256, rows) == ("people", result.sha256, everyone)
    assert (run.settings.activation_home / path).is_file()
    assert query(run, "SELECT status FROM raw.exports") == [("done",)]
    # People with an e-mail only are there too.
    assert query(run, "SELECT count(*) > 0 FROM raw.people WHERE external_id IS NULL") == [(True,)]


def test_a_second_run_of_the_window_asks_nothing(site: CustomerioBench) -> None:
    run = site.runtime()
    first = pull_people(run, window(), poll=FAST)
    site.clear_log()
    again = pull_people(run, window(), poll=FAST)
    assert site.calls() == {}
    assert (again.reused, again.rows, again.changed, again.sha256) == (True, first.rows, 0, first.sha256)


def test_refresh_takes_a_new_snapshot(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(), poll=FAST)
    someone = query(run, "SELECT min(cio_id) FROM raw.people")[0][0]
    site.edit(action="set_attribute", cio_id=someone, name="cart_value", value="12345")
    result = pull_people(run, window(), poll=FAST, refresh=True)
    assert (result.changed, result.reused) == (1, False)
    assert query(run, "SELECT cart_value FROM raw.people ORDER BY cio_id LIMIT 1") == [(12345.0,)]


def test_a_damaged_kept_file_is_fetched_again(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(), poll=FAST)
    path = run.raw_folder("daily", window().key) / "people.csv"
    path.write_bytes(path.read_bytes()[:-40])
    assert pull_people(run, window(), poll=FAST).reused is False
    assert site.calls()[POST] == 1, "the finished export is downloaded again, not repeated"


@pytest.mark.parametrize("dies_at", ["export", "download_link", "download"])
def test_a_killed_run_is_resumed_with_the_stored_id(
    site: CustomerioBench, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    run = site.runtime()

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(CustomerIO, dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            pull_people(run, window(), poll=FAST)
    stored = query(run, "SELECT export_id, status FROM raw.exports")
    assert [status for _, status in stored] == ["pending"]
    result = pull_people(run, window(), poll=FAST)
    assert result.export_id == stored[0][0]
    assert site.calls()[POST] == 1


def test_a_failed_export_says_what_to_do_and_the_next_run_asks_anew(site: CustomerioBench) -> None:
    run = site.runtime()
    site.edit(action="fail_exports", times=1)
    with pytest.raises(ContractError, match=r"failed in Customer\.io.*run again"):
        pull_people(run, window(), poll=FAST)
    assert query(run, "SELECT status FROM raw.exports") == [("failed",)]
    assert pull_people(run, window(), poll=FAST).rows > 0
    assert site.calls()[POST] == 2


def test_an_export_that_never_ends_stops_at_the_limit(site: CustomerioBench) -> None:
    site.edit(action="export_seconds", seconds=60)
    with pytest.raises(ContractError, match="was not done after"):
        pull_people(site.runtime(), window(), poll=Poll(0.01, 1.5, 0.02, timedelta(seconds=0.1)))
    assert site.calls()[POLL] > 3


def test_an_export_that_vanished_is_asked_for_anew(site: CustomerioBench) -> None:
    run = site.runtime()
    with run.warehouse.write() as con:
        con.execute("INSERT INTO raw.exports VALUES (?, 999999, TIMESTAMP '2026-11-01', 'pending')", [window().key])
    with pytest.raises(ContractError, match="no longer known"):
        pull_people(run, window(), poll=FAST)
    assert pull_people(run, window(), poll=FAST).rows > 0


@pytest.mark.parametrize("status", [403, 410])
def test_an_expired_link_is_asked_for_again(site: CustomerioBench, status: int) -> None:
    site.fault(kind="status", path="/export-files/*", status=status, times=2)
    assert pull_people(site.runtime(), window(), poll=FAST).rows > 0
    assert site.calls()[LINK] == 3


def test_the_link_is_asked_for_after_the_export_is_done(site: CustomerioBench) -> None:
    pull_people(site.runtime(), window(), poll=FAST)
    order = [e.template for e in site.shared.log.entries]
    assert order[-2:] == ["/v1/exports/{id}/download", order[-1]]
    assert order[-1].startswith("/export-files/")


def test_a_download_that_is_cut_off_starts_over(site: CustomerioBench, no_sleep: object) -> None:
    site.fault(kind="truncate", path="/export-files/*", times=2)
    site.fault(kind="reset", path="/export-files/*", times=1)
    run = site.runtime()
    result = pull_people(run, window(), poll=FAST)
    assert result.rows > 0
    assert [p.name for p in run.raw_folder("daily", window().key).iterdir()] == ["people.csv"]


def test_no_credential_goes_to_the_storage_host(site: CustomerioBench) -> None:
    # The stand-in refuses a signed link that comes with a credential, as object stores do.
    assert pull_people(site.runtime(), window(), poll=FAST).rows > 0


def test_server_errors_while_polling_are_ridden_out(site: CustomerioBench, no_sleep: object) -> None:
    site.fault(kind="status", path="/v1/exports/4*", method="GET", status=503, times=3)
    assert pull_people(site.runtime(), window(), poll=FAST).rows > 0
    assert site.calls()[POST] == 1


def test_a_spent_quota_stops_the_run(site: CustomerioBench, no_sleep: object) -> None:
    site.edit(action="quota", left=False)
    with pytest.raises(Stop, match="quota"):
        pull_people(site.runtime(), window(), poll=FAST)


def test_a_file_without_a_declared_column_is_set_aside_and_the_next_run_asks_anew(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(1), poll=FAST)
    site.clear_log()
    real = exports.sources
    folder = run.raw_folder("daily", window(2).key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exports, "sources", lambda a: [s for s in real(a) if s != "cart_value"])
        with pytest.raises(ContractError, match="no column cart_value"):
            pull_people(run, window(2), poll=FAST)
    assert not (folder / "people.csv").exists()
    assert list(folder.glob("people-*.csv.refused"))
    assert pull_people(run, window(2), poll=FAST).rows > 0
    assert site.calls()[POST] == FILES_PER_RUN + 1
