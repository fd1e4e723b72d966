"""What people do by hand with activities, deals, mails, users and organizations in Pipedrive's own UI."""

from __future__ import annotations

from typing import Any

from cio_activation.sandbox.pipedrive.company import Company


class ManualWork:
    """Edits by hand; what they write is not checked as the API checks it."""

    def __init__(self, company: Company) -> None:
        self._work = company

    def do_create_activity(self, person: int, **values: Any) -> dict[str, Any]:
        """Make an activity for a person, as a salesperson would for themselves."""
        people = [{"person_id": person, "primary": True}]
        owner = values.setdefault("owner_id", 2)
        made = self._work.activities.make({"participants": people, **values}, creator=owner)
        return self._work.activities.view(made)

    def do_set_activity(self, activity: int, **values: Any) -> dict[str, Any]:
        """Write what an activity holds: ``due_date``, ``due_time``, ``owner_id``, ``note`` and the like."""
        return self._work.activities.view(self._work.activities.change(activity, values))

    def do_complete_activity(self, activity: int, done: bool = True, at: float | None = None) -> dict[str, Any]:
        """Tick an activity off, or back on; ``at``: the time of completion that the human says."""
        return self._work.activities.view(self._work.activities.change(activity, {"done": done}, done_at=at))

    def do_delete_activity(self, activity: int) -> dict[str, Any]:
        """Delete an activity."""
        row = self._work.activities.table.get(activity)
        if row is None:
            raise ValueError(f"no activity {activity}")
        self._work.activities.table.remove(row, self._work.now)
        return {"id": activity}

    def do_create_deal(self, title: str, **values: Any) -> dict[str, Any]:
        """Make a deal, as a salesperson would for themselves."""
        owner = values.setdefault("owner_id", 2)
        return self._work.deals.view(self._work.deals.make({"title": title, **values}, creator=owner))

    def do_set_deal(self, deal: int, **values: Any) -> dict[str, Any]:
        """Move, close, archive (``is_archived``) or otherwise change a deal; the UI may change archived ones."""
        row = self._work.deals.table.get(deal)
        if row is None:
            raise ValueError(f"no deal {deal}")
        self._work.deals.change(row, values)
        return self._work.deals.view(row)

    def do_log_mail(self, person: int, direction: str, at: float | None = None) -> dict[str, Any]:
        """Note a mail with a person, ``incoming`` or ``outgoing``; the person's update_time stays."""
        self._work.mails.note(person, direction, self._work.now if at is None else at)
        return {"person": person, "mails": self._work.mails.count[person]}

    def do_add_user(self, name: str, email: str, timezone: str = "America/New_York") -> dict[str, Any]:
        """Add a user."""
        return dict(self._work.account.add_user(name, email, timezone))

    def do_deactivate_user(self, user: int, active: bool = False) -> dict[str, Any]:
        """Deactivate a user, or (``active``) the other way round."""
        if user not in self._work.account.users:
            raise ValueError(f"no user {user}")
        return dict(self._work.account.activate(user, active=active))

    def do_deactivate_type(self, key: str) -> dict[str, Any]:
        """Take an activity type out of use; what has it keeps it."""
        self._work.account.types[key]["active_flag"] = False
        return dict(self._work.account.types[key])

    def do_add_organization(self, name: str) -> dict[str, Any]:
        """Add an organization; the stand-in knows no more of it than its id and name."""
        number = len(self._work.organizations) + 1
        self._work.organizations[number] = name
        return {"id": number, "name": name}

    def do_add_stage(self, pipeline: int, name: str) -> dict[str, Any]:
        """Add a stage to a pipeline."""
        return dict(self._work.pipelines.add_stage(pipeline, name, self._work.now))

    def do_delete_stage(self, stage: int) -> dict[str, Any]:
        """Delete a stage; its deals stay where they are."""
        self._work.pipelines.stages[stage]["is_deleted"] = True
        return dict(self._work.pipelines.stages[stage])
