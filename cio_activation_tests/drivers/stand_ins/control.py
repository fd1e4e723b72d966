"""The control surface of stand-ins that run in another process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

TIMEOUT_S = 120


class Control:
    """Edits by hand, planned faults, clock and request log, over HTTP. ``urls``: vendor name -> base address."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)

    def edit(self, vendor: str, action: str, **change: Any) -> Any:
        """Change something as a person would by hand in the vendor's own pages."""
        return self._call(vendor, "POST", "edit", json={"vendor": vendor, "action": action, **change})

    def fault(self, vendor: str, **values: Any) -> None:
        """Plan a misbehaviour; ``values`` are fields of the sandbox's ``Fault``."""
        self._call(vendor, "POST", "faults", json=values)

    def mend(self, vendor: str) -> None:
        """Forget all planned faults of the process that ``vendor`` runs in."""
        self._call(vendor, "DELETE", "faults")

    def hire(self, vendor: str, agents: Sequence[Mapping[str, Any]], **more: Any) -> None:
        """Make ``agents`` the humans who work there; ``more``: seed, and the fields of outcomes."""
        self._call(vendor, "POST", "agents", json={"vendor": vendor, "agents": list(agents), **more})

    def work(self, vendor: str, until: float) -> list[dict[str, Any]]:
        """Let the humans there work up to ``until``; return what they did."""
        return list(self._call(vendor, "POST", "agents/work", json={"vendor": vendor, "until": until})["deeds"])

    def clock(self, vendor: str, at: float) -> None:
        """Make it ``at`` there, seconds since the epoch."""
        self._call(vendor, "POST", "clock", json={"set": at})

    def hold_limits(self, vendor: str, *, on: bool) -> None:
        """Hold the vendor's rate windows from now on, or let any rate pass."""
        self._call(vendor, "POST", "limits", json={"vendor": vendor, "on": on})

    def state(self, vendor: str) -> dict[str, Any]:
        """Return what the vendor holds."""
        return dict(self._call(vendor, "GET", "state", params={"vendor": vendor})[vendor])

    def log(self, vendor: str, since: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the vendor's requests after number ``since``, the first ``limit`` of them."""
        asked: dict[str, str | int] = {"vendor": vendor, "since": since}
        if limit is not None:
            asked["limit"] = limit
        return list(self._call(vendor, "GET", "log", params=asked)["entries"])

    def last(self, vendor: str) -> int:
        """Return the number of the newest request that any vendor of the same process has had."""
        return int(self._call(vendor, "GET", "log", params={"entries": 0})["last"])

    def clear_log(self, vendor: str) -> None:
        """Forget the requests to the process that ``vendor`` runs in."""
        self._call(vendor, "DELETE", "log")

    def _call(self, vendor: str, method: str, path: str, **more: Any) -> Any:
        # Plain HTTP: no certificates to load, which takes longer than all the rest.
        url = f"{self._urls[vendor]}/_sandbox/{path}"
        answer = httpx.request(method, url, timeout=TIMEOUT_S, verify=False, **more)
        answer.raise_for_status()
        return answer.json()
