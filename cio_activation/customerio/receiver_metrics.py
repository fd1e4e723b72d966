"""What the receiver counts: answers by source and outcome, and how long they took; told in Prometheus' text format.

Labels come from fixed sets, never from a request. Refusals are logged as counts, so that a flood of them is one line.
"""

from __future__ import annotations

import logging
import time
from collections import Counter as Tally
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

log = logging.getLogger("cio_activation.receiver")

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds; the last is Customer.io's time-out."""
LOG_EVERY_S = 10.0
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# A second series for every one, with the time it was first counted at, helps nobody here. A switch of the process.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts of one process since its start, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._read = _Read()
        self._registry.register(self._read)
        self._answers = Counter(
            "cio_receiver_answers",
            "Webhook requests answered.",
            ("source", "outcome", "status"),
            registry=self._registry,
        )
        self._took = Histogram(
            "cio_receiver_answer_seconds",
            "Time from a request's headers to its answer.",
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._previous_key = Counter(
            "cio_receiver_previous_key", "Requests made with the previous key.", registry=self._registry
        )
        self._unsaid: Tally[str] = Tally()
        self._said_at = time.monotonic()

    def answered(self, source: str, outcome: str, status: int, seconds: float) -> None:
        """Count one answer; ``outcome`` is ``stored`` or the reason it was refused for."""
        self._answers.labels(source, outcome, str(status)).inc()
        self._took.observe(seconds)
        if outcome != "stored":
            self._unsaid[f"{source} {outcome}"] += 1
            if time.monotonic() - self._said_at > LOG_EVERY_S:
                self.say()

    def previous_key_used(self) -> None:
        """Count one request that was made with the previous key."""
        self._previous_key.inc()

    def say(self) -> None:
        """Log the refusals since the last time."""
        self._said_at = time.monotonic()
        if self._unsaid:
            log.warning("not stored: %s", ", ".join(f"{n} x {what}" for what, n in sorted(self._unsaid.items())))
            self._unsaid.clear()

    def text(self, read: Sequence[Metric]) -> bytes:
        """Return everything as Prometheus text; ``read``: what was read for this answer, and is not counted here."""
        self._read.metrics = read
        return generate_latest(self._registry)


class _Read(Collector):
    """What is read when somebody asks for it, rather than counted as it happens."""

    def __init__(self) -> None:
        self.metrics: Sequence[Metric] = ()

    def collect(self) -> Iterable[Metric]:
        return self.metrics
