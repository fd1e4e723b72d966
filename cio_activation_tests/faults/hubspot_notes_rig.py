"""The same portal, in which notes are left in place of tasks."""

from __future__ import annotations

from typing import Any

from cio_activation.activation.models import Audience, Lane
from cio_activation.delivery.destination import Step
from cio_activation.destinations.hubspot.notes import NotesStep
from cio_activation_tests.drivers import hubspot as benches
from cio_activation_tests.faults.hubspot_tasks_rig import HubSpotTasksRig


class HubSpotNotesRig(HubSpotTasksRig):
    """One note without a line about its end for each person who is in, with today's words."""

    word = "note"

    def make_audience(self) -> Audience:
        return benches.audience("vip", Lane.DAILY, "VIP carts", list=False, note={"body": "Call about {spent}"})

    def make_step(self) -> Step:
        return NotesStep(self._audience)

    def is_open(self, held: dict[str, Any]) -> bool:
        return not held["hs_note_body"].startswith("<p><strong>Nothing to do")

    def words_of(self, held: dict[str, Any]) -> str:
        return str(held["hs_note_body"].removeprefix("<p>").partition("</p>")[0])

    def is_owned(self, held: dict[str, Any]) -> bool:
        return True
