"""The stand-ins in a process of their own: ``python -m cio_activation_tests.crash.vendors PEOPLE SEED``.

Prints one line of JSON (the settings that point a worker here) and answers until its standard input closes.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

from cio_activation.cli.readback import control


def main(people: int, seed: int) -> None:
    from cio_activation_tests.drivers.town import build_town_sandbox

    sandbox = build_town_sandbox(people, seed)
    print(json.dumps({"urls": sandbox.urls, "environment": sandbox.environment()}), flush=True)
    sys.stdin.read()
    sandbox.stop()


class Vendors:
    """The control surface of stand-ins that run in another process."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls

    def edit(self, vendor: str, action: str, **change: Any) -> Any:
        return self._post("edit", {"vendor": vendor, "action": action, **change})

    def fault(self, **values: Any) -> None:
        self._post("faults", values)

    def clear_faults(self) -> None:
        self._delete("faults")

    def clock(self, moment: float) -> None:
        self._post("clock", {"set": moment})

    def people(self) -> list[str]:
        """Return everybody's ``cio_id``, in order."""
        request = urllib.request.Request(
            f"{self._urls['customerio']}/v1/segments/10/membership?limit=30000",
            headers={"authorization": "Bearer sandbox-app-key"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return sorted(one["cio_id"] for one in json.load(answer)["identifiers"])

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests to both CRMs since the log was cleared."""
        found: list[dict[str, Any]] = control(self._urls["hubspot"], "log")["entries"]
        return [e for e in found if e["vendor"] != "customerio"]

    def clear_log(self) -> None:
        self._delete("log")

    def state(self) -> dict[str, Any]:
        """Return what both CRMs hold."""
        names = ("hubspot", "pipedrive")
        return {name: control(self._urls[name], f"state?vendor={name}")[name] for name in names}

    def _delete(self, path: str) -> None:
        request = urllib.request.Request(f"{self._urls['hubspot']}/_sandbox/{path}", method="DELETE")
        with urllib.request.urlopen(request, timeout=30) as answer:
            answer.read()

    def _post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self._urls['hubspot']}/_sandbox/{path}", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
