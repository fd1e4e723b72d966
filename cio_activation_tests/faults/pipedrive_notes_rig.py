"""The same company, in which a note or a deal takes the place of an activity."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from cio_activation.destinations.common.actions.note_options import NoteOptions
from cio_activation.destinations.pipedrive.config import DealOptions, PipedriveAudience
from cio_activation_tests.faults.pipedrive_activities_rig import PipedriveActivitiesRig


class PipedriveNotesRig(PipedriveActivitiesRig):
    """One note for each person who is in, with today's words; who leaves has theirs deleted."""

    def asked(self) -> PipedriveAudience:
        return PipedriveAudience(note=NoteOptions(body="Spent {spent}", on_end="delete"))

    def given(self) -> dict[str, Any]:
        return {"evidence": self.evidence()}

    def differences(self) -> list[str]:
        notes: list[str] = [n["content"] for n in self.account.state()["notes"]]
        found = []
        for one, entry in self.inside.items():
            its = [text for text in notes if f"[note:{entry}:1]" in text]
            if [f"Spent {self.round}<" in text for text in its] != [True]:
                found.append(f"{one} is in and has the notes {its}")
        if len(notes) > len(self.inside):
            found.append(f"{len(notes)} notes are there of {len(self.inside)} people")
        return found

    def duplicates(self) -> int:
        texts = [n["content"] for n in self.account.state()["notes"]]
        markers = Counter(text[text.index("[note:") :].split("]")[0] for text in texts)
        return sum(n - 1 for n in markers.values())


class PipedriveDealsRig(PipedriveActivitiesRig):
    """One deal for each person who is in, worth what they spent; who leaves has lost theirs."""

    def __init__(self, home: Path) -> None:
        self.ever: set[str] = set()
        super().__init__(home)

    def asked(self) -> PipedriveAudience:
        place = {"pipeline": "retention", "stage": "In conversation"}
        return PipedriveAudience(deal=DealOptions(mode="create", value="spent", on_end="lost", **place))

    def given(self) -> dict[str, Any]:
        return {"evidence": self.evidence()}

    def disturb(self) -> None:
        super().disturb()
        self.ever |= set(self.inside.values())

    def differences(self) -> list[str]:
        number = {email.partition("@")[0].replace("person", "p"): one["id"] for email, one in self.bench.there.items()}
        open_ones = [d for d in self.account.state()["deals"] if d["status"] == "open"]
        found = []
        for one in self.inside:
            worth = [d["value"] for d in open_ones if d["person_id"] == number[one]]
            if worth != [self.round]:
                found.append(f"{one} is in and has deals of {worth}, not of {self.round}")
        if len(open_ones) > len(self.inside):
            found.append(f"{len(open_ones)} deals are open for {len(self.inside)} people")
        return found

    def duplicates(self) -> int:
        """Count deals beyond one for each entry there ever was."""
        return max(0, len(self.account.state()["deals"]) - len(self.ever))
