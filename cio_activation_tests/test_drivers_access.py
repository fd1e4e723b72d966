"""A driver's runtime goes to the stand-ins it was given, and to nobody else."""

from __future__ import annotations

from pathlib import Path

from cio_activation.destinations.hubspot.config import HubSpotAccess
from cio_activation.destinations.pipedrive.config import PipedriveAccess
from cio_activation_tests.drivers import builders, lanes

CRMS = {
    "HUBSPOT_URL": "http://127.0.0.1:1",
    "HUBSPOT_ACCESS_TOKEN": "one",
    "PIPEDRIVE_URL": "http://127.0.0.1:2",
    "PIPEDRIVE_API_TOKEN": "two",
}
MORE = {"CUSTOMERIO_APP_URL": "http://127.0.0.1:3", "HOME": "/nowhere", "ACTIVATION_HOME": "/nowhere", "PATH": "/bin"}


def test_a_lane_goes_to_the_stand_ins_of_an_environment_that_holds_more(tmp_path: Path) -> None:
    run = lanes.build_runtime(tmp_path / "home", CRMS | MORE, lanes.small_activation(tmp_path))
    hubspot, pipedrive = run.settings.access(HubSpotAccess), run.settings.access(PipedriveAccess)
    assert (hubspot.hubspot_url, pipedrive.pipedrive_url) == (CRMS["HUBSPOT_URL"], CRMS["PIPEDRIVE_URL"])
    assert hubspot.hubspot_access_token is not None
    assert pipedrive.pipedrive_api_token is not None
    assert run.settings.customerio_app == MORE["CUSTOMERIO_APP_URL"]
    assert run.settings.activation_home == tmp_path / "home"


def test_a_runtime_takes_access_by_name(tmp_path: Path) -> None:
    given = {name.lower(): value for name, value in CRMS.items()}
    run = builders.runtime(tmp_path, builders.activation(destinations={}), **given)
    assert run.settings.access(HubSpotAccess).hubspot_url == CRMS["HUBSPOT_URL"]
    assert run.settings.access(PipedriveAccess).pipedrive_url == CRMS["PIPEDRIVE_URL"]
