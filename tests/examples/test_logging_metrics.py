"""The logging example keeps the contract of metrics, and hears of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from examples.logging_metrics import LoggingMetrics
from quickpulse.backends.loading import load
from quickpulse.errors import QueueEmpty, QueueFull
from quickpulse.metrics.instrumented import InstrumentedQueue
from quickpulse.metrics.loading import make_metrics
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.queues.memory import MessageQueue
from tests.contract import MetricsContract


class LoggingMetricsTests(MetricsContract, SynchronousTestCase):
    """A user's own provider that takes no batches."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """One that logs into a list."""
        self.lines: list[str] = []
        log = Logger("test", observer=lambda event: self.lines.append(formatEvent(event)))
        return LoggingMetrics(DefaultMetrics(clock), log)

    def test_hears_of_every_event(self) -> None:
        """Each accepted and taken message, the latency of each batch, and the depth after it, in this order."""
        clock = Clock()
        queue = InstrumentedQueue(MessageQueue(3), self.metrics, clock.seconds)
        queue.enqueue_many([b"a", b"b"])
        queue.enqueue(b"c")
        self.assertRaises(QueueFull, queue.enqueue, b"d")
        queue.dequeue_many(2)
        queue.exchange_many([b"e"])
        queue.dequeue()
        self.assertRaises(QueueEmpty, queue.dequeue)
        self.assertEqual(
            self.lines,
            [
                "depth 0",
                *("enqueued 2", "2 accepted after 0.0 us", "depth 2"),
                *("enqueued 1", "1 accepted after 0.0 us", "depth 3"),
                *("dequeued 2", "depth 1"),
                *("enqueued 1", "1 accepted after 0.0 us", "dequeued 1", "depth 1"),
                *("dequeued 1", "depth 0"),
            ],
        )

    def test_found_by_its_name(self) -> None:
        """--metrics examples.logging_metrics:make_metrics."""
        made = make_metrics("examples.logging_metrics:make_metrics", load, legacy_names=False)
        self.assertIsInstance(made, LoggingMetrics)
