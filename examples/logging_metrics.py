"""Metrics that are written to the log, one line an event.

Start it from the project's root:

    PYTHONPATH=. twistd --pidfile= -n quickpulse --mode ws --metrics examples.logging_metrics:make_metrics

It is called on the way of every message, so it is for looking, not for load.
"""

from __future__ import annotations

from twisted.logger import Logger
from zope.interface import implementer

from quickpulse.interfaces import IMetricsCollector
from quickpulse.metrics.memory import DefaultMetrics


@implementer(IMetricsCollector)
class LoggingMetrics:
    """Writes down what it is told, and leaves the arithmetic of throughput to DefaultMetrics.

    :param counts: an IMetricsCollector that counts.
    :param log: where the lines go.
    """

    def __init__(self, counts: DefaultMetrics, log: Logger) -> None:
        self._counts = counts
        self._log = log

    def increment_enqueue(self, count: int = 1) -> None:
        """Log accepted messages."""
        self._log.info("enqueued {count}", count=count)
        self._counts.increment_enqueue(count)

    def increment_dequeue(self, count: int = 1) -> None:
        """Log messages that were taken out."""
        self._log.info("dequeued {count}", count=count)
        self._counts.increment_dequeue(count)

    def observe_enqueue_latency(self, seconds: float, count: int = 1) -> None:
        """Log how long a batch took."""
        self._log.info("{count} accepted after {microseconds:.1f} us", count=count, microseconds=seconds * 1e6)

    def set_queue_depth(self, depth: int) -> None:
        """Log the depth."""
        self._log.info("depth {depth}", depth=depth)

    def enqueue_throughput(self) -> float:
        """Messages accepted in the last second."""
        return self._counts.enqueue_throughput()

    def dequeue_throughput(self) -> float:
        """Messages taken out in the last second."""
        return self._counts.dequeue_throughput()


def make_metrics() -> LoggingMetrics:
    """The factory for --metrics."""
    return LoggingMetrics(DefaultMetrics(), Logger("quickpulse.metrics"))
