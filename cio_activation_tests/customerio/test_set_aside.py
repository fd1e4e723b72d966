"""A file that cannot be used is set aside with its reason, and another one is asked for in the same run."""

from __future__ import annotations

import dagster as dg
import pytest

from cio_activation.activation.models import Lane
from cio_activation.customerio.assets import build_assets
from cio_activation.customerio.live import pull_live
from cio_activation.customerio.people import FILES_PER_RUN, pull_people
from cio_activation.customerio.segments import pull_segments
from cio_activation.errors import ContractError
from cio_activation.lanes.partitions import Lanes
from cio_activation.runtime import Runtime
from cio_activation.sandbox.customerio.spoilt_files import SPOILT
from cio_activation_tests.drivers.builders import FAST, window
from cio_activation_tests.drivers.customerio import CustomerioBench
from cio_activation_tests.drivers.tables import query

POST = "POST /v1/exports/customers"
REASONS = {
    "mixed_line_ends": "line ends are mixed",
    "cut_archive": "archive that is cut off or damaged",
    "damaged_archive": "archive that is cut off or damaged",
    "wrong_header": "has no column cio_id",
    "cut": "is cut off",
    "without_its_end": "is cut off",
    "open_quote": "is cut off",
    "page": "is a page or an error message",
    "empty": "it is empty",
}
CONTENT = "SELECT * EXCLUDE (observed_at, received_hash) FROM raw.people ORDER BY cio_id"


def listed(run: Runtime) -> list[tuple[str, str]]:
    """Return kind and reason of every file set aside; each is there, and no file that is not whole is in use."""
    rows = query(run, "SELECT kind, reason, path FROM raw.files_set_aside ORDER BY set_aside_at, path")
    assert all((run.settings.activation_home / path).is_file() for _, _, path in rows)
    return [(kind, reason) for kind, reason, _ in rows]


def test_every_way_to_spoil_a_file_is_tried() -> None:
    assert set(REASONS) == set(SPOILT) - {"archive"}


@pytest.mark.parametrize("how", REASONS)
def test_an_unusable_export_is_replaced_in_the_same_run(site: CustomerioBench, how: str) -> None:
    run = site.runtime()
    pull_people(run, window(1), poll=FAST)
    before = query(run, CONTENT)
    site.clear_log()
    site.edit("spoil_exports", how=how)
    result = pull_people(run, window(2), poll=FAST)
    assert (query(run, CONTENT), result.departed, result.changed) == (before, 0, 0)
    assert site.calls()[POST] == 2
    [(kind, reason)] = listed(run)
    assert kind == "people"
    assert REASONS[how] in reason
    assert result.set_aside == (reason,)
    again = pull_people(run, window(2), poll=FAST)
    assert (again.reused, again.set_aside) == (True, ())


def test_an_archive_that_is_whole_is_read(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(1), poll=FAST)
    site.edit("spoil_exports", how="archive")
    result = pull_people(run, window(2), poll=FAST)
    assert (result.changed, result.departed, result.set_aside) == (0, 0, ())


def test_a_run_that_gets_nothing_but_unusable_files_ends_and_nobody_leaves(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(1), poll=FAST)
    before = query(run, "SELECT * FROM raw.people ORDER BY cio_id")
    site.clear_log()
    site.edit("spoil_exports", how=["cut_archive", "wrong_header", "mixed_line_ends"])
    with pytest.raises(ContractError, match=r"none of 3 people files.*raw\.files_set_aside.*run again"):
        pull_people(run, window(2), poll=FAST)
    assert site.calls()[POST] == FILES_PER_RUN == len(listed(run))
    assert query(run, "SELECT * FROM raw.people ORDER BY cio_id") == before
    assert pull_people(run, window(2), poll=FAST).departed == 0


def test_a_file_found_unusable_when_landed_again_is_replaced(site: CustomerioBench) -> None:
    run = site.runtime()
    pull_people(run, window(1), poll=FAST)
    wider = site.runtime()
    more = wider.activation.attributes | {
        "total_spent": wider.activation.attributes["cart_value"].model_copy(
            update={"name": "total_spent", "source": "total_spent"}
        )
    }
    wider = Runtime.build(wider.settings, wider.activation.model_copy(update={"attributes": more}))
    result = pull_people(wider, window(1), poll=FAST)
    assert (result.reused, len(result.set_aside)) == (False, 1)
    assert query(run, "SELECT count(*) FROM raw.people WHERE total_spent > 0") != [(0,)]


def test_the_asset_warns_and_the_log_says_it(site: CustomerioBench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**site.stand_in.running.environment(), "ACTIVATION_HOME": str(site.home)}.items():
        monkeypatch.setenv(name, value)
    activation = site.runtime().activation
    site.edit("spoil_exports", how="cut_archive")
    assets = [a for a in build_assets(activation, Lanes.of(activation)) if isinstance(a, dg.AssetsDefinition)]
    key = dg.AssetKey(["customerio", "people"])
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [a for a in assets if key in a.keys], instance=instance, partition_key=window(1).key, raise_on_error=True
        )
        said = [e.user_message for e in instance.all_logs(result.run_id) if "set aside" in e.user_message]
    [materialized] = result.asset_materializations_for_node("customerio__people")
    assert "archive" in str(materialized.metadata["set_aside"])
    [check] = [e for e in result.get_asset_check_evaluations() if e.check_name == "raw"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert len(said) == 1


@pytest.mark.parametrize("lane", list(Lane))
def test_an_unusable_answer_about_a_segment_is_asked_for_again(site: CustomerioBench, lane: Lane) -> None:
    def pull(number: int):  # type: ignore[no-untyped-def]
        return pull_segments(run, window(number)) if lane is Lane.DAILY else pull_live(run, window(number, lane))

    run = site.runtime(rt=(1,), daily=(3,))
    pull(1)
    inside = query(run, "SELECT segment_id, cio_id FROM raw.memberships ORDER BY ALL")
    site.edit("spoil_members", times=1)
    result = pull(2)
    assert (result.left, result.entered, len(result.set_aside), result.retained) == (0, 0, 1, {})
    site.edit("spoil_members", times=2)
    result = pull(3)
    assert (result.left, result.entered, len(result.set_aside)) == (0, 0, 2)
    assert "no members" in str(result.retained)
    assert query(run, "SELECT segment_id, cio_id FROM raw.memberships ORDER BY ALL") == inside
    assert {kind for kind, _ in listed(run)} == {f"segment:{1 if lane is Lane.REALTIME else 3}"}
