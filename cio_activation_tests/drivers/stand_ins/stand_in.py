"""What driving a vendor's stand-in has in common: edits by hand, planned faults, and the log of what arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import httpx

from cio_activation.sandbox.server.core import Shared, Vendor
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.sandbox.server.running import ORDER, RunningSandbox

NOWHERE = "http://127.0.0.1:9"
"""The address of the vendors that do not run: nobody answers there."""

V = TypeVar("V", bound=Vendor)


class StandIn(Generic[V]):
    """One vendor that answers on a port. ``vendor`` is the object behind it, ``http`` a client with its credentials."""

    def __init__(self, vendor: V, running: RunningSandbox, headers: Mapping[str, str]) -> None:
        self.vendor, self.running = vendor, running
        for name in ORDER:
            running.urls.setdefault(name, NOWHERE)
        self.url = running.urls[vendor.name]
        self.http = httpx.Client(
            base_url=self.url, headers=dict(headers), timeout=30, verify=False
        )  # plain HTTP: no certificates to load

    @property
    def shared(self) -> Shared:
        """Clock, request log and planned faults."""
        return self.running.shared

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point the project here, with the credentials the vendor accepts."""
        prefix = self.vendor.name.upper()
        return {k.lower(): v for k, v in self.running.environment().items() if k.startswith(prefix)}

    def edit(self, action: str, **change: Any) -> Any:
        """Change something as a person would by hand in the vendor's own pages."""
        answer = self.http.post("/_sandbox/edit", json={"vendor": self.vendor.name, "action": action, **change})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def hire(self, agents: Sequence[Mapping[str, Any]], **more: Any) -> None:
        """Make ``agents`` the humans who work here; ``more``: seed, and the fields of outcomes."""
        body = {"vendor": self.vendor.name, "agents": list(agents), **more}
        answer = self.http.post("/_sandbox/agents", json=body)
        assert answer.status_code == 200, answer.text

    def work(self, until: float | None = None) -> list[dict[str, Any]]:
        """Let the humans work up to ``until`` (default: the vendors' present time); return what they did."""
        body = {"vendor": self.vendor.name} | ({} if until is None else {"until": until})
        answer = self.http.post("/_sandbox/agents/work", json=body)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["deeds"])

    def state(self) -> dict[str, Any]:
        """Return what the vendor holds."""
        return self.vendor.state()

    def fault(self, **values: Any) -> None:
        """Plan a misbehaviour; ``values`` are fields of the sandbox's ``Fault``."""
        self.shared.faults.add(**({"vendor": self.vendor.name} | values))

    def mend(self) -> None:
        """Forget all planned faults."""
        self.shared.faults.clear()

    def mark(self) -> int:
        """Return the number of the newest request."""
        return self.shared.log.last

    def entries(self, since: int = 0) -> list[Entry]:
        """Return the requests after ``since`` that are still in the log."""
        return [e for e in self.shared.log.entries if e.number > since]

    def stop(self) -> None:
        """Stop answering and free the port."""
        self.http.close()
        self.running.stop()
