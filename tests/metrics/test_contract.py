"""Every provider of IMetricsCollector keeps the contract: ours, and a user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from quickpulse.interfaces import IMetricsCollector
from quickpulse.metrics.memory import DefaultMetrics
from quickpulse.metrics.prometheus import PrometheusMetrics
from tests.contract import MetricsContract


@implementer(IMetricsCollector)
class Timestamps:
    """A user's own: one timestamp for each message."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.enqueued: list[float] = []
        self.dequeued: list[float] = []

    def increment_enqueue(self, count: int = 1) -> None:
        self.enqueued += [self.clock()] * count

    def increment_dequeue(self, count: int = 1) -> None:
        self.dequeued += [self.clock()] * count

    def observe_enqueue_latency(self, seconds: float, count: int = 1) -> None:
        """Of no interest."""

    def set_queue_depth(self, depth: int) -> None:
        """Of no interest."""

    def enqueue_throughput(self) -> float:
        return float(sum(time > self.clock() - 1 for time in self.enqueued))

    def dequeue_throughput(self) -> float:
        return float(sum(time > self.clock() - 1 for time in self.dequeued))


class DefaultMetricsTests(MetricsContract, SynchronousTestCase):
    """Plain integers."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """A DefaultMetrics."""
        return DefaultMetrics(clock)


class PrometheusMetricsTests(MetricsContract, SynchronousTestCase):
    """What can be scraped too."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """A PrometheusMetrics."""
        return PrometheusMetrics(clock=clock)


class TimestampsTests(MetricsContract, SynchronousTestCase):
    """A user's own class."""

    def make_metrics(self, clock: Callable[[], float]) -> Any:
        """The one above."""
        return Timestamps(clock)
