"""What the receiver counts: answers by source and outcome, and how long they took; in Prometheus' text format.

Labels come from fixed sets, never from a request. Refusals are logged as counts, so that a flood of them is one line.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from collections import Counter

log = logging.getLogger("cio_activation.receiver")

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds; the last is Customer.io's time-out."""
LOG_EVERY_S = 10.0


class Metrics:
    """Counts of one process since its start."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, str, int]] = Counter()
        """(source, outcome, status) -> answers."""
        self.previous_key = 0
        self._took = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._unsaid: Counter[str] = Counter()
        self._said_at = time.monotonic()

    def answered(self, source: str, outcome: str, status: int, seconds: float) -> None:
        """Count one answer; ``outcome`` is ``stored`` or the reason it was refused for."""
        self.answers[source, outcome, status] += 1
        self._took[bisect_left(BUCKETS, seconds)] += 1
        self._seconds += seconds
        if outcome != "stored":
            self._unsaid[f"{source} {outcome}"] += 1
            if time.monotonic() - self._said_at > LOG_EVERY_S:
                self.say()

    def say(self) -> None:
        """Log the refusals since the last time."""
        self._said_at = time.monotonic()
        if self._unsaid:
            log.warning("not stored: %s", ", ".join(f"{n} x {what}" for what, n in sorted(self._unsaid.items())))
            self._unsaid.clear()

    def text(self, values: dict[str, tuple[str, str, float]]) -> str:
        """Return everything as Prometheus text; ``values`` adds name -> (type, help, value)."""
        lines = [
            "# HELP cio_receiver_answers_total Webhook requests answered.",
            "# TYPE cio_receiver_answers_total counter",
        ]
        for (source, outcome, status), count in sorted(self.answers.items()):
            labels = f'source="{source}",outcome="{outcome}",status="{status}"'
            lines.append(f"cio_receiver_answers_total{{{labels}}} {count}")
        lines += [
            "# HELP cio_receiver_answer_seconds Time from a request's headers to its answer.",
            "# TYPE cio_receiver_answer_seconds histogram",
        ]
        total = 0
        for edge, count in zip([*map(str, BUCKETS), "+Inf"], self._took, strict=True):
            total += count
            lines.append(f'cio_receiver_answer_seconds_bucket{{le="{edge}"}} {total}')
        lines += [f"cio_receiver_answer_seconds_sum {self._seconds:.6f}", f"cio_receiver_answer_seconds_count {total}"]
        own = {
            "cio_receiver_previous_key_total": ("counter", "Requests made with the previous key.", self.previous_key)
        }
        for name, (kind, text, value) in (own | values).items():
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {value:g}"]
        return "\n".join(lines) + "\n"
