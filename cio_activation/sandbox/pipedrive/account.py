"""The account itself (v1): users and activity types."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from itertools import count
from typing import Any

from starlette.responses import Response

from cio_activation.sandbox.pipedrive.envelope import Call, Refusal, missing, ok, utc_v1
from cio_activation.sandbox.pipedrive.settings import Settings

COMPANY = "sandbox-shop"
_USERS = (
    ("Ada Admin", "admin@example.com", True),
    ("Rita Retention", "retention@example.com", True),
    ("Cleo Care", "cx@example.com", True),
    ("Fred Former", "former@example.com", False),
)
_TYPES = ("Call", "Meeting", "Task", "Deadline", "Email", "Lunch")


class _Assignable(Container[int]):
    """Who may own things, by what is set for those who do not exist or are deactivated."""

    def __init__(self, users: Mapping[int, Mapping[str, Any]], settings: Settings) -> None:
        self._users, self._settings = users, settings

    def __contains__(self, item: object) -> bool:
        user = self._users.get(item) if isinstance(item, int) else None
        if user is None:
            return self._settings.unknown_users == "taken"
        return bool(user["active_flag"]) or self._settings.inactive_users == "taken"


class Account:
    """Users (the token is the first one's) and activity types."""

    def __init__(self, now: Callable[[], float], settings: Settings) -> None:
        self.admin = True
        self._settings = settings
        self.company_id = 7_700_001
        self._now = now
        self._since = utc_v1(now() - 400 * 86_400)
        self.users = {i: self._user(i, *row) for i, row in enumerate(_USERS, 1)}
        self._type_ids = count(1)
        self.types: dict[str, dict[str, Any]] = {}
        for name in _TYPES:
            self._add_type(name, name.lower(), custom=False)

    def assignable(self) -> Container[int]:
        """Return the ids that may own things."""
        return _Assignable(self.users, self._settings)

    def type_names(self) -> dict[str, str]:
        """Return the activity types that can be used: key_string -> name."""
        return {key: t["name"] for key, t in self.types.items() if t["active_flag"]}

    def add_user(self, name: str, email: str, timezone: str = "America/New_York") -> dict[str, Any]:
        """Add an active user by hand."""
        number = max(self.users) + 1
        self.users[number] = self._user(number, name, email, True) | {"timezone_name": timezone}
        return self.users[number]

    def activate(self, number: int, *, active: bool) -> dict[str, Any]:
        """Activate or deactivate a user; what they own stays theirs."""
        self.users[number] |= {"active_flag": active, "modified": utc_v1(self._now())}
        return self.users[number]

    def _user(self, number: int, name: str, email: str, active: bool) -> dict[str, Any]:
        return {
            "id": number,
            "name": name,
            "default_currency": "USD",
            "locale": "en_US",
            "lang": 1,
            "email": email,
            "phone": None,
            "activated": True,
            "created": self._since,
            "modified": self._since,
            "active_flag": active,
            "timezone_name": "America/New_York",
            "timezone_offset": "-05:00",
            "role_id": 1,
            "icon_url": None,
            "is_deleted": False,
        }

    def _shown(self, user: dict[str, Any]) -> dict[str, Any]:
        first = user["id"] == 1
        admin = first and self.admin
        access = [{"app": app, "admin": admin, "permission_set_id": "sandbox"} for app in ("sales", "global")]
        return user | {"access": access, "is_you": first}

    def me(self, call: Call) -> Response:
        """``GET /v1/users/me``: the cheapest check of a token."""
        call.query.done()
        company = {
            "company_id": self.company_id,
            "company_name": "Sandbox Shop",
            "company_domain": COMPANY,
            "company_country": "US",
        }
        return ok(self._shown(self.users[1]) | company)

    def list_users(self, call: Call) -> Response:
        """``GET /v1/users``: unpaged, inactive users included."""
        call.query.done()
        return ok([self._shown(u) for u in self.users.values()])

    def show_user(self, call: Call) -> Response:
        """``GET /v1/users/{id}``."""
        call.query.done()
        if call.id not in self.users:
            raise missing("User")
        return ok(self._shown(self.users[call.id]))

    def update_user(self, call: Call) -> Response:
        """``PUT /v1/users/{id}``: activates or deactivates, by an admin."""
        given = call.json()
        if not self.admin:
            raise Refusal(403, "The user is not permitted to change users")
        if call.id not in self.users:
            raise missing("User")
        active = given.get("active_flag") if isinstance(given, dict) else None
        if not isinstance(active, bool):
            raise Refusal(400, "active_flag is required")
        return ok(self._shown(self.activate(call.id, active=active)))

    def list_types(self, call: Call) -> Response:
        """``GET /v1/activityTypes``: unpaged."""
        call.query.done()
        return ok(list(self.types.values()))

    def create_type(self, call: Call) -> Response:
        """``POST /v1/activityTypes``: the key comes from the name and never changes."""
        given = call.json()
        if not self.admin:
            raise Refusal(403, "The user is not permitted to add activity types")
        name, icon = (given.get(k) for k in ("name", "icon_key")) if isinstance(given, dict) else (None, None)
        if not (isinstance(name, str) and name.strip() and isinstance(icon, str) and icon):
            raise Refusal(400, "name and icon_key are required")
        key = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        if key in self.types:
            raise Refusal(400, "An activity type of this name exists")
        return ok(self._add_type(name, icon, custom=True, key=key))

    def _add_type(self, name: str, icon: str, *, custom: bool, key: str | None = None) -> dict[str, Any]:
        number = next(self._type_ids)
        at = utc_v1(self._now())
        made = {
            "id": number,
            "order_nr": number,
            "name": name,
            "key_string": key or name.lower(),
            "icon_key": icon,
            "active_flag": True,
            "color": None,
            "is_custom_flag": custom,
            "add_time": at,
            "update_time": at,
        }
        self.types[str(made["key_string"])] = made
        return made
