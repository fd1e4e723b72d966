"""Which rig measures which vendor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from cio_activation_tests.faults.customerio_rig import CustomerioRig
from cio_activation_tests.faults.hearing_rigs import HubSpotHearingRig, PipedriveHearingRig
from cio_activation_tests.faults.hubspot_handing_rig import HubSpotHandingRig
from cio_activation_tests.faults.hubspot_notes_rig import HubSpotNotesRig
from cio_activation_tests.faults.hubspot_rig import HubSpotRig
from cio_activation_tests.faults.hubspot_tasks_rig import HubSpotTasksRig
from cio_activation_tests.faults.pipedrive_activities_rig import PipedriveActivitiesRig
from cio_activation_tests.faults.pipedrive_handing_rig import PipedriveHandingRig
from cio_activation_tests.faults.pipedrive_notes_rig import PipedriveDealsRig, PipedriveNotesRig
from cio_activation_tests.faults.pipedrive_rig import PipedriveRig
from cio_activation_tests.faults.world import Rig
from cio_activation_tests.faults.write_back_rig import WriteBackRig

RIGS: Mapping[str, Callable[[Path], Rig]] = {
    "hubspot": HubSpotRig,
    "hubspot_tasks": HubSpotTasksRig,
    "hubspot_notes": HubSpotNotesRig,
    "hubspot handing": HubSpotHandingRig,
    "hubspot heard": HubSpotHearingRig,
    "pipedrive": PipedriveRig,
    "pipedrive activities": PipedriveActivitiesRig,
    "pipedrive handing": PipedriveHandingRig,
    "pipedrive notes": PipedriveNotesRig,
    "pipedrive deals": PipedriveDealsRig,
    "pipedrive heard": PipedriveHearingRig,
    "customerio": CustomerioRig,
    "write_back": WriteBackRig,
}
