"""The stand-ins in a process of their own: ``python -m cio_activation_tests.crash.vendors PEOPLE SEED``.

Prints one line of JSON (the settings that point a worker here) and answers until its standard input closes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import httpx

from cio_activation_tests.drivers.stand_ins.control import Control

CRMS = ("hubspot", "pipedrive")


def main(people: int, seed: int) -> None:
    from cio_activation_tests.drivers.town import build_town_sandbox

    sandbox = build_town_sandbox(people, seed)
    print(json.dumps({"urls": sandbox.urls, "environment": sandbox.environment()}), flush=True)
    sys.stdin.read()
    sandbox.stop()


class Vendors:
    """All stand-ins of one other process: what is done to one's faults, clock or log is done to all."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls, self._control = urls, Control(urls)

    def edit(self, vendor: str, action: str, **change: Any) -> Any:
        return self._control.edit(vendor, action, **change)

    def fault(self, **values: Any) -> None:
        self._control.fault("hubspot", **values)

    def clear_faults(self) -> None:
        self._control.mend("hubspot")

    def clock(self, at: float) -> None:
        self._control.clock("hubspot", at)

    def people(self) -> list[str]:
        """Return everybody's ``cio_id``, in order."""
        answer = httpx.get(
            f"{self._urls['customerio']}/v1/segments/10/membership?limit=30000",
            headers={"authorization": "Bearer sandbox-app-key"},
            timeout=30,
            verify=False,
        )
        return sorted(one["cio_id"] for one in answer.json()["identifiers"])

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests to both CRMs since the log was cleared."""
        found = [entry for name in CRMS for entry in self._control.log(name)]
        return sorted(found, key=lambda entry: entry["number"])

    def clear_log(self) -> None:
        self._control.clear_log("hubspot")

    def state(self) -> dict[str, Any]:
        """Return what both CRMs hold."""
        return {name: self._control.state(name) for name in CRMS}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
